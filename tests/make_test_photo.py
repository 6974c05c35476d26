"""Makes `export/test_photo.png`, the photo of every artifact's test vectors, from the one that matplotlib brings.

python tests/make_test_photo.py. The file is in the repository, as another zlib would write other bytes.
"""

from pathlib import Path

import matplotlib
from PIL import Image

from conftest import ROOT

SIZE = (161, 97)
"""Width and height in pixels: odd, so that the rounding of sizes and of the crop's offset shows."""


def main() -> None:
    photo = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(photo) as opened:
        part = opened.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS, box=(0, 60, 512, 60 + 512 * 97 / 161))
    part.save(ROOT / "export" / "test_photo.png", optimize=True)


if __name__ == "__main__":
    main()
