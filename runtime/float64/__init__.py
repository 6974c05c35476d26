"""An ONNX graph evaluated in float64, on NumPy alone, for any tensors. The entry point is `graph.py`."""
