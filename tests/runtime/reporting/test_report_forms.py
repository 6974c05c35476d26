"""A report in its forms: JSON, JUnit, HTML and Model Explorer's node data say the same, whatever a name holds."""

import io
import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from rich.console import Console

from conftest import ROOT
from report_making import make_facts, make_output, make_report, make_runner
from runtime.artifact.errors import ArtifactError, UsageError
from runtime.reporting.html_page import html_page
from runtime.reporting.json_report import load_report
from runtime.reporting.junit import junit_xml
from runtime.reporting.model_explorer import MEASURES, model_explorer_json
from runtime.reporting.schema import report_schema
from runtime.reporting.table import report_table
from runtime.verdict.ort_fusions import Fusion
from runtime.verdict.report import Culprit, Report, UnprobedReport

HOSTILE = "</td><script>alert('x')</script>\"&\x07\x1b[0m\ud800{{table}}"


@pytest.fixture
def mixed() -> Report:
    """One runner of each kind."""
    good = [make_output("conv1"), make_output("relu", 0.0), make_output("fc", introduced=0.5, inherited=0.5)]
    bad = [
        make_output("conv1", 420.0, "drift", introduced=419.0, inherited=1.0),
        make_output("relu", None, "nonfinite"),
        make_output("fc", None, "missing"),
    ]
    fusion = Fusion(operations=("Conv", "Relu"), nodes=("conv1", "relu"))
    unprobed = UnprobedReport(outputs=[make_output("fc", 30.0, "drift")], difference=3.0, prevented=[fusion])
    culprit = Culprit(output="conv1", cause="runtime", introduced=419.0)
    return make_report(
        make_runner("sound", good),
        make_runner("faulty", bad, culprit=culprit),
        make_runner("elsewhere", good, "placement", misplaced=["Conv conv1"]),
        make_runner("fusing", good, "drift", unprobed=unprobed, first_failing="fc"),
        left_out={"absent": "there is no driver"},
    )


