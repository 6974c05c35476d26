"""model -> probe: every intermediate tensor of a PyTorch CNN, by name.

`build.py` is the order of things: `model/` gets the user's model, `capture/` its graph, `observe/` what each node is,
`layout/` what its axes are; `cli.py` is `layerprobe nodes` with its options.

The public names are listed in `__init__.pyi` and imported on first use, so that `layerprobe --help` doesn't wait for
`import torch`, and a machine without PyTorch doesn't fail on it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
