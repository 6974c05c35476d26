"""artifact -> tensors, pictures, verdicts: everything that needs neither the model's source nor (for ONNX) PyTorch.

The rooms, from the bottom up: `artifact` < `runners`, `maps`, `float64` < `runs`, `bench` < `verdict` < `reporting`.
The command line is on top: `main.py` is its process, `commands.py` finds the subcommands, `cli.py` has run, grid,
bench, stats and demo, and `verify_cli.py` verify and compare; `cli_options.py` has their options.

The public names are in `__init__.pyi`. Each is imported on first use, so that drawing a picture doesn't load what
verifying needs.
"""

import os

# Read by ONNX Runtime as it is imported: it would prepare to send telemetry, and leave an identifier of this machine
# among the temporary files. `disable_telemetry_events`, later, stops the sending only.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> object:
    # With the first public name: the command line needs none, and reading the stub takes 30 ms of its start.
    import lazy_loader

    found = lazy_loader.attach_stub(__name__, __file__)
    globals().update(zip(("__getattr__", "__dir__", "__all__"), found, strict=True))
    return globals()["__all__"] if name == "__all__" else found[0](name)


def __dir__() -> object:
    return __getattr__("__all__")
