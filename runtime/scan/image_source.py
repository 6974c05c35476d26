"""Which images a scan finds: files of a folder or of a bucket, or members of tars in either; and how to get one.

A source knows no model, and decodes nothing. It can be sent to another machine, and opens its files there.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..artifact.errors import ImageError, InputError
from ..runs.image_finding import is_image_name
from ..runs.input_files import ARRAY_SUFFIXES
from .image_place import LARGEST_BYTES, TAR, Content, LocalFolder, Place, PlaceUnreachable
from .tar_members import Member, members_of

__all__ = ["ImageSource", "open_source"]

_AT_ONCE = 32
"""Tars whose members are listed at the same time: in a bucket each is a request."""


@dataclass(frozen=True)
class ImageSource:
    """Images below a place."""

    place: Place
    items: Sequence[str]
    """Their names in their order: paths below the place, with `/`; in a tar, the tar's and then the member's."""
    members: Mapping[str, tuple[str, Member]] = field(default_factory=dict, repr=False)
    """By an image's name, the tar that it is in, and where."""
    broken: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Tars that can't be read, or not to their end, each with the reason. They are among the items, so that they count
    as images that can't be read."""

    @property
    def shown(self) -> str:
        """What messages and the scan's record call the place, without secrets."""
        return self.place.shown

    def whole_tars(self) -> set[str]:
        """Return the tars that can be read to their end."""
        return {tar for tar, _ in self.members.values()} - self.broken.keys()

    def get(self, item: str) -> Path | Content:
        """Return an image's file, or its content.

        Raises:
            InputError: it can't be read.
            PlaceUnreachable: nothing can be read there at present.
        """
        if item in self.broken:
            raise InputError(self.broken[item])
        if item not in self.members:
            return self.place.file(item)
        tar, member = self.members[item]
        if member.size > LARGEST_BYTES:
            raise InputError(f"{item} has {member.size:,} bytes; the limit is {LARGEST_BYTES:,}.")
        try:
            stream, _ = self.place.opened(tar)
            with stream:
                stream.seek(member.offset)
                data = stream.read(member.size)
        except OSError as error:
            raise self.place.failure(tar, error) from error
        if len(data) < member.size:
            raise InputError(f"{item} can't be read: {tar} has become shorter.")
        return Content(item, data)

    def part(self, items: Iterable[str]) -> "ImageSource":
        """Return the source of some of the images, with nothing of the others: what a worker needs."""
        chosen = tuple(items)
        return ImageSource(
            self.place.absolute(),
            chosen,
            {item: self.members[item] for item in chosen if item in self.members},
            {item: self.broken[item] for item in chosen if item in self.broken},
        )


def open_source(folder: str | Path, *, takes_photos: bool = True) -> ImageSource:
    """List the images below a folder, in a tar, or below an address such as `s3://bucket/photos`.

    Files are chosen as by `input_files`, or they are the members of tars.

    Args:
        folder: where they are.
        takes_photos: whether the model does.

    Raises:
        ImageError: there are none.
        InputError: there is no such folder, or it can't be reached; or it holds several kinds of files.
        RunnerUnavailable: what reads the address isn't installed.
    """
    place = _place(folder)
    files = place.files(takes_photos=takes_photos)
    if not files[0].endswith(TAR):
        return ImageSource(place, files)
    with ThreadPoolExecutor(min(_AT_ONCE, len(files))) as listing:
        found = list(listing.map(lambda tar: _listed(place, tar), files))
    members = {item: (tar, member) for tar, (of_tar, _) in zip(files, found, strict=True) for item, member in of_tar}
    broken = {tar: reason for tar, (_, reason) in zip(files, found, strict=True) if reason}
    if not members:
        raise ImageError(f"{place.shown} holds no images: {next(iter(broken.values()))}")
    items = [
        item
        for tar, (of_tar, reason) in zip(files, found, strict=True)
        for item in (*(name for name, _ in of_tar), *([tar] if reason else ()))
    ]
    return ImageSource(place, items, members, broken)


def _place(folder: str | Path) -> Place:
    if "://" in str(folder):
        from .bucket import Bucket

        return Bucket.of_address(str(folder))
    path = Path(folder)
    if path.suffix == TAR and path.is_file():
        return LocalFolder(path.parent, path.name)
    if path.exists() and not path.is_dir():
        raise ImageError(f"{folder} is a file, not a folder. Name the folder that it is in, or a .tar.")
    return LocalFolder(path)


def _listed(place: Place, tar: str) -> tuple[list[tuple[str, Member]], str]:
    """Return the images in a tar in the order of its members, and why it can't be read further, if it can't."""
    found: list[tuple[str, Member]] = []
    wrong, first, end = 0, "", ""
    try:
        stream, size = place.opened(tar)
        with stream:
            for member in members_of(stream, size, tar):
                path = PurePosixPath(member.name)
                if member.wrong:
                    wrong, first = wrong + 1, first or member.wrong
                elif is_image_name(path.name) or path.suffix in ARRAY_SUFFIXES:
                    found.append((f"{tar}/{path.as_posix()}", member))
    except OSError as error:
        failure = place.failure(tar, error)
        if isinstance(failure, PlaceUnreachable):
            raise failure from error
        end = str(failure)
    except InputError as error:
        end = str(error)
    if wrong:
        more = f", with {wrong - 1:,} more" if wrong > 1 else ""
        return found, f"{tar} has {first}, which is left out{more}. {end or 'Its other members are read.'}"
    if not found and not end:
        end = f"{tar} holds no images or arrays of a key and one suffix, such as 0001.jpg."
    return found, end
