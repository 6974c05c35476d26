"""artifact -> tensors, pictures, verdicts: everything that needs neither the model's source nor (for ONNX) PyTorch.

The public names are in `__init__.pyi`. Each is imported on first use, so that drawing a picture doesn't load what
verifying needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
