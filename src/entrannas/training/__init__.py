"""The training of a target network, and its test."""
