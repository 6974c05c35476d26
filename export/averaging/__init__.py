"""An ONNX model of a probe -> that of the averaged probe, which costs little more than the plain model.

`averaged_onnx.py` is the order of things, `cost.py` says what is cheap, and each way to get at a mean over the channels
is a file of its own.
"""
