"""The same tensors judged in JavaScript and in Python: the same verdict, culprit, words and nearly the same numbers."""

import functools
import json
import math
import re
import shutil

import numpy as np
import onnx
import pytest
from javascript_here import needs_node, run_node
from make_javascript_tables import FILES
from safetensors.numpy import save_file

from proofs.planted_faults import edited_model
from runtime import open_artifact, open_runner
from runtime.verdict.headline import headline
from runtime.verdict.report import Report
from runtime.verdict.verdict_kinds import Verdict
from runtime.verdict.verification import verify

OF_FILE = {"layerprobe.file": "model.onnx"}
NUMBERS = ("drift", "introduced", "inherited", "relative_to_scale")


def _weight(model, name):
    return next(each for each in model.graph.initializer if each.name == name)


def _put(tensor, array):
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def _node(model, operator, number=0):
    return [node for node in model.graph.node if node.op_type == operator][number]


def _beyond_javascript(model):
    """Pass a ReLU's result on through an operator that changes nothing, and that JavaScript's table lacks."""
    relu = _node(model, "Relu")
    name, relu.output[0] = relu.output[0], "before"
    place = list(model.graph.node).index(relu)
    shape = onnx.helper.make_node("Shape", ["before"], ["as before"])
    same = onnx.helper.make_node("CenterCropPad", ["before", "as before"], [name])
    model.graph.node.insert(place + 1, shape)
    model.graph.node.insert(place + 2, same)


def _one_weight(model):
    weight = _weight(model, _node(model, "Conv", 1).input[1])
    array = onnx.numpy_helper.to_array(weight).copy()
    array.reshape(-1)[np.argmax(np.abs(array))] *= 1.01
    _put(weight, array)


def _epsilon(model):
    for attribute in _node(model, "BatchNormalization", 1).attribute:
        if attribute.name == "epsilon":
            attribute.f = 1e-3


def _pads(model):
    for attribute in _node(model, "Conv").attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0, 0, 2, 2]


def _another_operator(model):
    _node(model, "Relu", 1).op_type = "Softplus"


def _bias(model):
    weight = _weight(model, _node(model, "Gemm").input[2])
    _put(weight, np.zeros_like(onnx.numpy_helper.to_array(weight)))


FAULTS = {
    "a weight 1 % off": _one_weight,
    "another epsilon": _epsilon,
    "shifted pads": _pads,
    "another operator": _another_operator,
    "a bias lost": _bias,
}
"""Of the file: what its runtime computes of it shares the fault."""


def _pixel(run):
    name = "relu"
    array = run[name].copy()
    array.reshape(-1)[array.size // 3] += 0.01
    return {**run, name: array}


def _not_finite(run):
    array = run["batchnorm1"].copy()
    array.reshape(-1)[7] = np.nan
    return {**run, "batchnorm1": array}


def _some(run):
    return {name: array for place, (name, array) in enumerate(run.items()) if place % 3 == 0 or place == len(run) - 1}


def _some_and_a_fault(run):
    few = _some(run)
    name = list(few)[2]
    return {**few, name: few[name] * np.float32(1.001)}


def _other_shape(run):
    return {**run, "maxpool": run["maxpool"][..., :-1]}


def _drifting_result(run):
    return {**run, "fc": run["fc"] + np.float32(1e-3)}


RUNS = {
    "right": lambda run: run,
    "one wrong pixel": _pixel,
    "NaN": _not_finite,
    "a part of the outputs": _some,
    "a part of the outputs, one of them wrong": _some_and_a_fault,
    "another shape": _other_shape,
    "a drifting result": _drifting_result,
    "an unknown tensor": lambda run: {**run, "another": np.zeros(3, np.float32)},
}
"""Of a right file: what a runtime may have returned."""
GAPS = {"a part of the outputs", "a part of the outputs, one of them wrong", "samples"}
"""Where what several operations may lose together is tried at random, by another generator here than there."""
CASES = [*RUNS, *FAULTS, "a right run beside a faulty file", "another recorded input", "an unknown file", "samples"]

BEYOND = "an operator that JavaScript can't compute"
BEYOND_AND_WRONG = "the same, and wrong"


@pytest.fixture(scope="module")
def judged(tmp_path_factory, exported):
    """Return a function that returns the report of a case in JavaScript and in Python."""
    folder = tmp_path_factory.mktemp("judged")
    right = exported("cnn2").path
    reference, second, *_ = open_artifact(right).references()
    run = open_runner(open_artifact(right), "onnx-cpu").run(reference.inputs)
    places = {}

    def add(case, artifact, tensors, metadata):
        # As a number, so that the headline's words don't depend on the case.
        file = folder / f"{len(places)}.safetensors"
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, file, metadata=metadata)
        places[case] = artifact, file

    for case, change in RUNS.items():
        add(case, right, change(run), OF_FILE)
    for case, fault in FAULTS.items():
        faulty = folder / f"artifact-{len(places)}"
        shutil.copytree(right, faulty)
        with edited_model(faulty) as model:
            fault(model)
        add(case, faulty, open_runner(open_artifact(faulty), "onnx-cpu").run(reference.inputs), OF_FILE)
    add("a right run beside a faulty file", faulty, run, OF_FILE)
    of_second = open_runner(open_artifact(right), "onnx-cpu").run(second.inputs)
    add("another recorded input", right, of_second, {**OF_FILE, "layerprobe.recorded_input": "1"})
    add("an unknown file", right, _pixel(run), {"device": "a phone"})
    samples = {name: truth.sampled(run[name]) for name, truth in reference.truths.items() if len(run[name].shape) == 4}
    shapes = {name: run[name].shape for name in samples}
    sampled = {**OF_FILE, "layerprobe.samples": json.dumps(shapes)}
    add("samples", right, {**run, **{name: each.reshape(-1) for name, each in samples.items()}}, sampled)
    unknown = folder / "unknown"
    shutil.copytree(right, unknown)
    with edited_model(unknown) as model:
        _beyond_javascript(model)
    add(BEYOND, unknown, run, OF_FILE)
    add(BEYOND_AND_WRONG, unknown, {**run, "relu": run["relu"] * np.float32(1.001)}, OF_FILE)
    run_node(
        "testing/judge_tensors.js", folder / "reports.json", *(each for place in places.values() for each in place)
    )
    reports = dict(zip(places, json.loads((folder / "reports.json").read_text()), strict=True))

    @functools.cache
    def by_python(artifact):
        # All files of an artifact at once: it is evaluated once.
        files = [file for own, file in places.values() if own == artifact]
        report = verify(artifact, tensors=files)
        of_file, *own = report.runners
        return report, dict(zip(files, ([of_file, each] for each in own), strict=True))

    def report(case):
        artifact, file = places[case]
        together, runners = by_python(artifact)
        words = headline(runners[file], together.outputs)
        return reports[case], together.model_copy(update={"headline": words, "runners": runners[file]})

    return report


