"""What runs inside autocast, no_grad, checkpoint or a compiled module is an output, or listed with the reason."""

import torch
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import open_artifact, verify

IMAGE = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU()
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.first(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = self.act(self.second(x))
            with torch.autocast("cpu", enabled=False):
                x = self.act(x.float() * 2)
            x = self.head(x.mean((2, 3)))
        return x.float()


def test_what_runs_in_autocast_is_an_output_in_the_dtype_that_it_has_there(tmp_path):
    model = Autocast().eval()
    probe = build_probe(model, IMAGE)
    dtypes = {output.name: output.dtype for output in probe.outputs}
    assert dtypes == {
        "first": "float32", "second": "bfloat16", "act": "bfloat16", "float": "float32", "mul": "float32",
        "act_1": "float32", "mean": "float32", "head": "bfloat16", "float_1": "float32",
    }  # fmt: skip
    assert not torch.is_autocast_enabled("cpu")
    with torch.no_grad():
        assert torch.equal(probe(IMAGE)["float_1"], model(IMAGE))
    artifact = open_artifact(export_artifact(probe, tmp_path / "autocast"))
    assert verify(artifact, ["torchscript"]).passed


class Regions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Conv2d(3, 4, 3), nn.ReLU()
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
        self.compiled = torch.compile(nn.Sequential(nn.Conv2d(4, 4, 3), nn.Sigmoid()), backend="eager")

    def forward(self, x):
        x = torch.utils.checkpoint.checkpoint(self.block, self.first(x), use_reentrant=False)
        with torch.no_grad():
            x = self.act(x)
        return self.compiled(x)


def test_checkpoint_no_grad_and_compiled_modules_hide_nothing():
    probe = build_probe(Regions().eval(), IMAGE)
    modules = {output.module_path for output in probe.outputs}
    assert {"first", "block.0", "block.1", "act", "compiled._orig_mod.0", "compiled._orig_mod.1"} <= modules
    assert not [each for each in probe.skipped if "region" in each.reason]


def test_a_leaf_module_that_ran_and_is_not_in_the_graph_is_listed_with_the_reason(monkeypatch):
    """As a region would be that no capture opens: here the capture is made to forget one call."""
    from probe import build
    from probe.capture import fx_trace

    def forgetful(model, example, is_leaf):
        traced = fx_trace.trace(model, example, is_leaf)
        lost = [node for node, origin in traced.origins.items() if origin.name == "1_1"]
        for node in lost:
            del traced.origins[node]
        return traced

    monkeypatch.setattr(build, "trace", forgetful)
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 4, 3), relu).eval()
    probe = build_probe(nn.Sequential(model, nn.Conv2d(4, 2, 1)).eval(), IMAGE, capture="trace")
    assert [each.name for each in probe.skipped] == ["input"]
    probe = build_probe(_Twice().eval(), IMAGE, capture="trace")
    (hidden,) = (each for each in probe.skipped if each.name == "1")
    assert hidden.reason == "inside a region that torch captures as a whole (ReLU, called 2 times, 1 of them captured)"


class _Twice(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def forward(self, x):
        return self[2](self[1](self[1](self[0](x)) - 1))
