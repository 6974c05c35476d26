"""What runs inside autocast, no_grad, checkpoint or a compiled module is an output, or listed with the reason."""

import pytest
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


def _block():
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())


class Region(nn.Module):
    """A block inside a region."""

    def __init__(self, enter, block=None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.block, self.other = nn.Conv2d(3, 3, 3), block or _block(), _block()
        self.enter = enter

    def forward(self, x):
        return self.enter(self, self.first(x))


class Decorated(nn.Module):
    def __init__(self, decorate) -> None:
        super().__init__()
        self.inner = _block()
        self.run = decorate(self.inner)

    def forward(self, x):
        return self.run(x) * 2


def _in(context):
    def enter(model, x):
        with context:
            return model.block(x)

    return enter


def _checkpoint(reentrant):
    return lambda model, x: torch.utils.checkpoint.checkpoint(model.block, x, use_reentrant=reentrant)


def _doubled(model, x):
    weights = {name: weight * 2 for name, weight in model.block.named_parameters()}
    return torch.func.functional_call(model.block, weights, (x,))


def _chosen(model, x):
    return torch.cond(x.shape[1] == 3, model.block, model.other, (x,))


def _plain(model, x):
    return model.block(x)


def _compiled_forward():
    block = _block()
    block.forward = torch.compile(block.forward, backend="eager")
    return block


REGIONS = {
    "checkpoint": lambda: Region(_checkpoint(reentrant=False)),
    "checkpoint, reentrant": lambda: Region(_checkpoint(reentrant=True)),
    "no_grad": lambda: Region(_in(torch.no_grad())),
    "inference_mode": lambda: Region(_in(torch.inference_mode())),
    "enable_grad": lambda: Region(_in(torch.enable_grad())),
    "autocast": lambda: Region(_in(torch.autocast("cpu", dtype=torch.bfloat16))),
    "no_grad as a decorator": lambda: Region(_plain, Decorated(torch.no_grad())),
    "autocast as a decorator": lambda: Region(_plain, Decorated(torch.autocast("cpu", dtype=torch.bfloat16))),
    "cond": lambda: Region(_chosen),
    "compiled": lambda: Region(_plain, torch.compile(_block(), backend="eager")),
    "compiled forward": lambda: Region(_plain, _compiled_forward()),
    "functional_call": lambda: Region(_doubled),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("capture", ["auto", "export"])
@pytest.mark.parametrize("region", REGIONS)
def test_every_layer_that_runs_is_an_output_with_its_value(region, capture):
    model = REGIONS[region]().eval()
    ran = {}
    leaves = {path: part for path, part in model.named_modules() if not list(part.children())}
    hooks = [
        part.register_forward_hook(lambda _part, _given, result, path=path: ran.update({path: result}))
        for path, part in leaves.items()
    ]
    with torch.no_grad():
        model(IMAGE)
    for hook in hooks:
        hook.remove()
    probe = build_probe(model, IMAGE, capture=capture)
    tensors = probe(IMAGE)
    values = {output.module_path: tensors[output.name] for output in probe.outputs}
    assert len(ran) == 3
    for path, value in ran.items():
        torch.testing.assert_close(values[path], value)


def test_a_leaf_module_that_ran_and_is_not_in_the_graph_is_listed_with_the_reason(monkeypatch):
    """As a region would be that no capture opens: here the capture is made to forget one call."""
    from probe import attempts
    from probe.capture import fx_trace

    def forgetful(model, example, is_leaf):
        traced = fx_trace.trace(model, example, is_leaf)
        lost = [node for node, origin in traced.origins.items() if origin.name == "1_1"]
        for node in lost:
            del traced.origins[node]
        return traced

    monkeypatch.setattr(attempts, "trace", forgetful)
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
