"""A page in a real browser: one visit, as a person makes it, and what was seen on it."""

import base64
import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnx
import pytest
from javascript_here import browser, node_modules, run_node
from onnx import helper, numpy_helper
from PIL import Image
from safetensors.numpy import load_file, save_file

from runtime import open_artifact
from runtime.main import main
from runtime.maps.channel_mean import channel_mean
from runtime.maps.colour_maps import colour_table
from runtime.maps.grid_style import GridStyle
from runtime.maps.overview import overview_pages
from runtime.maps.picture import Pixels
from runtime.page.site_writing import write_page
from runtime.page.web_runtime import PACKAGE, VERSION
from runtime.runners.registry import open_image_runner
from runtime.runs.photo_maps import PhotoRun
from runtime.runs.preprocessing import preprocess_files

NAMES = ['<img src=x onerror="alert(1)">', "block.<b>bold</b>", "n" * 300, "عربية.conv", "constructor", "result"]


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a folder as `python -m http.server` does; instead of printing what was asked for, it keeps it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        self.server.asked.append(self.path)


@pytest.fixture(scope="module")
def serve():
    servers = []

    def start(folder: Path) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A chain of convolutions with names that a page might take for something else."""
    draw = np.random.default_rng(0)
    nodes, weights, before, channels, kernel = [], [], "image", 3, 12
    for index, name in enumerate(NAMES):
        filters = draw.normal(0, 0.3, (5, channels, kernel, kernel)).astype(np.float32)
        weights.append(numpy_helper.from_array(filters, f"w{index}"))
        # The first makes the photo smaller, so that a tile isn't as large as both by a whole number.
        steps = {"pads": [1, 1, 1, 1]} if index else {"strides": [6, 6]}
        nodes.append(helper.make_node("Conv", [before, f"w{index}"], [name], **steps))
        before, channels, kernel = name, 5, 3
    ends = (helper.make_tensor_value_info(*each) for each in ((NAMES[-1], 1, [1, 5, 48, 40]),))
    image = helper.make_tensor_value_info("image", 1, [1, 3, 294, 246])
    graph = helper.make_graph(nodes, "hostile", [image], list(ends), weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path_factory.mktemp("page")
    onnx.save(model, folder / "hostile.onnx")
    with pytest.raises(SystemExit) as stop:
        main(["export", str(folder / "hostile.onnx"), "-o", str(folder / "artifact"), "--quiet"])
    assert not stop.value.code
    return open_artifact(folder / "artifact")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """A photo, one that is transparent in parts, and one that is stored on its side."""
    draw = np.random.default_rng(1)
    rough = Image.fromarray(draw.integers(0, 256, (9, 13, 4), np.uint8), "RGBA").resize(
        (130, 90), Image.Resampling.BICUBIC
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    folder = tmp_path_factory.mktemp("photos")
    rough.convert("RGB").save(folder / "photo.png")
    rough.save(folder / "transparent.png")
    rough.convert("RGB").save(folder / "turned.png", exif=turned)
    return [folder / f"{name}.png" for name in ("photo", "transparent", "turned")]


@pytest.fixture(scope="module")
def visit(artifact, photos, serve, tmp_path_factory):
    """What was seen, and the folder of what was saved."""
    modules = node_modules("playwright-core", "onnxruntime-web", "axe-core")
    folder = tmp_path_factory.mktemp("visit")
    runtime = modules / "onnxruntime-web" / "dist"
    write_page(artifact, folder / "site", "<i>hostile</i>", backends=["wasm"], runtime_files=runtime)
    (folder / "elsewhere").mkdir()
    site, elsewhere = serve(folder / "site"), serve(folder / "elsewhere")
    given = {
        "modules": str(modules),
        "chromium": browser(),
        "url": f"http://127.0.0.1:{site.server_port}/",
        "elsewhere": f"http://127.0.0.1:{elsewhere.server_port}/secret",
        "photos": [[each.name, base64.b64encode(each.read_bytes()).decode()] for each in photos],
        "folder": str(folder),
    }
    script = Path(__file__).with_name("browser_visit.mjs")
    return json.loads(run_node(script, json.dumps(given))) | {"folder": folder, "elsewhere": elsewhere.asked}


def names(artifact) -> list[str]:
    return artifact.manifest.output_names


def test_the_page_opens_under_its_policy_without_an_error(visit):
    assert visit["ready"].startswith("Ready: 6 outputs. The model takes 294 × 246 pixels.")
    assert visit["atFirst"] == {"title": "<i>hostile</i> · feature maps", "heading": "<i>hostile</i>", "problems": []}
    assert visit["problems"] == []


def test_a_dropped_photo_shows_a_tile_for_each_output_by_its_name(visit, artifact):
    assert visit["dropped"].startswith("6 maps in ")
    assert visit["tiles"] == names(artifact)
    assert visit["photo"].startswith("photo.png246 × 294 of 130 × 90")
    assert visit["caption"] == ["Each tile is one output, in the order of execution: the mean over the channels."]
    assert visit["notes"][0].startswith("Each tile has its own colour limits (viridis)")


def test_names_stay_text(visit, artifact):
    assert names(artifact)[:2] == NAMES[:2]  # so that the test tries what it says
    assert len(names(artifact)[2]) >= 200
    assert visit["foreignElements"] == 0
    assert visit["widerThanThePhone"] == 0


def test_the_page_has_no_barriers_for_those_who_see_little_or_hear_it(visit):
    assert visit["barriers"] == {"maps": [], "large": [], "verdict": [], "dark": []}


def test_a_tile_opens_large_with_its_values_and_channels_by_keyboard(visit, artifact, photos):
    first = artifact.manifest.outputs[0]
    given = preprocess_files(photos[:1], artifact.manifest.preprocessing)
    arrays = open_image_runner(artifact, "onnx", "auto").run({"image": given})
    value = channel_mean(arrays[first.name], first.layout)[25, 21]
    assert visit["large"]["name"] == first.name
    assert visit["large"]["channels"] == 5
    place, _, read = visit["large"]["value"].partition(": ")
    assert place == "row 25, column 21"
    assert float(read.replace("−", "-")) == pytest.approx(value, rel=1e-4)
    assert (visit["next"], visit["closed"]) == (names(artifact)[1], True)
    assert visit["found"] == [names(artifact)[1]]


def test_the_keyboards_focus_is_never_lost(visit, artifact):
    assert visit["channel"] == "channel 2 of 5 · 48 × 40"
    assert visit["afterChannel"] == "large-map"
    assert visit["afterClosing"].startswith(names(artifact)[0])
    assert visit["whileJudging"] == "judge"


def test_a_screen_reader_is_told_how_it_went_in_a_sentence(visit):
    assert [each for each in visit["heardOfMaps"] if each] == [visit["statusBefore"]]
    assert re.match(r"Saved \d+ tensors and the input, ", visit["statusBefore"])
    assert [each for each in visit["heardOfVerdict"] if each.startswith("All pass.") and "✓" not in each]


@pytest.mark.parametrize("index", range(3))
def test_the_model_is_given_in_the_browser_what_it_is_given_in_python(visit, artifact, photos, index):
    saved = load_file(visit["folder"] / f"{index}.safetensors")
    given = preprocess_files(photos[index : index + 1], artifact.manifest.preprocessing)
    np.testing.assert_array_equal(saved["input:image"], given)
    expected = open_image_runner(artifact, "onnx", "auto").run({"image": given})
    assert sorted(saved) == sorted(["input:image", *names(artifact)])
    for name, array in expected.items():
        np.testing.assert_allclose(saved[name], array, rtol=0, atol=1e-5 * np.abs(array).max())


def test_every_tensor_is_saved_or_those_of_the_maps_that_are_shown(visit, artifact):
    every, shown = (load_file(visit["folder"] / f"{name}.safetensors") for name in ("every", "shown"))
    assert sorted(every) == sorted(["input:image", *names(artifact)])
    assert sorted(shown) == sorted(["input:image", *visit["found"]])
    assert re.match(
        r"Saved 1 tensor and the input, \d\.\d MB\.\nTo judge them: layerprobe verify ", visit["savedShown"]
    )


def test_the_tensors_that_are_saved_are_judged_in_python_by_the_command_that_the_page_shows(
    visit, artifact, layerprobe, tmp_path
):
    command = visit["savedShown"].partition("layerprobe ")[2]
    given = re.sub(r"\S+\.safetensors", str(visit["folder"] / "every.safetensors"), command).split()
    given = [str(artifact.path) if word == "ARTIFACT" else word for word in given]
    outcome = layerprobe(*given, "--json", tmp_path / "report.json")
    assert (outcome.code, outcome.out.partition(".")[0]) == (0, "All pass"), outcome.out
    (judged,) = [each for each in json.loads((tmp_path / "report.json").read_text())["runners"] if each["given"]]
    assert (judged["facts"]["runtime"], judged["facts"]["backend"]) == (f"{PACKAGE} {VERSION}", "wasm")
    changed = load_file(visit["folder"] / "every.safetensors")
    third = names(artifact)[2]
    changed[third] = changed[third] * np.float32(1.001)
    save_file(changed, tmp_path / "changed.safetensors")
    file = tmp_path / "changed.safetensors"
    outcome = layerprobe("verify", artifact.path, "--tensors", file, "--input", file)
    assert outcome.code == 1
    assert third[:40] in outcome.out.splitlines()[0]


def test_the_picture_that_is_saved_shows_the_maps_in_their_colours(visit):
    saved = np.asarray(Image.open(visit["folder"] / "picture.png").convert("RGB")).astype(int)
    viridis = colour_table("viridis").astype(int)
    known, counts = np.unique(saved.reshape(-1, 3), axis=0, return_counts=True)
    nearest = np.abs(known[:, None] - viridis[None]).max(axis=2).min(axis=1)
    assert counts[nearest <= 1].sum() > 0.2 * counts.sum()
    assert (saved.reshape(-1, 3).min(axis=1) == 255).mean() > 0.1  # the page between them


def test_the_picture_that_is_saved_shows_the_photo_by_pythons_pixels(visit, artifact, photos):
    run = PhotoRun(artifact, photos[0], lambda probe, some: open_image_runner(probe, "onnx", "auto", outputs=some))
    drawn = overview_pages(run, artifact.manifest.outputs, GridStyle(), "photo.png", run.seen()).picture(1)
    photo = next(part for part in drawn.parts if isinstance(part, Pixels))
    assert len(photo.colours) % photo.height, "at a whole number the browser's own scaling would be the same"
    saved = np.asarray(Image.open(visit["folder"] / "picture.png").convert("RGB"))
    columns, rows = slice(photo.x, photo.x + photo.width), range(max(0, photo.y - 60), photo.y + 60)
    tiles = [saved[row : row + photo.height, columns] for row in rows]  # other letters may move it up or down
    assert any(np.array_equal(tile, photo.image()) for tile in tiles)


def test_the_browser_is_judged_in_the_words_of_a_report(visit):
    assert visit["verdict"].startswith("All pass.")
    assert "onnx-web, wasm ✓ pass" in visit["verdict"]
    assert "All 6 outputs pass." in visit["verdict"]


def test_nothing_reaches_another_host(visit):
    assert visit["reaching"] == ["refused", "refused"]
    assert visit["elsewhere"] == []
