"""What each value of a captured graph is, found by running it on the example: shape, memory, what overwrites it."""
