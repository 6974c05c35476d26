"""JavaScript says of a model whose result is NaN on every input what Python says: nothing was compared."""

import json

import torch
from javascript_here import needs_node, run_node
from safetensors.numpy import save_file
from torch import nn

import layerprobe as lp


@needs_node
def test_a_result_without_a_finite_value_is_no_pass_in_javascript_either(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    nn.init.constant_(model[3].weight, torch.nan)
    artifact = lp.export_artifact(lp.build_probe(model, torch.zeros(1, 3, 4, 4)), tmp_path / "artifact")
    recorded = lp.open_artifact(artifact).reference().inputs
    save_file(lp.open_runner(artifact, "onnx-cpu").run(recorded), tmp_path / "t.safetensors")
    run_node("testing/judge_tensors.js", tmp_path / "report.json", artifact, tmp_path / "t.safetensors")
    ours = json.loads((tmp_path / "report.json").read_text())[0]
    theirs = lp.verify(artifact, tensors=[tmp_path / "t.safetensors"])
    assert (ours["undefined"], ours["headline"]) == (theirs.undefined, theirs.headline) != ([], "All pass.")
