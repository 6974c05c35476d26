"""Model to graph of named nodes: by symbolic tracing (`fx_trace.py`) or by torch.export (`torch_export.py`)."""
