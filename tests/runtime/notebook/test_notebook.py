"""What a prompt and a notebook show of a probe, an artifact, a run, its tensors and a report."""

import base64
import html
import math
import pickle
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import layerprobe as lp
from report_making import make_facts, make_output, make_report, make_runner
from runtime.artifact.tensors import Tensors

IMAGE = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)


@pytest.fixture(scope="module")
def artifact(exported):
    return exported("cnn2")


@pytest.fixture(scope="module")
def tensors(artifact):
    return lp.open_runner(artifact).run({"x": IMAGE.numpy()})


def _rows(shown: str) -> list[list[str]]:
    """Return the text of each row's cells. Every element that is opened must be closed, in order."""
    rows: list[list[str]] = []
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "img":
                opened.append(tag)
            if tag == "tr":
                rows.append([])
            if tag in ("td", "th"):
                rows[-1].append("")

        def handle_endtag(self, tag):
            assert opened.pop() == tag

        def handle_data(self, data):
            if opened and opened[-1] in ("td", "th", "b") and rows:
                rows[-1][-1] += data

    Reader().feed(shown)
    assert not opened
    return rows


def test_a_probe_shows_its_inputs_and_first_and_last_outputs(exported, artifact):
    loaded = lp.load_model("cnn2")
    probe = lp.build_probe(loaded.module, *loaded.example)
    assert repr(probe) == (
        "Probe of CNN2: takes x (N x 3 x 64 x 64, float32); outputs: 19\n"
        "  cnn1: Conv2d, N x 64 x 64 x 64\n"
        "  batchnorm1: BatchNorm2d, N x 64 x 64 x 64\n"
        "  relu: ReLU, N x 64 x 64 x 64\n"
        "  maxpool: MaxPool2d, N x 64 x 32 x 32\n"
        "  … 12 more\n"
        "  flatten: flatten, N x 1024\n"
        "  relu_4: ReLU, N x 1024\n"
        "  fc: Linear, N x 6"
    )
    assert repr(artifact) == f"Artifact({str(artifact.path)!r})\n{artifact.manifest!r}"
    assert repr(artifact.manifest) == str(artifact.manifest) == repr(probe).replace("Probe of CNN2", "cnn2")
    head, first, *_, last = _rows(probe._repr_html_())
    assert head == ["output", "operation", "shape", "dtype", "layout", "source"]
    assert first == ["cnn1", "Conv2d", "N x 64 x 64 x 64", "float32", "NCHW", "probe/model/variants.py:90"]
    assert last[0] == "fc"
    assert "<b>fc</b>" in probe._repr_html_()  # what the model returns
    assert _rows(artifact._repr_html_()) == _rows(artifact.manifest._repr_html_()) == _rows(probe._repr_html_())
    assert len(probe(*loaded.example)) == 19
    assert repr(probe(*loaded.example)).startswith("Tensors: 19\n  cnn1: 1 x 64 x 64 x 64, float32\n")


def test_what_is_shown_of_a_large_model_is_short():
    outputs = [make_facts(f"{'block.' * 40}{number}") for number in range(2000)]
    arrays = Tensors({each.name: np.zeros((1, 8, 4, 4)) for each in outputs}, outputs)
    assert len(repr(arrays)) < 1000
    report = make_report(make_runner("onnx-cpu", [make_output("fc")]))
    assert len(repr(report.model_copy(update={"headline": "All pass. " * 400}))) < 1000
    weights = np.linspace(0, 1, 999)
    assert len(repr(lp.ClassActivation(np.zeros((7, 7)), "exact", "layer4", 3, 0.5, weights))) < 1000
    assert repr(lp.draw_grid({"conv": np.eye(24)[None, None]}, [make_facts("conv")])).startswith("Picture of ")
    assert "the first 200 are shown" in arrays._repr_html_()
    assert len(_rows(arrays._repr_html_())) == 201


def test_tensors_are_a_dictionary_that_can_be_copied_and_stored(tensors):
    assert isinstance(tensors, dict)
    copied = pickle.loads(pickle.dumps(tensors))
    assert list(copied) == list(tensors)
    assert repr(copied) == repr(tensors)


def test_tensors_show_a_map_a_range_and_how_values_spread(tensors):
    shown = tensors._repr_html_()
    rows = _rows(shown)
    assert rows[0] == ["map", "output", "operation", "shape", "range", "values", ""]
    assert [row[1] for row in rows[1:]] == list(tensors)
    low, high = tensors["cnn1"].min(), tensors["cnn1"].max()
    assert rows[1][2:5] == ["Conv2d", "2 x 64 x 64 x 64", f"{low:.4g} … {high:.4g}"]
    pictures = [Image.open(BytesIO(base64.b64decode(each))) for each in re.findall(r"base64,([^\"]+)", shown)]
    assert [picture.size for picture in pictures] == [(48, 48)] * 16  # all but flatten, relu_4 and fc
    assert len(set(np.asarray(pictures[0]).reshape(-1, 3)[:, 1])) > 10
    assert shown.count("<polyline") == 19
    assert re.search(r"\d+ of 64 channels are 0", shown)


