"""What is computed: operations, cells, the super-net, the target network, and what a network costs."""
