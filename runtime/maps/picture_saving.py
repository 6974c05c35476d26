"""Saving a picture as JPG, PNG or WebP, by the file's suffix."""

from pathlib import Path
from typing import Any

from PIL import Image

from ..artifact.errors import UsageError
from ..artifact.file_replacement import replace_file

__all__ = ["PICTURE_MARK", "picture_format", "save_picture"]

PICTURE_MARK = "layerprobe"
"""The software that made it, in the metadata of a picture: another picture is not replaced."""
_SOFTWARE = 0x0131
"""The tag in Exif, which all three formats can hold."""

_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    # 4:4:4: a feature map's pixels are small squares of colour, which halved chroma would smear.
    "JPEG": {"quality": 92, "subsampling": "4:4:4"},
    "PNG": {},
    "WEBP": {"lossless": True},
}


def picture_format(path: Path) -> str:
    """Pillow's name of the format that the suffix of `path` stands for: `JPEG`, `PNG` or `WEBP`.

    Raises:
        UsageError: the suffix stands for none of them.
    """
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError as error:
        raise UsageError(f"A picture can't be written as {path.name!r}; name it .jpg, .png or .webp.") from error


def save_picture(image: Image.Image, path: str | Path) -> None:
    """Write `image` in the suffix's format; an earlier one is replaced only once this one is complete.

    Raises:
        UsageError: the suffix is not that of JPG, PNG or WebP, or there is a file that wasn't written by this.
        OutputError: the folder is missing or can't be written to.
    """
    path = Path(path)
    picture = picture_format(path)
    exif = Image.Exif()
    exif[_SOFTWARE] = PICTURE_MARK
    with replace_file(path, PICTURE_MARK) as stream:
        image.save(stream, format=picture, exif=exif, **_SAVE_OPTIONS[picture])
