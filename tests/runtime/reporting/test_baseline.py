"""A baseline: verify fails only on what got worse, and noise isn't worse."""

import json

import pytest

from report_making import make_output, make_report, make_runner
from runtime.artifact.errors import UsageError
from runtime.reporting.baseline import not_compared, worse_than
from runtime.verdict.report import Report


def _of(drift: float | None, verdict: str = "pass") -> Report:
    return make_report(make_runner("onnx-cpu", [make_output("fc", drift, verdict)]), names=["fc"])


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        ((1.0, "pass"), (15.0, "pass"), False),
        ((3.0, "pass"), (420.0, "drift"), True),
        ((15.9, "pass"), (16.1, "drift"), False),
        ((100.0, "drift"), (199.0, "drift"), False),
        ((100.0, "drift"), (201.0, "drift"), True),
        ((100.0, "drift"), (None, "nonfinite"), True),
        ((None, "nonfinite"), (None, "missing"), False),
        ((None, "nonfinite"), (500.0, "drift"), False),
        ((0.0, "pass"), (17.0, "drift"), True),
        ((0.0, "pass"), (None, "shape"), True),
    ],
)
def test_an_output_is_worse_where_it_fails_by_twice_as_much(before, now, worse):
    found = worse_than(_of(*now), _of(*before))
    assert [(each.runner, each.output) for each in found] == ([("onnx-cpu", "fc")] if worse else [])


def test_the_reason_tells_what_it_was_and_what_it_is():
    assert str(worse_than(_of(420.0, "drift"), _of(3.1))[0]) == "onnx-cpu: fc: drift 3.1 -> 420"
    assert str(worse_than(_of(None, "nonfinite"), _of(3.1))[0]) == "onnx-cpu: fc: drift 3.1 -> nonfinite"


def test_a_runner_that_was_not_run_now_is_noted_and_is_not_worse():
    for before in (_of(1.0), _of(99.0, "drift")):
        now = make_report(names=["fc"], left_out={"onnx-cpu": "it is broken"})
        assert worse_than(now, before) == []
        assert [str(each) for each in not_compared(now, before)] == ["onnx-cpu: left out now: it is broken"]
        assert [str(each) for each in not_compared(make_report(names=["fc"]), before)] == ["onnx-cpu: not run now"]
        assert not_compared(before, before) == []


def test_outputs_that_are_not_there_now_are_noted_and_new_ones_are_judged_by_themselves():
    more = make_runner("onnx-cpu", [make_output("conv1"), make_output("relu"), make_output("fc", 99.0, "drift")])
    few = make_runner("onnx-cpu", [make_output("relu")])
    before, now = make_report(more), make_report(few, names=["relu"])
    assert worse_than(now, before) == []
    assert [str(each) for each in not_compared(now, before)] == ["onnx-cpu: 2 outputs are not there now (conv1, fc)"]
    assert [str(each) for each in worse_than(before, now)] == ["onnx-cpu: fc: drift 99, not in the baseline"]
    assert not_compared(before, now) == []


def test_a_runner_that_no_longer_runs_the_model_is_one_thing_that_got_worse():
    missing = [make_output("fc", None, "missing")]
    broken = make_report(make_runner("onnx-cpu", missing, error="out of memory"), names=["fc"])
    assert [str(each) for each in worse_than(broken, _of(1.0))] == ["onnx-cpu: can't run the model: out of memory"]
    assert worse_than(broken, broken) == []


def test_a_result_in_which_errors_add_up_is_worse_by_its_drift():
    def added_up(drift: float, verdict: str) -> Report:
        found = make_output("fc", drift, verdict, introduced=0.5, inherited=drift)
        return make_report(make_runner("onnx-cpu", [found]), names=["fc"])

    assert [each.why for each in worse_than(added_up(40.0, "drift"), added_up(3.0, "pass"))] == ["drift 3 -> 40"]
    assert worse_than(added_up(40.0, "drift"), added_up(30.0, "drift")) == []


def test_what_only_inherits_its_error_is_not_worse_by_itself():
    before = make_runner("onnx-cpu", [make_output("conv1"), make_output("relu"), make_output("fc")])
    now = make_runner(
        "onnx-cpu",
        [
            make_output("conv1"),
            make_output("relu", 420.0, "drift", introduced=400.0, inherited=1.0),
            make_output("fc", 420.0, "inherited", introduced=1.0, inherited=420.0),
        ],
        "drift",
    )
    assert [each.output for each in worse_than(make_report(now), make_report(before))] == ["relu"]


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict-baseline",), 1)])
def test_the_command_line_fails_on_what_was_not_run_if_asked_to(exported, tmp_path, layerprobe, strict, code):
    artifact, baseline = exported("cnn3").path, tmp_path / "r.json"
    assert layerprobe("verify", artifact, "--runner", "onnx-float64", "--json", baseline).code == 0
    report = json.loads(baseline.read_text())
    report["runners"].append({**report["runners"][0], "name": "onnx-cuda"})
    baseline.write_text(json.dumps(report))
    outcome = layerprobe("verify", artifact, "--runner", "onnx-float64", "--baseline", baseline, *strict)
    assert outcome.code == code
    assert "not compared with the baseline: onnx-cuda: not run now" in outcome.out
    assert "Nothing is worse than in the baseline." in outcome.out


def test_a_strict_baseline_without_a_baseline_is_wrong_usage(exported, layerprobe):
    refused = layerprobe("verify", exported("cnn3").path, "--strict-baseline")
    assert (refused.code, refused.out) == (2, "")
    assert "--baseline F" in refused.err


def test_a_new_runner_is_judged_by_itself():
    new = make_runner("onnx-cuda", [make_output("fc", 40.0, "drift")])
    now = _of(1.0)
    found = worse_than(now.model_copy(update={"runners": [*now.runners, new]}), now)
    assert [(each.runner, each.output) for each in found] == [("onnx-cuda", "fc")]


def test_a_node_on_another_provider_is_worse_if_it_was_not_there_before():
    before = make_report(make_runner("onnx-cpu", [make_output("fc")], "placement", misplaced=["Conv a"]), names=["fc"])
    now = make_report(
        make_runner("onnx-cpu", [make_output("fc")], "placement", misplaced=["Conv a", "Conv b"]), names=["fc"]
    )
    assert worse_than(before, before) == []
    assert [str(each) for each in worse_than(now, before)] == ["onnx-cpu: runs elsewhere than requested: Conv b"]


def test_another_model_or_other_outputs_are_no_baseline():
    report = _of(1.0)
    with pytest.raises(UsageError, match="is a report of other, not of net"):
        worse_than(report, report.model_copy(update={"environment": {"model": "other"}}))
    with pytest.raises(UsageError, match="it has none of these outputs"):
        worse_than(report, make_report(names=["relu"]))
    wider = report.outputs[0].model_copy(update={"shape": ("N", 16)})
    with pytest.raises(UsageError, match="fc has another shape or type there"):
        worse_than(report, report.model_copy(update={"outputs": (wider,)}))
