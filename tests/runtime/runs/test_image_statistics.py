"""Mean and standard deviation of an image folder: exact, over all pixels, at full size."""

import importlib
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets import ImageFolder

from runtime.artifact.errors import ImageError, InputError
from runtime.runs.image_statistics import ChannelStatistics, channel_statistics


def save_image(path: Path, values: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def class_folders(root: Path) -> Path:
    """Four images of different sizes and brightness in two class folders."""
    random = np.random.default_rng(0)
    for name, (height, width), brightest in [
        ("cats/a.png", (40, 30), 256),
        ("cats/b.png", (7, 5), 20),
        ("dogs/c.png", (1, 1), 256),
        ("dogs/d.png", (23, 64), 120),
    ]:
        save_image(root / name, random.integers(0, brightest, size=(height, width, 3), dtype=np.uint8))
    return root


def pixels_of(folder: Path) -> NDArray[np.int64]:
    """Every pixel of an ImageFolder, one after the other: pixels x 3."""
    return np.concatenate([np.asarray(image, dtype=np.int64).reshape(-1, 3) for image, _ in ImageFolder(folder)])


def test_class_folders_give_what_numpy_gives_over_all_pixels_at_once(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    pixels = pixels_of(folder)

    found = channel_statistics(folder)

    assert found.images == 4
    assert found.pixels == len(pixels) == 40 * 30 + 7 * 5 + 1 + 23 * 64
    assert np.allclose(found.mean, (pixels / 255).mean(axis=0), rtol=1e-12, atol=0)
    assert np.allclose(found.std, (pixels / 255).std(axis=0), rtol=1e-12, atol=0)


def test_the_mean_is_the_exact_fraction(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    pixels = pixels_of(folder)

    exact = tuple(float(Fraction(int(total), 255 * len(pixels))) for total in pixels.sum(axis=0))

    assert channel_statistics(folder).mean == exact


def test_large_images_weigh_more_than_small_ones(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    images = [np.asarray(image, dtype=np.float64).reshape(-1, 3) / 255 for image, _ in ImageFolder(folder)]
    mean_of_means = np.mean([image.mean(axis=0) for image in images], axis=0)
    mean_of_stds = np.mean([image.std(axis=0) for image in images], axis=0)

    found = channel_statistics(folder)

    # What a mean over images would give is far off on these images, so the tests above would notice it.
    assert (np.abs(np.array(found.mean) - mean_of_means) > 0.01).all()
    assert (np.abs(np.array(found.std) - mean_of_stds) > 0.01).all()


def test_how_the_pixels_are_spread_over_files_changes_nothing_at_all(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, size=(60, 31, 3), dtype=np.uint8)
    save_image(tmp_path / "whole" / "a.png", values)
    for index, part in enumerate(np.array_split(values, [1, 2, 19, 40])):
        save_image(tmp_path / "parts" / f"{9 - index}.png", part)

    whole, parts = channel_statistics(tmp_path / "whole"), channel_statistics(tmp_path / "parts")

    assert (parts.mean, parts.std, parts.pixels) == (whole.mean, whole.std, whole.pixels)


def test_a_tiny_deviation_keeps_its_digits(tmp_path: Path) -> None:
    values = np.full((300, 300, 3), 250, dtype=np.uint8)
    values[0, 0] = 251
    save_image(tmp_path / "nearly_flat.png", values)
    count = 300 * 300
    exact = (1 / count - 1 / count**2) ** 0.5 / 255
    scaled = values[..., 0].astype(np.float32) / np.float32(255)
    by_floats = float(np.mean(scaled**2) - np.mean(scaled) ** 2)
    assert abs(by_floats - exact**2) > exact**2 / 2, "the usual float formula would not notice this case"

    assert channel_statistics(tmp_path).std == pytest.approx((exact, exact, exact), rel=1e-12)


def test_one_colour_has_no_deviation(tmp_path: Path) -> None:
    save_image(tmp_path / "red.png", np.full((9, 7, 3), (255, 51, 0), dtype=np.uint8))

    assert channel_statistics(tmp_path) == ChannelStatistics(
        mean=(1.0, 0.2, 0.0), std=(0.0, 0.0, 0.0), images=1, pixels=63
    )


def test_images_may_lie_in_the_folder_itself_and_deeper(tmp_path: Path) -> None:
    for name, level in [("a.png", 0), ("cats/b.png", 51), ("cats/young/c.png", 102)]:
        save_image(tmp_path / name, np.full((2, 2, 3), level, dtype=np.uint8))
    (tmp_path / "labels.csv").write_text("not an image")

    found = channel_statistics(tmp_path)

    assert (found.images, found.pixels) == (3, 12)
    assert found.mean == pytest.approx((0.2, 0.2, 0.2), rel=1e-15)


def test_grey_images_count_as_three_equal_channels(tmp_path: Path) -> None:
    save_image(tmp_path / "grey.png", np.array([[0, 255]], dtype=np.uint8))

    found = channel_statistics(tmp_path)

    assert found.mean == found.std == (0.5, 0.5, 0.5)


def test_progress_is_told_after_every_image(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    channel_statistics(class_folders(tmp_path), on_progress=lambda done, total: told.append((done, total)))

    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_only_one_image_is_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By its full name: the package offers the function of this name, too.
    module = importlib.import_module("runtime.runs.image_statistics")
    read, held = module.read_image, []

    def watched(path: Path) -> Image.Image:
        assert [image for image in held if image() is not None] == []
        image = read(path)
        held.append(weakref.ref(image))
        return image

    monkeypatch.setattr(module, "read_image", watched)
    channel_statistics(class_folders(tmp_path))

    assert len(held) == 4


def test_an_unreadable_image_is_named_rather_than_skipped(tmp_path: Path) -> None:
    class_folders(tmp_path)
    (tmp_path / "cats" / "broken.png").write_bytes((tmp_path / "cats" / "a.png").read_bytes()[:200])

    with pytest.raises(ImageError, match="damaged") as caught:
        channel_statistics(tmp_path)
    assert str(tmp_path / "cats" / "broken.png") in str(caught.value)


def test_what_is_no_folder_of_images_is_refused(tmp_path: Path) -> None:
    save_image(tmp_path / "photo.png", np.zeros((1, 1, 3), dtype=np.uint8))
    (tmp_path / "empty").mkdir()
    (tmp_path / "arrays").mkdir()
    (tmp_path / "arrays" / "a.npy").touch()

    for path, told in [
        (tmp_path / "photo.png", "is a file"),
        (tmp_path / "empty", "holds no images"),
        (tmp_path / "arrays", "holds no images"),
        (tmp_path / "x", "no folder"),
    ]:
        with pytest.raises(ImageError, match=told) as caught:
            channel_statistics(path)
        assert str(path) in str(caught.value)


def test_arrays_beside_photos_are_not_left_out_silently(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", np.zeros((1, 1, 3), dtype=np.uint8))
    (tmp_path / "run.safetensors").touch()  # what was computed from them
    assert channel_statistics(tmp_path).images == 1

    (tmp_path / "b.npy").touch()
    with pytest.raises(InputError, match=r"holds images \(a.png\) and arrays \(b.npy\): only one kind is read"):
        channel_statistics(tmp_path)
