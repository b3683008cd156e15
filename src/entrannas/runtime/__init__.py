"""Where and how tensors are computed: device, precision, seeds, CUDA graphs, memory, and the steps of learning."""
