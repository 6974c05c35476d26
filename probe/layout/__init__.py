"""Which axis of each tensor is which (N C H W, N H W C, N L C), followed from the inputs through the graph."""
