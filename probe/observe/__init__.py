"""What each value of a captured graph is, found by running it on the example: shape, memory, what overwrites it.

observation.py: runs the graph once: shape, dtype, shared memory, and what is overwritten in place later
shapes.py: which sizes follow batch, height and width, and how that is spelled (2*N, H/4, H?); runs at other sizes
results.py: what the model returns: tensors in nested tuples, lists and dicts, each with its path and node
"""
