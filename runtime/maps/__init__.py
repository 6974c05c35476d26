"""Tensors to pictures: an output's mean over its channels, its colours, the page of tiles, the file."""
