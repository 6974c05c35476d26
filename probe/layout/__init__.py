"""Which axis of each tensor is which (N C H W, N H W C, N L C), followed from the inputs through the graph.

layouts.py: the walk through the graph, from the inputs' letters to each output's layout and token grid
step.py: one operation as a rule sees it: arguments, axes before it; element-wise operations; table of rules
rules.py: rules for operations that compute: convolution, pooling, norms, linear, attention, einsum; all RULES
moves.py: rules for operations that move: permute, reshape, squeeze, concatenate, slice, index, split
axis_factors.py: algebra of axes as products: window partitions, patch merging, pixel shuffle, tokens
"""
