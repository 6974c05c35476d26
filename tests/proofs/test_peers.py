"""What others are said to find is what they find."""

import logging
import shutil
from types import SimpleNamespace

import numpy as np
import onnx_ir
import pytest
import torch
from torch import nn
from torch.onnx.verification import verify_onnx_program

from export import export_artifact
from probe import build_probe
from proofs.peers import PEERS, alarmed, first_new
from proofs.planted_faults import plant
from runtime import open_artifact, open_runner

NAMES = {"conv2d": "one", "relu": "relu", "conv2d_1": "two"}
"""torch.export's names of the nodes to those of the outputs, by which torch.onnx finds them in a file."""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    torch.manual_seed(0)
    model = Net().eval()
    x = torch.randn(1, 3, 8, 8)
    folder = tmp_path_factory.mktemp("net") / "sound"
    return model, x, export_artifact(build_probe(model, x), folder, reference_inputs={"x": (x,)})


@pytest.mark.parametrize("kind", ["bias dropped", "constant rounded to float16"])
def test_torch_onnx_warns_of_the_same_values(net, tmp_path, caplog, kind):
    model, x, sound = net
    folder = shutil.copytree(sound, tmp_path / "faulty")
    assert plant(folder, kind, seed=1) is not None
    module = torch.export.export(model, (x,)).module()
    for node in module.graph.nodes:
        node.name = NAMES.get(node.name, node.name)
    exported = SimpleNamespace(module=lambda: module, _get_flat_args_with_check=lambda args, kwargs: (args, None))
    program = torch.onnx.ONNXProgram(onnx_ir.load(folder / "model.onnx"), exported)
    with caplog.at_level(logging.WARNING):
        infos = verify_onnx_program(program, (x,), {}, compare_intermediates=True)
    assert [info.name for info in infos] == list(NAMES.values())
    warned = [record.args[0] for record in caplog.records if record.msg.startswith("Verification info")]
    artifact = open_artifact(folder)
    arrays = open_runner(artifact, "onnx-cpu").run({"x": x.numpy()})
    assert alarmed(arrays, artifact.reference().truths)["torch.onnx (0.01, 0.1)"] == warned
    assert bool(warned) == (kind == "bias dropped")


@pytest.mark.parametrize(
    ("result", "truth", "told"),
    [
        (1 + 2e-6, 1.0, [False, False, False]),
        (1 + 2e-5, 1.0, [True, False, False]),
        (1.005, 1.0, [True, True, False]),
        (1.2, 1.0, [True, True, True]),
        # Above a relative tolerance alone, an element passes, but for torch.onnx's.
        (2e-6, 1e-6, [False, False, True]),
    ],
)
def test_each_has_its_own_tolerance(result, truth, told):
    assert [is_wrong(np.array([result]), np.array([truth])) for is_wrong in PEERS.values()] == told


def test_what_was_called_wrong_before_is_not_found():
    assert first_new(["a", "b", "c"], ["a", "c"]) == "b"
    assert first_new(["a"], ["a"]) is None
