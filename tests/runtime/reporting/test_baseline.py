"""A baseline: verify fails only on what got worse, and noise isn't worse."""

import pytest

from report_making import make_output, make_report, make_runner
from runtime.artifact.errors import UsageError
from runtime.reporting.baseline import worse_than
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


def test_a_runner_that_is_gone_is_worse_whether_it_passed_or_not():
    for before in (_of(1.0), _of(99.0, "drift")):
        now = make_report(names=["fc"], left_out={"onnx-cpu": "it is broken"})
        assert [str(each) for each in worse_than(now, before)] == [
            "onnx-cpu: was compared before, left out now: it is broken"
        ]


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
    other = make_report(names=["fc", "relu"])
    with pytest.raises(UsageError, match="2 outputs there, 1 here; the first difference is at relu"):
        worse_than(report, other)