@needs_node
@pytest.mark.parametrize("case", CASES)
def test_javascript_judges_as_python_does(judged, case):
    ours, theirs = judged(case)
    near = 0.4 if case in GAPS else 1e-3
    assert _words(ours["headline"], case) == _words(theirs.headline, case)
    # It is what `verify --json` writes: every form of the report shows it.
    parsed = Report.model_validate(ours)
    assert [each.name for each in parsed.runners] == [each.name for each in theirs.runners]
    for one, other in zip(parsed.runners, theirs.runners, strict=True):
        assert one.verdict is other.verdict
        assert one.first_failing == other.first_failing
        assert one.given == other.given
        assert one.facts == other.facts
        _same_culprit(one.culprit, other.culprit, near)
        assert [each.name for each in one.outputs] == [each.name for each in other.outputs]
        for mine, python in zip(one.outputs, other.outputs, strict=True):
            assert mine.verdict is python.verdict, mine.name
            for number in NUMBERS:
                _close(getattr(mine, number), getattr(python, number), f"{mine.name}: {number}", near)
    assert (parsed.untried, parsed.left_out) == (theirs.untried, theirs.left_out)


def _words(text, case):
    return re.sub(r"[0-9.e+-]+ times", "so many times", text) if case in GAPS else text


def _same_culprit(one, other, near):
    assert (one is None) == (other is None)
    if one is not None:
        _close(one.introduced, other.introduced, "the culprit's error", near)
        assert one.model_copy(update={"introduced": None}) == other.model_copy(update={"introduced": None})


def _close(one, other, what, near):
    assert (one is None) == (other is None), what
    if one is not None:
        # What float64 itself loses is nothing.
        assert math.isclose(one, other, rel_tol=near, abs_tol=1e-4), f"{what}: {one} and {other}"


@needs_node
def test_a_planted_fault_is_named_with_what_is_wrong_there(judged):
    ours, _ = judged("another epsilon")
    assert "its epsilon is 0.001, the model's 1e-05" in ours["headline"]
    assert "The ONNX file is at fault" in ours["headline"]


@needs_node
def test_what_javascript_cannot_compute_is_judged_by_the_truth_and_named(judged):
    (ours, theirs), (wrong, _) = judged(BEYOND), judged(BEYOND_AND_WRONG)
    (runner,) = ours["runners"]
    assert theirs.runners[1].verdict is Verdict.PASS
    assert runner["verdict"] == "pass"
    assert list(runner["not_recomputed"]) == ["relu"]
    assert "CenterCropPad" in runner["not_recomputed"]["relu"]
    assert ours["headline"].endswith("Judged by the truth alone, as JavaScript can't compute it in float64: relu.")
    assert "CenterCropPad" in ours["left_out"]["onnx-float64"]
    assert wrong["runners"][0]["verdict"] == "drift"
    assert wrong["runners"][0]["first_failing"] == "relu"


def test_pythons_tables_are_those_of_javascript():
    for file, text in FILES.items():
        assert file.read_text(encoding="utf-8") == text(), f"{file.name}: make javascript-tables"
