"""Tensors to pictures: the mean over the channels, colours, the page of tiles, the file."""
