"""Pictures as files: the formats, their pages, what is replaced and what is not."""

import re
import subprocess
import sys
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from map_pictures import output, random_maps, texts
from runtime.artifact.errors import OutputError, UsageError
from runtime.maps.feature_grid import draw_grid, draw_pages
from runtime.maps.picture import Picture, Text
from runtime.maps.picture_saving import picture_format, save_picture, save_pictures
from runtime.maps.picture_text import font_of_size, text_length


@pytest.fixture
def picture() -> Picture:
    return draw_grid({"conv": random_maps(1, 2, 8, 8)}, [output("conv")], title="net · a photo")


@pytest.mark.parametrize(
    ("name", "picture_type"),
    [("a.jpg", "JPEG"), ("a.jpeg", "JPEG"), ("a.JPG", "JPEG"), ("a.png", "PNG"), ("a.b.webp", "WEBP")],
)
def test_the_suffix_says_the_format(tmp_path, picture, name, picture_type):
    path = tmp_path / name
    assert picture_format(path).pillow == picture_type
    save_picture(picture, path)
    with Image.open(path) as read:
        assert read.format == picture_type
        difference = np.abs(np.asarray(read.convert("RGB")).astype(int) - np.asarray(picture.image()))
        if picture_type == "JPEG":
            assert JpegImagePlugin.get_sampling(read) == 0, "chroma is not halved"
            assert difference.mean() < 2
        else:
            assert difference.max() == 0
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt", ".png"])
def test_another_suffix_lists_those_that_are_served(tmp_path, picture, name):
    with pytest.raises(UsageError, match=r"\.jpg, \.png, \.webp, \.svg or \.pdf"):
        save_picture(picture, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_named(tmp_path, picture):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "missing" / "a.png", tmp_path / "file" / "a.png", tmp_path / "folder.png"):
        with pytest.raises(OutputError, match=path.name):
            save_picture(picture, path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_full_disk_leaves_the_old_picture(tmp_path, picture, monkeypatch):
    path = tmp_path / "a.png"
    save_picture(picture, path)
    old = path.read_bytes()

    def full_disk(self, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        save_picture(picture, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_pyplot_is_never_imported_and_matplotlib_only_for_a_colour_map_that_is_not_shipped():
    program = """
import sys
import numpy as np
from runtime.maps.feature_grid import draw_grid
from runtime.artifact.manifest import Output
assert not any(name.partition(".")[0] in ("matplotlib", "torch") for name in sys.modules)
entry = Output(name="a", label="a", operation="a", module_path="", source_file=None, source_line=None,
                    shape=["N", 1, 2, 2], dtype="float32", layout="NCHW", alias_of=None)
dead = entry.model_copy(update={"name": "dead"})
draw_grid({"a": np.eye(2)[None, None], "dead": np.zeros((1, 1, 2, 2))}, [entry, dead])
assert "matplotlib" not in sys.modules
assert "numpy.ma" not in sys.modules  # takes as long to import as a tenth of the command
import matplotlib.colors
matplotlib.colormaps.register(matplotlib.colors.ListedColormap(["red", "blue"], name="mine"))
draw_grid({"a": np.eye(2)[None, None]}, [entry], cmap="mine")
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_in_svg_text_stays_text_and_maps_stay_pixels(tmp_path, picture):
    save_picture(picture, tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    tag = "{http://www.w3.org/2000/svg}"
    assert [each.text for each in root.iter(f"{tag}text")] == [each.lstrip() for each in texts(picture)]
    assert len(list(root.iter(f"{tag}image"))) == 2, "the map and its colour bar"
    assert float(root.get("width").removesuffix("pt")) == picture.width * 0.75


def test_in_pdf_text_stays_text_and_each_page_has_its_own(tmp_path):
    pages = [draw_grid({name: random_maps(1, 1, 2, 2)}, [output(name)]) for name in ("conv1", "conv2")]
    assert save_pictures(pages, tmp_path / "a.pdf") == [tmp_path / "a.pdf"]
    content = (tmp_path / "a.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    assert b"/FontFile2" in content, "the font is in the file, as outlines that keep their letters"
    streams = [zlib.decompress(each) for each in re.findall(rb"stream\n(x.*?)\nendstream", content, re.DOTALL)]
    letters = [b"".join(re.findall(rb"\((\x00.)\)", each, re.DOTALL)) for each in streams if b" Tf" in each]
    assert ["conv1".encode("utf-16-be") in each for each in letters] == [True, False]
    assert ["conv2".encode("utf-16-be") in each for each in letters] == [False, True]


def test_the_same_picture_is_the_same_file(tmp_path, picture):
    for suffix in ("svg", "pdf", "png"):
        for name in "ab":
            save_picture(picture, tmp_path / f"{name}.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes(), suffix


def test_all_pages_are_numbered_files_and_a_single_one_keeps_the_name(tmp_path, picture):
    arrays = {f"conv{index}": random_maps(1, 1, 2, 2, seed=index) for index in range(49)}
    pages = draw_pages(arrays, [output(name) for name in arrays])
    assert [file.name for file in save_pictures(pages, tmp_path / "a.png")] == ["a-1.png", "a-2.png"]
    assert [file.name for file in save_pictures([picture], tmp_path / "b.webp")] == ["b.webp"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-1.png", "a-2.png", "b.webp"]


def test_a_file_of_the_users_among_the_pages_is_kept_and_none_is_written(tmp_path):
    arrays = {f"conv{index}": random_maps(1, 1, 2, 2, seed=index) for index in range(49)}
    (tmp_path / "a-2.png").write_text("mine")
    with pytest.raises(UsageError, match=r"a-2\.png exists"):
        save_pictures(draw_pages(arrays, [output(name) for name in arrays]), tmp_path / "a.png")
    assert [file.name for file in tmp_path.iterdir()] == ["a-2.png"]


def test_no_text_of_an_svg_begins_with_a_space_which_browsers_leave_out(tmp_path):
    picture = draw_grid({"a": random_maps(1, 2, 8, 8)}, [output("a")], title="net · random weights")
    save_picture(picture, tmp_path / "a.svg")
    (x, text), *_ = re.findall(r'<text[^>]* x="([\d.]+)"[^>]*>(· [^<]*)</text>', (tmp_path / "a.svg").read_text())
    assert text == "· random weights"
    title = next(each for each in picture.parts if isinstance(each, Text) and each.text == " · random weights")
    space = text_length(font_of_size(title.size), " ")
    assert float(x) / 0.75 == pytest.approx(title.x + space, abs=0.1)


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_a_vector_file_is_replaced_and_one_of_the_users_is_not(tmp_path, picture, suffix):
    file = tmp_path / f"a.{suffix}"
    save_picture(picture, file)
    save_picture(picture, file)
    file.write_text("mine")
    with pytest.raises(UsageError, match="is kept"):
        save_picture(picture, file)


def test_a_notebook_shows_it(picture):
    assert picture._repr_png_().startswith(b"\x89PNG")
