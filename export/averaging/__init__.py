"""An ONNX model of a probe -> that of the averaged probe, which costs little more than the plain model.

`averaged_onnx.py` is the order of things, `planning.py` the table of rewrites, and each way to get at a mean over the
channels is a file of its own.
"""
