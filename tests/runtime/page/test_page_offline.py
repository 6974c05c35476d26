"""A page that was opened once opens without network, in a real browser; one that was replaced shows what is new."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from javascript_here import PACKAGE, browser, node_modules, run_node
from PIL import Image

from runtime.page.site_writing import write_page


@pytest.fixture(scope="module")
def visit(exported, tmp_path_factory):
    """What was seen of a page that is replaced by another, and whose server then ends."""
    modules = node_modules("playwright-core", "onnxruntime-web")
    folder = tmp_path_factory.mktemp("offline")
    runtime = modules / "onnxruntime-web" / "dist"
    for title, backends in (("before", ["wasm"]), ("after", ["wasm", "webgpu"])):
        write_page(exported("cnn2"), folder / title, title, backends=backends, runtime_files=runtime)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)).save(folder / "photo.png")
    given = {
        "modules": str(modules),
        "chromium": browser(),
        "testing": str(PACKAGE / "testing"),
        "sites": [str(folder / "before"), str(folder / "after")],
        "photo": base64.b64encode((folder / "photo.png").read_bytes()).decode(),
    }
    script = Path(__file__).with_name("offline_visit.mjs")
    return json.loads(run_node(script, json.dumps(given))) | {"sites": folder}


def listed(site: Path) -> set[str]:
    return {"site.json", *json.loads((site / "site.json").read_text())["files"]}


def test_without_network_the_page_opens_draws_and_judges(visit):
    assert visit["unreachable"]
    assert visit["offline"] == "after · feature maps"
    assert visit["drawn"].startswith("4 maps in ")
    assert visit["tiles"] > 0
    assert visit["channels"] > 1
    assert visit["verdict"].startswith("All pass.")


def test_every_file_is_kept_and_webgpus_only_once_it_was_chosen(visit):
    assert set(visit["kept"]) == listed(visit["sites"] / "before")
    assert listed(visit["sites"] / "after") - set(visit["keptAgain"]) == {
        f"runtime/{name}"
        for name in (
            "ort.webgpu.min.mjs",
            "ort-wasm-simd-threaded.asyncify.mjs",
            "ort-wasm-simd-threaded.asyncify.wasm",
        )
    }


def test_a_page_that_was_replaced_is_not_shown_as_it_was(visit):
    assert (visit["first"], visit["replaced"]) == ("before · feature maps", "after · feature maps")
    assert len(visit["keptAgain"]) == len(set(visit["keptAgain"]))  # of no file what it was before


def test_the_policy_lets_the_page_keep_itself_without_an_error(visit):
    assert [each for each in visit["problems"] if "ERR_INTERNET_DISCONNECTED" not in each] == []
