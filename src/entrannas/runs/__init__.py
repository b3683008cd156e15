"""What a search or a training leaves and tells: its settings, directory, checkpoints, events, progress, result."""
