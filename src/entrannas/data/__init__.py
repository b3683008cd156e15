"""Images: where they come from, decoded, augmented, in batches."""
