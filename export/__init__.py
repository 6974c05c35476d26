"""probe -> artifact: one folder that runs without the model's Python source.

What this package offers stands in `__init__.pyi`. The names are imported when first used, so that
`layerprobe --help` and a machine without PyTorch don't pay for, or fail on, `import torch`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
