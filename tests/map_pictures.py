"""Outputs and tensors to draw, and what is found again in a picture: its maps and its texts."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from runtime.artifact.manifest import Output, TokenGrid
from runtime.maps.map_reading import read_map, read_parts
from runtime.maps.picture import Picture, Text

__all__ = [
    "LONG_NAME",
    "TensorMaps",
    "expected_colours",
    "find_tiles",
    "output",
    "random_maps",
    "runs",
    "shrunk",
    "texts",
    "with_title",
]

LONG_NAME = "features.denseblock4.denselayer16.conv2_with_a_name_that_goes_on_and_on"


class TensorMaps:
    """The maps of tensors by name, as a run gives them to an overview."""

    has_channels = True

    def __init__(self, arrays):
        self.arrays = arrays

    def maps(self, outputs, reduce="auto"):
        return [read_map(self.arrays, each, reduce) for each in outputs]

    def parts(self, outputs, maps):
        return [read_parts(self.arrays, each, map_) for each, map_ in zip(outputs, maps, strict=True)]


def output(
    name: str,
    layout: str = "NCHW",
    label: str = "Conv2d",
    tokens: tuple[int, int, int, int] | None = None,
    averaged: int | None = None,
    path: str | None = None,
) -> Output:
    """`tokens` are how many before, the patches' height and width, and how many after."""
    return Output(
        name=name,
        label=label,
        operation="torch.nn.modules.conv.Conv2d",
        module_path=name if path is None else path,
        source_file=None,
        source_line=None,
        shape=list(layout) if averaged is None else ["N", 1, "H", "W"],
        dtype="float32",
        layout=layout,
        tokens=None if tokens is None else TokenGrid(*tokens),
        averaged=averaged,
        alias_of=None,
    )


def random_maps(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def expected_colours(mean: NDArray[np.floating], cmap: str = "viridis") -> NDArray[np.uint8]:
    """Matplotlib's own: `imshow` normalises from the lowest to the highest value, then looks the colour up."""
    return colormaps[cmap](Normalize()(mean), bytes=True)[..., :3]


def runs(wanted: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """Start and end of each stretch of at least `least` True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(int)))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist() if b - a >= least]


def find_tiles(picture: Picture, least: int = 60) -> list[NDArray[np.uint8]]:
    """The maps in a picture, in reading order: all that is coloured, and larger than a colour bar."""
    pixels = np.asarray(picture.image())
    coloured = np.ptp(pixels.astype(int), axis=2) > 0
    return [
        pixels[top:bottom, left:right]
        for top, bottom in runs(coloured.any(axis=1), least)
        for left, right in runs(coloured[top:bottom].any(axis=0), least)
    ]


def shrunk(tile: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The colour in the middle of each of the map's pixels."""
    rows = (np.arange(height) * 2 + 1) * tile.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * tile.shape[1] // (2 * width)
    return tile[np.ix_(rows, columns)]


def with_title(written: list[str]) -> list[str]:
    """The texts of a picture, with the parts of its title as one."""
    first, *others = written or [""]
    is_title = bool(others) and others[0].lstrip().startswith("· ")
    return [f"{first} {others[0].lstrip()}", *others[1:]] if is_title else written


def texts(picture: Picture) -> list[str]:
    """Every text in a picture, in the order of drawing."""
    return [part.text for part in picture.parts if isinstance(part, Text)]
