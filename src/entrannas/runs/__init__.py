"""What a search or a training leaves: its directory, checkpoints, events, and what is told of its progress."""
