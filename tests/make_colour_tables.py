"""`make colour-tables`: writes runtime/colour_tables.npz, the tables of matplotlib's colour maps."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from matplotlib import colormaps

from runtime.maps.colour_maps import table_of

if __name__ == "__main__":
    with zipfile.ZipFile(Path(sys.argv[1]), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(colormaps):
            content = io.BytesIO()
            np.save(content, table_of(colormaps[name]))
            # A date of its own would make each making of the same tables another file.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())
