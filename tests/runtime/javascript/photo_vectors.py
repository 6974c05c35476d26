"""Photos of every kind and size with what Python makes of them, in one file that another language can check itself by.

`write_pixels` writes decoded pixels, as any decoder would give them; `write_files` image files, for one decoder.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import cbook
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file

from runtime.artifact.manifest import Preprocessing
from runtime.runs.image_reading import read_image, upright_rgb
from runtime.runs.preprocessing import preprocess, seen_photo

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
FILTERS = ("bilinear", "bicubic", "nearest", "lanczos", "box", "hamming")
ORIENTATION = 274


@dataclass
class Case:
    name: str
    pixels: NDArray[Any]
    """H W C or H W."""
    steps: Preprocessing
    image: Image.Image | None = None
    """As Pillow holds it, where that isn't the pixels as an array."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the decoder tells beside the pixels: `space`, `orientation`."""


def steps(resize: int = 40, crop: tuple[int, int] = (32, 32), interpolation: Any = "bilinear", **other: Any) -> Any:
    return Preprocessing(resize=resize, crop=crop, interpolation=interpolation, **{"mean": MEAN, "std": STD, **other})


def photo() -> NDArray[np.uint8]:
    """The photo that matplotlib brings."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def natural(random: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """A part of the photo, stretched to this size; or noise; or a gradient."""
    kind = random.integers(6)
    if kind == 0:
        return random.integers(0, 256, (height, width, 3), np.uint8)
    if kind == 1:
        ramp = np.linspace(0, 255, width)[None, :, None] * np.linspace(0, 1, height)[:, None, None]
        return np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8)
    source = photo()
    top, left = (int(random.integers(0, size - 64)) for size in source.shape[:2])
    down, across = int(random.integers(8, source.shape[0] - top)), int(random.integers(8, source.shape[1] - left))
    part = Image.fromarray(source[top : top + down, left : left + across])
    return np.asarray(part.resize((width, height), Image.Resampling.BICUBIC))


def cases() -> Iterator[Case]:
    random = np.random.default_rng(19)
    yield from _photos(random)
    yield from _sizes(random)
    yield from _kinds(random)


def _photos(random: np.random.Generator) -> Iterator[Case]:
    for number in range(150):
        width, height = (int(size) for size in random.integers(20, 300, 2))
        crop = tuple(int(size) for size in random.integers(1, 80, 2)) if number % 3 else (64, 64)
        resize = int(random.integers(1, 120)) if number % 3 else 72
        asked = steps(resize, crop, FILTERS[number % 6 if number % 2 else number % 4 // 2])
        yield Case(f"photo {number}", natural(random, width, height), asked)
    whole = photo()
    for filter_ in FILTERS:
        yield Case(f"whole photo, {filter_}", whole, steps(256, (224, 224), filter_))
    yield Case("whole photo, NHWC", whole, steps(64, (48, 64), layout="NHWC"))


def _sizes(random: np.random.Generator) -> Iterator[Case]:
    for width, height in ((1, 1), (1, 500), (500, 1), (4000, 3), (3, 4000), (2, 2), (32, 32), (33, 32), (40, 40)):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        for filter_ in FILTERS:
            yield Case(f"{width} x {height}, {filter_}", pixels, steps(interpolation=filter_))
        yield Case(f"{width} x {height}, padded", pixels, steps(3, (9, 12)))
    large = np.asarray(Image.fromarray(photo()).resize((3000, 2000), Image.Resampling.BICUBIC))
    yield Case("3000 x 2000", large, steps(232, (224, 224)))
    # Half a pixel on each side: torchvision rounds to the even one.
    for size in range(33, 40):
        yield Case(f"crop of {size}", natural(random, size, size), steps(size, (32, 30)))


def _kinds(random: np.random.Generator) -> Iterator[Case]:
    rgb = natural(random, 90, 70)
    grey = np.asarray(Image.fromarray(rgb).convert("L"))
    alpha = random.integers(0, 256, grey.shape, np.uint8)
    inks = random.integers(0, 256, (70, 90, 4), np.uint8)
    wide = random.integers(0, 65536, grey.shape, np.uint16)
    of_one = {"mean": [0.1307], "std": [0.3081]}
    rgba, grey_alpha = np.dstack([rgb, alpha]), np.dstack([grey, alpha])
    yield Case("grey", grey, steps())
    yield Case("grey for a model of grey", grey, steps(**of_one))
    yield Case("colour for a model of grey", rgb, steps(**of_one))
    yield Case("colour for a model of grey, NHWC", rgb, steps(**of_one, layout="NHWC"))
    yield Case("grey with alpha", grey_alpha, steps(), Image.fromarray(grey_alpha, "LA"))
    yield Case("alpha", rgba, steps())
    yield Case("CMYK", inks, steps(), Image.fromarray(inks, "CMYK"), {"space": "cmyk"})
    yield Case("16 bits of grey", wide, steps())
    for orientation in range(10):
        image = Image.fromarray(rgb)
        image.getexif()[ORIENTATION] = orientation
        yield Case(f"EXIF {orientation}", rgb, steps(40, (30, 36)), image, {"orientation": orientation})


def write_pixels(file: Path) -> int:
    """Write all cases as safetensors: `K/pixels`, `K/photo`, `K/cropped`, `K/input`; return how many there are."""
    tensors: dict[str, NDArray[Any]] = {}
    told = []
    for number, case in enumerate(cases()):
        image = case.image or Image.fromarray(case.pixels)
        upright = upright_rgb(image)
        expected = _expected(upright, case.steps)
        tensors[f"{number}/pixels"] = np.ascontiguousarray(np.atleast_3d(case.pixels))
        if case.facts or case.pixels.shape != (*upright.size[::-1], 3):
            tensors[f"{number}/photo"] = np.ascontiguousarray(upright)
        tensors |= {f"{number}/{name}": array for name, array in expected.items()}
        region = seen_photo(upright, case.steps, "photo").region
        told.append({"name": case.name, "steps": case.steps.model_dump(), "region": list(region), **case.facts})
    save_file(tensors, file, metadata={"cases": json.dumps(told)})
    return len(told)


def _expected(upright: Image.Image, asked: Preprocessing) -> dict[str, NDArray[Any]]:
    array = preprocess(upright, asked)[None]
    return {
        "cropped": np.ascontiguousarray(seen_photo(upright, asked, "photo").seen),
        "input": array if asked.layout == "NCHW" else np.ascontiguousarray(array.transpose(0, 2, 3, 1)),
    }


def write_files(folder: Path) -> int:
    """Write image files, and in `expected.safetensors` their upright pixels as Python reads them, `K/photo`, and
    `K/input`; return how many there are.
    """
    random = np.random.default_rng(20)
    folder.mkdir()
    for name, content in _files(random):
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            image, options = content
            image.save(folder / name, **options)
    tensors: dict[str, NDArray[Any]] = {}
    names = sorted(file.name for file in folder.iterdir())
    for number, name in enumerate(names):
        upright = read_image(folder / name)
        tensors[f"{number}/photo"] = np.ascontiguousarray(upright)
        tensors[f"{number}/input"] = preprocess(upright, steps())[None]
    told = {"files": json.dumps(names), "steps": steps().model_dump_json()}
    save_file(tensors, folder / "expected.safetensors", metadata=told)
    return len(names)


def _files(random: np.random.Generator) -> Iterator[tuple[str, Any]]:
    rgb = natural(random, 60, 46)
    colour = Image.fromarray(rgb)
    alpha = Image.fromarray(random.integers(0, 256, rgb.shape[:2], np.uint8))
    grey, palette = colour.convert("L"), colour.quantize(32)
    inks = Image.fromarray(random.integers(0, 256, (46, 60, 4), np.uint8), "CMYK")
    for name, image, options in (
        ("rgb.png", colour, {}),
        ("grey.png", grey, {}),
        ("black_and_white.png", colour.convert("1"), {}),
        ("palette.png", palette, {}),
        ("palette.gif", palette, {}),
        ("palette_transparent.png", palette, {"transparency": 3}),
        ("grey_alpha.png", Image.merge("LA", [grey, alpha]), {}),
        ("rgb_alpha.png", Image.merge("RGBA", [*colour.split(), alpha]), {}),
        ("grey_16.png", Image.fromarray(random.integers(0, 65536, (46, 60), np.uint16)), {}),
        ("rgb.webp", colour, {"lossless": True}),
        ("inks.tif", inks, {}),
        ("inks.jpg", inks, {"quality": 100, "subsampling": 0}),
        ("turned.png", colour, {"exif": _turned(6)}),
        ("turned.webp", colour, {"lossless": True, "exif": _turned(5)}),
        ("turned.tif", colour, {"exif": _turned(8)}),
        ("turned_by_xmp.jpg", colour, {"quality": 95, "xmp": _xmp(3)}),
        ("exif_over_xmp.jpg", colour, {"quality": 95, "exif": _turned(7), "xmp": _xmp(3)}),
        ("no_orientation.jpg", colour, {"quality": 95, "exif": _turned(9)}),
        *((f"exif_{turn}.jpg", colour, {"quality": 95, "exif": _turned(turn)}) for turn in range(1, 9)),
    ):
        yield name, (image, options)
    for kind, channels in ((2, 3), (4, 2), (6, 4)):  # which Pillow doesn't write
        yield f"{channels}_channels_16.png", _png_of_16_bits(random.integers(0, 65536, (46, 60, channels)), kind)


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _xmp(orientation: int) -> bytes:
    return b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % orientation


def _png_of_16_bits(values: NDArray[np.int64], kind: int) -> bytes:
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1)
    bodies = (
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0),
        b"IDAT" + zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)),
        b"IEND",
    )
    chunks = [struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in bodies]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
