"""The camera on a page, in a real browser: its pictures are shown by the tiles that were chosen once."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from javascript_here import PACKAGE, browser, node_modules, run_node
from onnx import helper, numpy_helper
from PIL import Image

from runtime import open_artifact
from runtime.main import main
from runtime.page.site_writing import write_page

COLOURS = ["red", "green", "blue"]
ENDS = (("image", 1, [1, 3, 32, 32]), ("result", 1, None))
SIZE = (96, 64)
"""Width and height of the film, in pixels."""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A model that takes a photo apart into its colours: those of a grey one are the same map."""
    nodes = [helper.make_node("Conv", ["image", f"of_{name}"], [name]) for name in COLOURS]
    nodes.append(helper.make_node("Concat", COLOURS, ["result"], axis=1))
    chosen = np.eye(3, dtype=np.float32).reshape(3, 1, 3, 1, 1).repeat(2, axis=1)
    weights = [numpy_helper.from_array(each, f"of_{name}") for name, each in zip(COLOURS, chosen, strict=True)]
    image, result = (helper.make_tensor_value_info(*each) for each in ENDS)
    graph = helper.make_graph(nodes, "colours", [image], [result], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path_factory.mktemp("colours")
    onnx.save(model, folder / "colours.onnx")
    with pytest.raises(SystemExit) as stop:
        main(["export", str(folder / "colours.onnx"), "-o", str(folder / "artifact"), "--quiet"])
    assert not stop.value.code
    return open_artifact(folder / "artifact")


def film() -> bytes:
    """Return Motion JPEG, which Chromium's fake camera plays again and again: black, then coloured and grey in turn."""
    draw, stream = np.random.default_rng(0), BytesIO()
    Image.new("RGB", SIZE).save(stream, "JPEG")
    for place in range(12):
        rough = Image.fromarray(draw.integers(0, 256, (4 + place, 6, 3), np.uint8)).resize(
            SIZE, Image.Resampling.BICUBIC
        )
        (rough.convert("L") if place % 2 else rough).convert("RGB").save(stream, "JPEG", quality=95, subsampling=0)
    return stream.getvalue()


@pytest.fixture(scope="module")
def visit(artifact, tmp_path_factory):
    """What was seen while the camera ran."""
    modules = node_modules("playwright-core", "onnxruntime-web")
    folder = tmp_path_factory.mktemp("camera")
    runtime = modules / "onnxruntime-web" / "dist"
    write_page(artifact, folder / "site", "net", backends=["wasm"], runtime_files=runtime, truths=False)
    (folder / "film.mjpeg").write_bytes(film())
    given = {
        "modules": str(modules),
        "chromium": browser(),
        "testing": str(PACKAGE / "testing"),
        "site": str(folder / "site"),
        "film": str(folder / "film.mjpeg"),
    }
    return json.loads(run_node(Path(__file__).with_name("camera_visit.mjs"), json.dumps(given)))


def tiles_of(pictures: list[dict[str, object]]) -> set[str]:
    """Which tiles were shown, but for pictures that are black, by which none is chosen."""
    return {", ".join(each["names"]) for each in pictures if each["names"]}


EACH = {"red, green, blue, result", "red"}
"""What a coloured and a grey picture are shown by, each alone."""


@pytest.mark.parametrize("when", ["frames", "anew", "all"])
def test_the_tiles_stay_while_the_pictures_change(visit, when):
    assert len({each["pixels"] for each in visit[when]}) > 1
    assert len(tiles_of(visit[when])) == 1
    assert tiles_of(visit[when]) < EACH


def test_they_are_chosen_again_when_the_visitor_asks(visit):
    assert tiles_of(visit["frames"]) | tiles_of(visit["anew"]) == EACH


def test_a_screen_reader_is_told_of_the_camera_and_not_of_each_picture(visit):
    assert {each["isSaid"] for each in visit["frames"]} == {False}
    assert visit["stopped"] == {"live": "polite", "hidden": True}
    assert visit["focused"] == "camera"


def test_the_camera_ends_with_the_reason_where_no_picture_can_be_shown(visit):
    assert "model.onnx is missing.\nCopy the whole folder again" in visit["failed"]


def test_nothing_went_wrong(visit):
    assert visit["problems"] == []
