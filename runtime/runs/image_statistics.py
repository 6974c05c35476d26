"""The exact per-channel mean and standard deviation of an image folder, for a model's normalisation.

The images count at full size: nothing is resized or cropped, so a large photo weighs more than a small one.

What `scan` reduces tensors with isn't used here: pixels have 256 values, so counting them is exact, in any order, and
takes Pillow a third of the time (0.19 ms for a photo of 500 x 375, and 0.58 ms).
"""

from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from ..artifact.errors import ImageError
from ..artifact.file_reading import nothing_at
from ..runners.machine import usable_cores
from .image_finding import IMAGE_SUFFIXES, NoImages, files_below, is_image_name
from .image_reading import read_image
from .input_files import one_kind

__all__ = ["ChannelStatistics", "channel_statistics"]

_LEVELS = 256


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and population standard deviation of red, green and blue over all pixels, in units of 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: int
    pixels: int
    """Pixels of all images together; each has three channels."""


def channel_statistics(
    folder: str | Path,
    on_progress: Callable[[int, int], None] | None = None,
    broken: MutableMapping[Path, str] | None = None,
) -> ChannelStatistics:
    """Measure every image below `folder`: class folders as in torchvision's ImageFolder, or a flat folder of images.

    Images count as `read_image` returns them: grey ones as RGB, transparent ones on white. `on_progress` is called
    after each image with the number done and the total. An image that can't be read is put into `broken`, if that is
    given, with the reason.

    Raises:
        ImageError: `folder` is missing, a file, or holds no images; or one of its images, or each, can't be read.
        InputError: it holds images and arrays.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ImageError(f"{nothing_at(folder, 'folder')} Check the path.")
    if folder.is_file():
        raise ImageError(f"{folder} is a file, not a folder of images. Name the folder.")
    below = one_kind(files_below(folder), str(folder), takes_photos=True)
    paths = [folder / name for name in below if is_image_name(name)]
    if not paths:
        raise NoImages(f"The folder {folder} holds no images ({IMAGE_SUFFIXES}). Name a folder that does.")
    # Integers add up without error in any order; a running mean, or a mean of batch means, does not.
    histogram = [0] * (3 * _LEVELS)
    for done, (path, read) in enumerate(_histograms(paths), start=1):
        try:
            counts = read.result()
        except ImageError as error:
            if broken is None or (len(broken) + 1 == len(paths)):
                raise
            broken[path] = str(error)
        else:
            histogram = [total + count for total, count in zip(histogram, counts, strict=True)]
        if on_progress is not None:
            on_progress(done, len(paths))
    channels = [histogram[start : start + _LEVELS] for start in range(0, 3 * _LEVELS, _LEVELS)]
    moments = [_mean_and_std(channel) for channel in channels]
    return ChannelStatistics(
        mean=tuple(mean for mean, _ in moments),
        std=tuple(std for _, std in moments),
        images=len(paths) - len(broken or ()),
        pixels=sum(channels[0]),
    )


def _histograms(paths: Sequence[Path]) -> Iterator[tuple[Path, "Future[list[int]]"]]:
    """Yield each image with its histogram, in order; so many are read at once as there are cores."""
    cores = usable_cores()
    waiting: deque[tuple[Path, Future[list[int]]]] = deque()
    with ThreadPoolExecutor(cores) as readers:
        try:
            for path in paths:
                waiting.append((path, readers.submit(_histogram, path)))
                if len(waiting) > 2 * cores:
                    yield waiting.popleft()
            yield from waiting
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def _histogram(path: Path) -> list[int]:
    return read_image(path).histogram()


def _mean_and_std(channel: list[int]) -> tuple[float, float]:
    """Mean and population standard deviation, 0 to 1, of one channel whose value `v` occurs `channel[v]` times."""
    count = sum(channel)
    total = sum(value * times for value, times in enumerate(channel))
    squares = sum(value * value * times for value, times in enumerate(channel))
    # A difference of integers: with floats, it would lose its digits where the deviation is small.
    variance = (count * squares - total * total) / (count * count)
    return total / (255 * count), sqrt(variance) / 255
