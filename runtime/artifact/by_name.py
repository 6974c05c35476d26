"""What a table names as `package.module:name` and is imported when it is needed, not before."""

from importlib import import_module
from typing import Any

__all__ = ["load"]


def load(name: str) -> Any:
    """Import what is named as `package.module:name`.

    Raises:
        ImportError: it needs a package that isn't installed.
    """
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