class _Page(HTMLParser):
    """The page as a browser takes it apart: elements with attributes, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _suites(report: Report) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(junit_xml(report).encode())
    return {suite.get("name", "").removeprefix("net."): suite for suite in root}


def test_json_junit_and_html_give_each_runner_the_same_verdict(mixed):
    suites = _suites(Report.model_validate_json(mixed.model_dump_json()))
    cards = re.findall(r'<h3>(\S+) <span class="badge (\S+)">', html_page(mixed))
    assert cards == [*((runner.name, runner.verdict.tone) for runner in mixed.runners), ("absent", "warning")]
    for runner in mixed.runners:
        assert (int(suites[runner.name].get("failures")) == 0) == (runner.verdict == "pass")
        kinds = [failure.get("type") for failure in suites[runner.name].iter("failure")]
        assert not kinds or runner.verdict in kinds
    assert list(suites) == ["sound", "faulty", "elsewhere", "fusing", "absent"]


def test_what_is_unproven_is_not_marked_as_a_failure():
    page = html_page(make_report(make_runner("onnx-cpu", [make_output("fc", 1.0, "unproven")], "pass"), names=["fc"]))
    assert '<span class="badge warning">? unproven</span>' in page
    assert 'class="fails"' not in page


def test_junit_counts_what_it_holds(mixed):
    root = ElementTree.fromstring(junit_xml(mixed).encode())
    for element in (root, *root):
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == len(list(element.iter("failure")))
        assert element.get("errors") == "0"
    assert {name: suite.get("failures") for name, suite in _suites(mixed).items()} == {
        "sound": "0",
        "faulty": "3",
        "elsewhere": "1",
        "fusing": "1",
        "absent": "0",
    }


def test_junit_has_a_case_for_placement_one_for_each_unprobed_result_and_a_skipped_one_for_what_is_left_out(mixed):
    suites = _suites(mixed)
    placement = suites["elsewhere"].find("testcase[@name='placement']/failure")
    assert (placement.get("type"), placement.text) == ("placement", "Conv conv1")
    assert suites["fusing"].find("testcase[@classname='net.fusing.unprobed']/failure").get("type") == "drift"
    assert suites["absent"].find("testcase/skipped").get("message") == "there is no driver"
    first = suites["faulty"].find("testcase[@name='conv1']")
    assert first.get("classname") == "net.faulty"
    assert "420" in first.find("failure").get("message")
    assert "net.py:7" in first.find("failure").text
    told = {each.get("name"): each.get("value") for each in suites["sound"].iter("property")}
    assert told["opset"] == "20"
    assert told["threads"] == "2"


def test_junit_has_only_what_the_schema_of_jenkins_knows(mixed):
    # junit-10.xsd of Jenkins' xUnit plugin, which turns a whole report down for one attribute more.
    known = {
        "testsuites": {"name", "time", "tests", "failures", "errors"},
        "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "file"},
        "testcase": {"name", "classname", "time", "group"},
        "failure": {"type", "message"},
        "skipped": {"type", "message"},
        "properties": set(),
        "property": {"name", "value"},
    }
    for element in ElementTree.fromstring(junit_xml(mixed).encode()).iter():
        assert set(element.attrib) <= known[element.tag]


def test_a_report_without_runners_passes_in_no_form():
    empty = make_report()
    assert not empty.passed
    assert ElementTree.fromstring(junit_xml(empty).encode()).get("failures") == "1"
    assert "<title>net: fails</title>" in html_page(empty)


def test_a_model_of_one_output_has_every_form():
    report = make_report(make_runner("sound", [make_output("fc", 0.0, introduced=0.0, inherited=0.0)]), names=["fc"])
    assert ElementTree.fromstring(junit_xml(report).encode()).get("tests") == "2"
    assert len(_Page(html_page(report)).all("tr")) == 3
    assert json.loads(model_explorer_json(report, "sound"))["net"]["results"] == {"fc": {"value": 0.0}}


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_number_that_is_none_breaks_no_form(value):
    output = make_output("fc", value, "drift", introduced=value, inherited=value, max_abs=value)
    report = make_report(make_runner("faulty", [output]), names=["fc"])
    assert "nan" not in html_page(report).lower().split("<script>")[0]
    assert ElementTree.fromstring(junit_xml(report).encode()).get("failures") == "1"
    for measure in MEASURES:
        json.loads(model_explorer_json(report, "faulty", measure), parse_constant=pytest.fail)


def test_no_name_gets_out_of_its_place(mixed):
    facts = make_facts(HOSTILE).model_copy(update={"label": HOSTILE, "source": HOSTILE, "shape": [HOSTILE]})
    runner = make_runner(HOSTILE, [make_output(HOSTILE, 99.0, "drift")], facts={HOSTILE: HOSTILE}, misplaced=[HOSTILE])
    report = Report(
        headline=HOSTILE,
        environment={"model": HOSTILE, "time": HOSTILE},
        outputs=[facts],
        runners=[runner],
        left_out={HOSTILE: HOSTILE},
    )
    page = html_page(report)
    page.encode()
    parsed = _Page(page)
    assert len(parsed.all("script")) == 1
    assert len(parsed.all("table")) == 1
    case = ElementTree.fromstring(junit_xml(report).encode()).find("testsuite/testcase")
    assert case.get("name") == "</td><script>alert('x')</script>\"&??[0m?{{table}}"
    # Nothing but the names differs from a harmless report's elements.
    plain = _Page(html_page(mixed.model_copy(update={"runners": mixed.runners[:1]})))
    assert {tag for tag, _ in parsed.elements} <= {tag for tag, _ in plain.elements} | {"circle", "path", "section"}


def test_the_page_asks_for_nothing_but_itself(mixed):
    page = _Page(html_page(mixed))
    for _, attributes in page.elements:
        assert not {"onclick", "onload", "srcset"} & set(attributes)
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not page.all("link")
    assert "default-src 'none'" in page.all("meta")[3]["content"]
    assert not re.search(r"@import|url\(|https?://", html_page(mixed))


def test_every_column_of_the_table_can_be_sorted_and_what_is_worst_comes_first(mixed):
    page = html_page(mixed)
    table = page[page.index('<table id="outputs">') : page.index("</table>")]
    assert table.count('<th scope="col" aria-sort="none"><button type="button">') == 5 + 4 * len(mixed.runners)
    rows = re.findall(r'<tr id="o(\d)" data-rank="(\d)"', table)
    # The culprit, then what couldn't be measured, in the order of execution.
    assert rows == [("0", "0"), ("1", "1"), ("2", "2")]
    assert 'data-value="inf"' in table
    assert "Infinity" not in table


def test_the_chart_links_each_output_to_its_row(mixed):
    page = _Page(html_page(mixed))
    rows = {each["id"] for each in page.all("tr") if "id" in each}
    links = [each["href"] for each in page.all("a") if each.get("class") == "column"]
    assert links == ["#o0", "#o1", "#o2"]
    assert {link[1:] for link in links} <= rows
    assert any("faulty: drift, drift 420; introduced 419, inherited 1" in text for text in page.texts)


def test_the_page_tells_fusions_facts_and_environment(mixed):
    text = " ".join(_Page(html_page(mixed)).texts)
    for told in ("Conv + Relu", "threads", "there is no driver", "What it is.", "opset", "Conv conv1"):
        assert told in text


def test_model_explorer_gets_the_names_of_the_nodes_under_the_name_of_the_graph(mixed):
    data = json.loads(model_explorer_json(mixed, "faulty"))["net"]
    assert data["results"]["conv1"] == {"value": 419.0}
    assert data["results"]["relu"]["value"] == "nonfinite"
    limits = [step["value"] for step in data["thresholds"]]
    assert limits == sorted(limits)
    assert limits[-1] >= 419.0
    with pytest.raises(UsageError, match="sound, faulty, elsewhere, fusing"):
        model_explorer_json(mixed, "onnx-gpu")


def test_a_report_comes_back_from_its_file(mixed, tmp_path):
    file = tmp_path / "report.json"
    file.write_text(mixed.model_dump_json(indent=1))
    assert load_report(file) == mixed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read"),
        (b"\xff{", "is not valid JSON"),
        (b"[1]", "is not a report of"),
        (b'{"format_version": 2}', "has format version 2; this layerprobe reads 1"),
        (b'{"format_version": 1, "outputs": []}', "is not a report of `layerprobe verify --json`: headline"),
    ],
)
def test_a_file_that_is_no_report_is_told_so(content, said, tmp_path):
    file = tmp_path / "report.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ArtifactError, match=re.escape(said)):
        load_report(file)


@pytest.mark.parametrize(("width", "columns"), [(200, 3), (50, 2), (44, 1), (30, 1)])
def test_a_narrow_terminal_keeps_each_name_and_number_whole(width, columns):
    outputs = [make_output("layer1.0.batch_norm", 12.34), make_output("fc", 1.234)]
    runners = [make_runner(name, outputs) for name in ("onnx-cpu", "onnx-two")]
    report = make_report(*runners, names=[output.name for output in outputs])
    console = Console(width=width, file=io.StringIO())
    console.print(report_table(report))
    text = console.file.getvalue()
    assert [word in text for word in ("output", "label", "shape")] == [number < columns for number in range(3)]
    assert text.count("12.3") >= 2
    assert "…" not in text
    assert "layer1.0.batch_norm" in text or width == 30


def test_the_published_schema_is_what_the_code_says():
    file = ROOT / "artifacts" / "report.schema.json"
    assert file.read_text() == report_schema(), "run make report-schema"
