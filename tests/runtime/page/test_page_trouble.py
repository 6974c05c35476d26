"""What goes wrong on a page, in a real browser: it says what, and what to do, and goes on working."""

import base64
import io
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from javascript_here import PACKAGE, browser, node_modules, run_node
from PIL import Image

from runtime.page.site_writing import write_page

FILES = ["artifact/model.onnx", "runtime/ort.wasm.min.mjs", "src/session.js", "site.json"]


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def with_size(content: bytes, width: int, height: int) -> bytes:
    """Return a PNG whose header says another size."""
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + content[24:29]
    return content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]


BAD = {
    "text.jpg": ("image/jpeg", b"This is no photo.", r"text\.jpg is text, which .*\nTry a JPEG, PNG or WebP\."),
    "empty.png": ("image/png", b"", r"empty\.png is empty\.\nChoose a JPEG, PNG or WebP\."),
    "IMG_1.HEIC": ("", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), r"IMG_1\.HEIC is HEIC, which .*\nTry .*"),
    "bomb.png": (
        "image/png",
        with_size(png(), 30_000, 30_000),
        r"bomb\.png has 30000 x 30000 = 900,000,000 pixels; the limit is 89,478,485\.\nMake it smaller first\.",
    ),
    "cut.png": ("image/png", png()[:50], r"cut\.png is damaged, or no photo\.\nTry a JPEG, PNG or WebP\."),
    "film.mp4": ("video/mp4", b"film", r"There is no photo in what was dropped or pasted\.\nTry .*"),
}
"""By name: the type that the system says, the content, what the page says."""


@pytest.fixture(scope="module")
def visit(exported, tmp_path_factory):
    """What was seen."""
    modules = node_modules("playwright-core", "onnxruntime-web")
    site = tmp_path_factory.mktemp("trouble") / "site"
    write_page(exported("cnn2"), site, "net", backends=["wasm"], runtime_files=modules / "onnxruntime-web" / "dist")
    document = json.loads((site / "site.json").read_text())
    (site / "site.json").write_text(json.dumps(document | {"backends": ["wasm", "webgpu"]}))
    given = {
        "modules": str(modules),
        "chromium": browser(),
        "testing": str(PACKAGE / "testing"),
        "site": str(site),
        "photo": base64.b64encode(png()).decode(),
        "bad": [(name, kind, base64.b64encode(content).decode()) for name, (kind, content, _) in BAD.items()],
        "files": FILES,
    }
    return json.loads(run_node(Path(__file__).with_name("trouble_visit.mjs"), json.dumps(given)))


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_photo_is_called_what_it_is_and_the_next_photo_is_drawn(visit, name):
    said = visit["bad"][name]
    assert said["isProblem"]
    assert re.fullmatch(BAD[name][2], said["text"])
    assert said["then"].startswith("4 maps in ")


def test_a_photo_that_is_dropped_while_another_is_computed_is_shown_last(visit):
    assert visit["second"].startswith("4 maps in ")


def test_the_photo_before_one_that_is_none_is_what_is_shown(visit):
    assert (visit["third"]["photo"], visit["third"]["isProblem"]) == ("third.png", True)
    assert visit["third"]["text"].startswith("none.jpg is text")


def test_a_way_to_compute_that_cannot_be_loaded_leaves_the_one_before(visit):
    assert visit["webgpu"]["text"].startswith("runtime/ort.webgpu.min.mjs can't be loaded.\nCheck the connection; or ")
    assert visit["webgpu"]["chosen"] == "wasm"
    assert visit["webgpu"]["then"].startswith("4 maps in ")


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named_and_a_photo_tries_again(visit, file):
    said = visit["files"][file]
    assert said["isProblem"]
    assert (file.rpartition("/")[2] if file != "src/session.js" else "A part of this page") in said["text"]
    assert re.search(r"\n(Copy|Check the connection; or copy) .*the .*folder", said["text"], re.IGNORECASE)
    assert said["then"].startswith("4 maps in ")


def test_a_verdict_that_cannot_be_had_says_why(visit):
    assert visit["verdict"]["isProblem"]
    assert "reference.safetensors can't be fetched" in visit["verdict"]["text"]
