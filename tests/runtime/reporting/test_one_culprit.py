"""One culprit in every form: it comes first and is marked, what inherits its error is below and is no failure."""

import io
import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from rich.console import Console

from report_making import make_output, make_report, make_runner
from runtime.reporting.html_page import html_page
from runtime.reporting.junit import junit_xml
from runtime.reporting.model_explorer import model_explorer_json
from runtime.reporting.ranking import ranked
from runtime.reporting.table import report_table
from runtime.verdict.ort_fusions import Fusion
from runtime.verdict.report import Culprit, Report, UnprobedReport

NAMES = ("stem", "conv", "norm", "pool", "fc")


def _faulty(name: str = "onnx-cpu", culprit: str = "norm", scale: float = 1.0):
    """A runner in which `conv` errs, `norm` errs more, and what is behind inherits it."""
    outputs = [
        make_output("stem", 0.5, introduced=0.5, inherited=0.0),
        make_output("conv", 90.0, "drift", introduced=20.0, inherited=0.5),
        make_output("norm", 70.0, "drift", introduced=4000.0 * scale, inherited=9.0),
        make_output("pool", 1e6, "inherited", introduced=0.0, inherited=1e6),
        make_output("fc", 2e6, "inherited", introduced=0.5, inherited=2e6),
    ]
    blamed = Culprit(
        output=culprit, cause="export", introduced=4000.0 * scale, differences=["its epsilon is 1, the model's 2"]
    )
    unprobed = UnprobedReport(outputs=[make_output("fc", 2e6, "drift")], difference=0.0, prevented=[])
    return make_runner(name, outputs, "drift", first_failing="conv", culprit=blamed, unprobed=unprobed)


def _sound(name: str = "torchscript", **more):
    return make_runner(name, [make_output(each, introduced=1.0) for each in NAMES], **more)


@pytest.fixture
def blamed() -> Report:
    return make_report(_faulty(), _sound(), names=NAMES, results=["fc"])


def _lines(report: Report, **options) -> list[str]:
    console = Console(width=200, file=io.StringIO())
    console.print(report_table(report, **options))
    return console.file.getvalue().splitlines()


def _suite(report: Report, runner: str) -> ElementTree.Element:
    root = ElementTree.fromstring(junit_xml(report).encode())
    return next(suite for suite in root if suite.get("name") == f"net.{runner}")


def test_every_form_has_the_same_order(blamed):
    order = ["norm", "conv", "fc", "pool", "stem"]
    assert [output.name for output in ranked(blamed)] == order
    rows = [line.split()[0] for line in _lines(blamed)[3:8]]
    assert rows == order
    assert [NAMES[int(number)] for number in re.findall(r'<tr id="o(\d)"', html_page(blamed))] == order
    failures = [
        case.get("name") for case in _suite(blamed, "onnx-cpu").iter("testcase") if case.find("failure") is not None
    ]
    assert failures == ["norm", "conv"]
    data = json.loads(blamed.model_dump_json())
    assert [runner["culprit"] and runner["culprit"]["output"] for runner in data["runners"]] == ["norm", None]


def test_every_form_marks_the_culprit_and_what_inherits_its_error(blamed):
    rows = {line.split()[0]: line for line in _lines(blamed)[3:8]}
    assert "70 | 4e+03 culprit" in rows["norm"]
    assert "90 | 20 drift" in rows["conv"]
    assert "1e+06 | 0 inherited" in rows["pool"]
    assert not re.search("drift|culprit|inherited", rows["stem"])
    page = html_page(blamed)
    row = page[page.index('<tr id="o2"') :].split("</tr>")[0]
    assert row.count("✕ culprit") == 1
    assert page.count("↳ inherited") == 2
    assert "Culprit: <b>norm</b>" in page
    assert "its epsilon is 1, the model&#x27;s 2" in page
    assert "culprit: norm" in model_explorer_json(blamed, "onnx-cpu")


def test_junit_counts_a_fault_once_and_skips_what_inherits_its_error(blamed):
    suite = _suite(blamed, "onnx-cpu")
    assert (suite.get("failures"), suite.get("skipped")) == ("2", "3")
    skipped = {
        case.get("classname"): case.find("skipped").get("message")
        for case in suite.iter("testcase")
        if case.find("skipped") is not None
    }
    assert skipped == {
        "net.onnx-cpu": "inherits its error from conv, norm",
        "net.onnx-cpu.unprobed": "is wrong with every output as well",
    }
    culprit = suite.find("testcase[@name='norm']/failure")
    assert culprit.get("message").startswith("culprit: drift 70 times float32's own error")
    assert culprit.text.endswith("cause: export\nits epsilon is 1, the model's 2")
    told = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert told["culprit"] == "norm"


def test_a_runner_that_passes_has_no_culprit_but_a_largest_error(blamed):
    data = json.loads(blamed.model_dump_json())["runners"][1]
    assert data["culprit"] is None
    assert data["largest_error"] == {"output": "stem", "introduced": 1.0}
    assert "culprit" not in junit_xml(make_report(_sound(), names=NAMES)).lower()
    assert "culprit" not in "".join(_lines(make_report(_sound(), names=NAMES)))