def test_a_recorded_run_is_shown_as_its_tensors(artifact, tensors, tmp_path, layerprobe):
    layerprobe("run", artifact.path, "--recorded-input", "-o", tmp_path / "run.safetensors")
    run = lp.open_run(tmp_path / "run.safetensors")
    first, *names = repr(run).split("\n")
    assert f"Run of cnn2 by onnx-cpu in {run.file}: 19 tensors".startswith(first.removesuffix("…"))
    assert names[0] == "  cnn1"
    assert [row[1] for row in _rows(run._repr_html_())[1:]] == list(tensors)


def test_a_report_is_shown_as_its_page_in_a_frame():
    report = make_report(make_runner("onnx-cpu", [make_output("fc")]))
    report = report.model_copy(update={"headline": "All <b>pass</b>."})
    assert repr(report) == "All <b>pass</b>.\n  onnx-cpu: pass"
    frame = re.fullmatch(
        r'<iframe srcdoc="([^"]+)" sandbox="allow-scripts" style="[^"]+"></iframe>', report._repr_html_()
    )
    assert frame
    page = frame[1]
    assert "All &lt;b&gt;pass&lt;/b&gt;." in html.unescape(page)
    assert html.unescape(page).startswith("<!doctype html>")


def test_names_of_a_stranger_stay_text():
    output = make_facts("<script>alert(1)</script>")
    arrays = Tensors({output.name: np.zeros((1, 8, 4, 4)), "<img src=x>": np.zeros(1)}, [output])
    shown = arrays._repr_html_()
    assert "<script" not in shown
    assert "<img src=x" not in shown
    assert [row[1] for row in _rows(shown)[1:]] == list(arrays)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 8, 4, 4), np.float32),
        np.full((1, 8, 4, 4), np.nan, np.float16),
        np.array([[[[1e308, -1e308], [np.inf, 0.0]]]]).repeat(8, axis=1),
        np.ones((2, 3), bool),
        np.array(3),
        np.array([1 + 1j, 2]),
        torch.ones(1, 8, 4, 4, dtype=torch.bfloat16),
        nn.Parameter(torch.ones(1, 8, 4, 4)),
    ],
    ids=["empty", "NaN", "largest", "bool", "scalar", "complex", "bfloat16", "parameter"],
)
def test_every_tensor_can_be_shown(array):
    output = make_facts("conv1")
    arrays = Tensors({"conv1": array}, [output])
    assert repr(arrays).startswith("Tensors: 1\n  conv1: ")
    assert _rows(arrays._repr_html_())[1][1] == "conv1"
    assert lp.table(arrays)[0]["output"] == "conv1"


def test_statistics_are_those_of_numpy(tensors):
    rows = lp.table(tensors)
    assert [row["output"] for row in rows] == list(tensors)
    for row, array in zip(rows, tensors.values(), strict=True):
        wide = array.astype(np.float64)
        channels = np.moveaxis(wide, 1, 0).reshape(wide.shape[1], -1)
        assert row["shape"] == array.shape
        assert (row["dtype"], row["nan"], row["infinite"]) == ("float32", 0, 0)
        found = [row[key] for key in ("mean", "std", "min", "max", "norm", "zeros")]
        assert found == pytest.approx(
            [wide.mean(), wide.std(), wide.min(), wide.max(), np.linalg.norm(wide), np.mean(wide == 0)], rel=1e-12
        )
        assert row["channels"] == len(channels)
        assert row["dead_channels"] == int((channels == 0).all(axis=1).sum())
    assert sum(row["dead_channels"] for row in rows) > 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8", "bool"])
def test_the_dtype_of_a_tensor_without_a_description_is_its_own(dtype):
    assert lp.table({"y": torch.ones(2, 3).to(getattr(torch, dtype))})[0]["dtype"] == dtype
    assert lp.table({"y": [1.0, 2.0]})[0]["dtype"] == "float64"


def test_statistics_leave_out_what_is_not_finite_and_count_it():
    (row,) = lp.table({"y": torch.tensor([1.0, 3.0, math.nan, math.inf, -math.inf, 0.0])})
    assert row == {
        "output": "y",
        "label": None,
        "shape": (6,),
        "dtype": "float32",
        "mean": pytest.approx(4 / 3),
        "std": pytest.approx(np.std([1, 3, 0])),
        "min": 0.0,
        "max": 3.0,
        "norm": pytest.approx(math.sqrt(10)),
        "zeros": pytest.approx(1 / 6),
        "channels": None,
        "dead_channels": None,
        "nan": 1,
        "infinite": 2,
    }


def test_channels_are_where_the_layout_says():
    array = np.ones((2, 4, 4, 3))
    array[..., 1] = 0
    output = make_facts("y").model_copy(update={"layout": "NHWC"})
    (row,) = lp.table({"y": array}, [output])
    assert (row["channels"], row["dead_channels"]) == (3, 1)


def test_a_sparse_tensor_has_the_statistics_of_what_it_stands_for():
    dense = torch.tensor([[0.0, 2.0], [0.0, 4.0]])
    (sparse,), (expected,) = lp.table({"a": dense.to_sparse()}), lp.table({"a": dense})
    assert sparse == expected
