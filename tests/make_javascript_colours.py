"""`make javascript-tables`: writes src/maps/colour_tables.js of the JavaScript package from colour_tables.npz."""

import base64
import sys
from pathlib import Path

import numpy as np

__all__ = ["javascript_colours"]

_TABLES = Path(__file__).parents[1] / "runtime" / "maps" / "colour_tables.npz"
_HEAD = """\
/** matplotlib's colour maps, levels of red, green and blue, in base64: made by `make javascript-tables`. */
/** @type {Record<string, string>} */
export const TABLES = {
"""


def javascript_colours() -> str:
    """Return the module's text."""
    with np.load(_TABLES) as tables:
        rows = [f"  {name}: '{base64.b64encode(tables[name].tobytes()).decode()}',\n" for name in tables.files]
    return f"{_HEAD}{''.join(rows)}}};\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(javascript_colours(), encoding="utf-8")
