"""artifact -> tensors, pictures, verdicts: everything that needs neither the model's source nor (for ONNX) PyTorch.

The rooms, from the bottom up: `artifact` < `runners`, `maps`, `float64` < `runs`, `bench` < `verdict` < `reporting`.
The command line is on top: `main.py` finds the subcommands, `cli.py` has run, grid, bench, stats and demo, and
`verify_cli.py` verify and compare; `cli_options.py` has their options.

The public names are in `__init__.pyi`. Each is imported on first use, so that drawing a picture doesn't load what
verifying needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
