"""JavaScript says of a model that is NaN, throughout or in places, what Python says."""

import json

import numpy as np
import onnx
import torch
from altered_artifacts import copy_of, rehash
from javascript_here import needs_node, run_node
from onnx import numpy_helper
from safetensors.numpy import save_file
from torch import nn

import layerprobe as lp


def _judged(folder, pairs):
    """Return the report of each artifact and what a runtime returned for it, in JavaScript and in Python."""
    files = [folder / f"{number}.safetensors" for number in range(len(pairs))]
    for file, (_, run) in zip(files, pairs, strict=True):
        save_file(run, file)
    places = [(artifact, file) for file, (artifact, _) in zip(files, pairs, strict=True)]
    run_node("testing/judge_tensors.js", folder / "reports.json", *(each for place in places for each in place))
    ours = json.loads((folder / "reports.json").read_text())
    return [(one, lp.verify(at, tensors=[file])) for one, (at, file) in zip(ours, places, strict=True)]


def _run(artifact):
    return lp.open_runner(artifact, "onnx-cpu").run(lp.open_artifact(artifact).reference().inputs)


@needs_node
def test_a_result_without_a_finite_value_is_no_pass_in_javascript_either(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    nn.init.constant_(model[3].weight, torch.nan)
    artifact = lp.export_artifact(lp.build_probe(model, torch.zeros(1, 3, 4, 4)), tmp_path / "artifact")
    ((ours, theirs),) = _judged(tmp_path, [(artifact, _run(artifact))])
    assert (ours["undefined"], ours["headline"]) == (theirs.undefined, theirs.headline) != ([], "All pass.")


class Divides(nn.Module):
    """Infinite in its second channel, and then NaN there: of more elements than a truth's sample."""

    def __init__(self):
        super().__init__()
        self.register_buffer("by", torch.tensor([1.0, 0.0, 2.0]).view(3, 1, 1))

    def forward(self, x):
        return x / self.by * self.by


def _with_divisors(folder, target, *values):
    """Return a copy of an artifact in whose ONNX file the division is by other numbers."""
    altered = copy_of(folder, target)
    model = onnx.load(altered / "model.onnx")
    (found,) = (each for each in model.graph.node if each.op_type == "Div")
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32).reshape(3, 1, 1), "other"))
    found.input[1] = "other"
    onnx.save(model, altered / "model.onnx")
    rehash(altered, "model.onnx")
    return altered


def _with_one(run, truths):
    """Where the model is NaN, one number, which its truth's sample doesn't hold."""
    changed = run["mul"].copy()
    flat = changed.reshape(-1)
    sampled = set(truths["mul"].sampled(np.arange(flat.size)).tolist())
    flat[next(at for at in np.flatnonzero(np.isnan(flat)) if at not in sampled)] = 1
    return {**run, "mul": changed}


def _told(runner):
    return runner["name"], runner["verdict"], [(each["name"], each["verdict"]) for each in runner["outputs"]]


@needs_node
def test_what_is_finite_where_the_model_is_nan_fails_in_javascript_as_in_python(tmp_path):
    torch.manual_seed(0)
    right = lp.export_artifact(lp.build_probe(Divides().eval(), torch.rand(1, 3, 96, 96) + 1), tmp_path / "right")
    finite = _with_divisors(right, tmp_path / "finite", 1, 1, 2)
    run, truths = _run(right), lp.open_artifact(right).reference().truths
    filled = {name: np.nan_to_num(array, nan=1, posinf=1) for name, array in run.items()}
    moved = {**run, "mul": np.roll(run["mul"], 1, axis=1)}
    pairs = [(right, run), (right, filled), (right, moved), (right, _with_one(run, truths)), (finite, _run(finite))]
    found = []
    for ours, theirs in _judged(tmp_path, pairs):
        python = [runner.model_dump(mode="json") for runner in theirs.runners]
        assert list(map(_told, ours["runners"])) == list(map(_told, python))
        assert ours["headline"] == theirs.headline
        found.append([runner["verdict"] for runner in ours["runners"]])
        assert ("mul is NaN in part" in ours["headline"]) == (found[-1] == ["pass", "pass"])
    assert found == [["pass", "pass"], *[["pass", "nonfinite"]] * 3, ["nonfinite", "nonfinite"]]
