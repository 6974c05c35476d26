"""Saving pictures by the file's suffix: JPG, PNG, WebP, SVG, or a PDF of all pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from ..artifact.errors import UsageError
from ..artifact.file_replacement import check_place, replace_file
from .picture import Picture

__all__ = ["FORMATS", "PICTURE_MARK", "page_file", "picture_format", "save_picture", "save_pictures"]

PICTURE_MARK = "layerprobe"
"""The software that made it, in the metadata of a picture: another picture is not replaced."""
_SOFTWARE = 0x0131
"""The tag in Exif, which all raster formats can hold."""


@dataclass(frozen=True)
class _Format:
    pillow: str | None
    """Pillow's name of it; None for what `vector_file.py` writes."""
    options: Mapping[str, Any]
    holds_pages: bool = False


# 4:4:4: a feature map's pixels are small squares of colour, which halved chroma would smear.
_JPEG = _Format("JPEG", {"quality": 92, "subsampling": "4:4:4"})
FORMATS = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": _Format("PNG", {}),
    ".webp": _Format("WEBP", {"lossless": True}),
    ".svg": _Format(None, {}),
    ".pdf": _Format(None, {}, holds_pages=True),
}
"""By suffix."""


def picture_format(path: Path) -> _Format:
    """The format that the suffix of `path` stands for.

    Raises:
        UsageError: the suffix stands for none of them.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError as error:
        raise UsageError(
            f"A picture can't be written as {path.name!r}; name it .jpg, .png, .webp, .svg or .pdf."
        ) from error


def page_file(path: Path, page: int, pages: int) -> Path:
    """Return the file of one page of several: `maps-2.png`, `maps-02.png` of ten or more; of one page `path` itself."""
    return path if pages == 1 else path.with_stem(f"{path.stem}-{page:0{len(str(pages))}}")


def save_picture(picture: Picture, path: str | Path) -> None:
    """Write one picture in the suffix's format; an earlier one is replaced only once this one is complete.

    Raises:
        UsageError: the suffix is not that of JPG, PNG, WebP, SVG or PDF, or the file there wasn't written by this.
        OutputError: the folder is missing or can't be written to.
    """
    path = Path(path)
    _write([picture], path, picture_format(path))


def save_pictures(pictures: Iterable[Picture], path: str | Path) -> list[Path]:
    """Write all pages, in their order: into one PDF, or as one file each (`page_file`). Returns the files.

    Raises:
        UsageError, OutputError: as of `save_picture`.
    """
    path, pages = Path(path), iter(pictures)
    form = picture_format(path)
    first = next(pages, None)
    if first is None:
        return []
    if form.holds_pages:
        _write(chain([first], pages), path, form)
        return [path]
    files = [page_file(path, page, first.pages) for page in range(first.page, first.pages + 1)]
    for file in files:  # before any is written
        check_place(file, PICTURE_MARK)
    for picture, file in zip(chain([first], pages), files, strict=False):
        _write([picture], file, form)
    return files


def _write(pictures: Iterable[Picture], path: Path, form: _Format) -> None:
    """Write pictures into one file: one, if the format has no pages."""
    with replace_file(path, PICTURE_MARK) as stream:
        if form.pillow:
            exif = Image.Exif()
            exif[_SOFTWARE] = PICTURE_MARK
            for picture in pictures:
                picture.image().save(stream, format=form.pillow, exif=exif, **form.options)
            return
        from .vector_file import write_pdf, write_svg

        if form.holds_pages:
            write_pdf(pictures, stream, PICTURE_MARK)
        else:
            for picture in pictures:
                write_svg(picture, stream, PICTURE_MARK)
