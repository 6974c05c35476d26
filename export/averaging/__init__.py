"""An ONNX model of a probe -> that of the averaged probe, which costs little more than the plain model.

`averaged_onnx.py` runs the steps in order, `planning.py` holds the table of rewrites, and each way to compute a mean
over the channels has its own file.
"""
