"""Model to graph of named nodes: by symbolic tracing (`fx_trace.py`) or by torch.export (`torch_export.py`).

`naming.py` gives the nodes torchvision's names, `labels.py` says what a person calls an operation.
"""
