"""probe -> artifact: one folder that runs without the model's Python source.

`artifact_writing.py` is the order of things; each model file has a conversion of its own, and `trial_run.py` tries them
before the artifact appears. What torch.onnx gets wrong is put right in `translations.py` and the files that it imports.
`averaging/` makes the averaged ONNX model; `cli.py` is `layerprobe export` and its options.

The public names are listed in `__init__.pyi` and imported on first use, so that `layerprobe --help` doesn't wait for
`import torch`, and a machine without PyTorch doesn't fail on it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