def test_of_several_culprits_the_headlines_is_first():
    report = make_report(_faulty("one", "conv", 0.5), _faulty("other", "norm"), names=NAMES)
    assert [output.name for output in ranked(report)][:2] == ["norm", "conv"]


def test_what_cant_be_measured_is_marked_with_what_is_wrong_and_as_the_culprit():
    outputs = [make_output("stem"), make_output("conv", None, "nonfinite"), make_output("norm", None, "inherited")]
    blamed = Culprit(output="conv", cause="runtime", introduced=None)
    report = make_report(make_runner("onnx-cpu", outputs, "nonfinite", culprit=blamed), names=NAMES[:3])
    rows = _lines(report)[3:6]
    assert [row.split()[0] for row in rows] == ["conv", "norm", "stem"]
    assert rows[0].endswith("nonfinite, culprit")
    assert rows[1].endswith("inherited")
    page = html_page(report)
    assert '✕ culprit</span> <span class="badge bad">✕ nonfinite' in page


def test_a_fault_of_the_unprobed_model_alone_is_one_failure_at_its_first_result():
    unprobed = UnprobedReport(
        outputs=[make_output("pool", 30.0, "drift"), make_output("fc", 20.0, "drift")],
        difference=30.0,
        prevented=[Fusion(operations=("Conv", "Relu"), nodes=("conv", "norm"))],
    )
    blamed = Culprit(output="conv", cause="runtime", introduced=30.0, only_unprobed=True)
    runner = _sound("openvino", verdict="drift", first_failing="pool", culprit=blamed, unprobed=unprobed)
    report = make_report(runner, names=NAMES)
    suite = _suite(report, "openvino")
    (failure,) = suite.iter("failure")
    assert failure.get("message").startswith("wrong where conv isn't requested: drift 30 times")
    assert (
        suite.find("testcase[@classname='net.openvino.unprobed'][@name='fc']/skipped").get("message")
        == "fails as pool does"
    )
    assert ranked(report)[0].name == "conv"
    assert _lines(report)[3].endswith("1 | 1 culprit, unprobed")
    assert "✕ culprit, unprobed</span>" in html_page(report)


def test_a_runner_that_cant_run_the_model_is_one_failure():
    missing = [make_output(name, None, "missing") for name in NAMES]
    suite = _suite(make_report(make_runner("onnx-cpu", missing, error="out of memory"), names=NAMES), "onnx-cpu")
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "can't run the model: out of memory"
    assert suite.get("skipped") == "5"


def test_what_cant_be_proven_passes_in_no_form():
    outputs = [make_output("stem"), make_output("fc", 2.0, "unproven")]
    report = make_report(make_runner("onnx-cpu", outputs, "unproven"), names=["stem", "fc"])
    suite = _suite(report, "onnx-cpu")
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    assert suite.find("testcase[@name='fc']/skipped").get("message").startswith("can't be proven")
    assert "<title>net: nothing fails, not all is proven</title>" in html_page(report)
    lines = _lines(report)
    assert lines[3].split()[0] == "fc"
    assert lines[-2] == "onnx-cpu: 1 of 2 outputs pass, 1 can't be proven; largest drift 2, at fc"


def _names(page: str) -> list[tuple[str, str]]:
    return re.findall(r'<svg class="(name[^"]*)"[^>]*><text[^>]*>([^<]*)</text>', page)


def test_the_axis_names_each_output_where_there_is_room_and_the_culprit(blamed):
    assert _names(html_page(blamed)) == [
        ("name", "stem"),
        ("name", "conv"),
        ("name culprit", "norm"),
        ("name", "pool"),
        ("name", "fc"),
    ]
    long = "block.0." * 8 + "conv"
    (name,) = _names(html_page(make_report(make_runner("onnx-cpu", [make_output(long)]), names=[long])))
    assert name == ("name", "…" + long[-31:])


def test_of_many_outputs_the_axis_names_as_many_as_fit_without_touching_the_culprits():
    names = [f"layer{index}" for index in range(500)]
    outputs = [make_output(name, introduced=9e3 if name == "layer101" else 1.0) for name in names]
    blamed = Culprit(output="layer101", cause="runtime", introduced=9e3)
    found = _names(html_page(make_report(make_runner("onnx-cpu", outputs, "drift", culprit=blamed), names=names)))
    places = [int(name.removeprefix("layer")) for _, name in found]
    assert 101 in places
    assert len(places) <= 80
    assert min(after - before for before, after in pairwise(places)) >= 500 / 80
    narrow = [place for place, (kind, _) in zip(places, found, strict=True) if "roomy" not in kind]
    assert len(narrow) <= 24
    assert min(after - before for before, after in pairwise(narrow)) >= 500 / 25


def test_the_legend_tells_the_marks_that_the_chart_has(blamed):
    legend = re.search(
        '<fieldset class="legend"><legend class="soft">Shown</legend>(.*?)</fieldset>', html_page(blamed)
    )[1]
    assert "ring: fails" in legend
    assert "large ring: culprit" in legend
    assert "can't be measured" not in legend
    sound = html_page(make_report(_sound(), names=NAMES))
    assert "ring: fails" not in sound
    assert "ring: culprit" not in sound
    unmeasured = make_report(make_runner("onnx-cpu", [make_output("fc", None, "nonfinite")]), names=["fc"])
    assert "✕ at the top: can't be measured" in html_page(unmeasured)
