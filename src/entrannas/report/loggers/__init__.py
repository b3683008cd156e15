"""Loggers: a run told to TensorBoard, Weights & Biases, MLflow and Trackio, while it goes on."""
