"""An ONNX graph in float64, on NumPy alone: what model.onnx says, of any tensors. `graph.py` is the way in."""
