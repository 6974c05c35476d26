"""ONNX file -> probe: every value of a file that somebody else made becomes an output, under its own name.

Nothing here needs PyTorch.

reading.py: reads a file and sorts its nodes; refuses its opset, nodes, types or weights if unsound
value_names.py: control characters in names, endless and double ones: values are renamed
index_range.py: how large integer inputs may be that are indices into a table (embedding)
example.py: example input: sizes for open axes (--input-size), noise or indices, which input is an image
pixel_input.py: puts the normalisation into a file: it takes pixels, uint8, N H W C (--preprocessing-in-model)
values.py: which values are outputs, which are skipped and why; aliases; writes the file with all outputs marked
origins.py: a value's label (Conv 3x3 stride 2), module path and source line, from node names and metadata
layouts.py: which axis of each value is N, C, H, W or L: the rules of ONNX operators (Transpose, Reshape, ...)
probing.py: the order of these steps, evaluated in float64; tries whether an open batch or size really is open
loading.py: a file and the user's own inputs (--input), mean and std -> its probe, for nodes, export and verify
"""
