"""Finding the images of a folder: which files are taken, and in which order."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.artifact.errors import ImageError, InputError
from runtime.runs.input_files import input_files


@pytest.fixture
def touch(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    return make


def test_files_stay_as_they_were_named(touch: Callable[[str], Path]) -> None:
    second, first, odd = touch("b.png"), touch("a.png"), touch("photo.download")

    assert input_files([second, first, odd, second]) == [second, first, odd, second]


def test_a_folder_means_every_image_below_it_in_order(touch: Callable[[str], Path], tmp_path: Path) -> None:
    numbered = [touch(f"cats/old/{name}.webp") for name in "hcagbfed"]
    top, other = touch("A.JPG"), touch("dogs/a.tiff")
    touch("dogs/labels.csv")
    touch("README.md")

    assert input_files([tmp_path]) == [top, *sorted(numbered), other]


def test_files_and_folders_may_be_mixed(touch: Callable[[str], Path], tmp_path: Path) -> None:
    single, inside = touch("z.png"), touch("folder/a.png")

    assert input_files([single, tmp_path / "folder"]) == [single, inside]


def test_hidden_files_and_folders_are_left_out(touch: Callable[[str], Path], tmp_path: Path) -> None:
    shown = touch("photo.jpg")
    touch("._photo.jpg")
    touch(".ipynb_checkpoints/photo.jpg")

    assert input_files([tmp_path]) == [shown]


def test_links_to_folders_are_followed_as_image_folder_does(touch: Callable[[str], Path], tmp_path: Path) -> None:
    touch("elsewhere/a.png")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "cats").symlink_to(tmp_path / "elsewhere")

    assert input_files([tmp_path / "train"]) == [tmp_path / "train" / "cats" / "a.png"]


def test_a_link_back_to_its_own_folder_does_not_repeat_the_images(touch: Callable[[str], Path], tmp_path: Path) -> None:
    image = touch("train/cats/a.png")
    (tmp_path / "train" / "cats" / "again").symlink_to(tmp_path / "train")

    assert input_files([tmp_path / "train"]) == [image]


def test_a_folder_without_images_is_an_error_even_beside_one_with(touch: Callable[[str], Path], tmp_path: Path) -> None:
    touch("full/a.png")
    touch("texts/notes.txt")

    with pytest.raises(ImageError, match="holds no images") as caught:
        input_files([tmp_path / "full", tmp_path / "texts"])
    assert str(tmp_path / "texts") in str(caught.value)


def test_a_path_at_which_nothing_is_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        input_files([tmp_path / "holiday.jpg"])
