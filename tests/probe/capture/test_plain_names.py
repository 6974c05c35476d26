"""Modules may be called anything: outputs keep the modules' names, and what is exported can be loaded."""

import pytest
import torch
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import open_artifact, verify
from runtime.artifact.errors import ModelError

ODD = ["class", "None", 'a"b', "a'b", "a\nb", "\\", "e\u0301", "größe", "torch", "a b", "1"]


class Größe(nn.Module):  # noqa: PLC2401
    """Modules with odd names, one in another, and a parameter of the same name."""

    def __init__(self, names) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.names = names
        self.parts = nn.ModuleDict({name: nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()) for name in names})
        self.class_ = nn.ReLU()
        for name, part in zip(names, self.parts.values(), strict=True):
            part.register_parameter(f"{name}é", nn.Parameter(torch.ones(1)))

    def forward(self, größe):  # noqa: PLC2401
        for name in self.names:
            größe = self.parts[name](größe) + self.parts[name]._parameters[f"{name}é"]  # noqa: PLC2401
        return self.class_(größe)


def test_modules_of_any_name_go_the_whole_way(tmp_path):
    probe = build_probe(Größe(ODD), torch.zeros(1, 3, 4, 4))
    # A line break, which would forge a line in a terminal, is in no name.
    names = [name.replace("\n", "?") for odd in ODD for name in (f"parts.{odd}.0", f"parts.{odd}.1")]
    assert [output.name for output in probe.outputs if output.label != "add"] == [*names, "class_"]
    assert [output.module_path for output in probe.outputs if output.label == "Conv2d"] == names[::2]
    artifact = open_artifact(export_artifact(probe, tmp_path / "artifact"))
    assert verify(artifact, trust=True).passed


def test_a_plain_name_may_be_taken():
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.class_ = nn.Conv2d(3, 2, 1)
            self.add_module("class", nn.Conv2d(2, 1, 1))

        def forward(self, x):
            return getattr(self, "class")(self.class_(x))

    model = Both().eval()
    probe = build_probe(model, torch.zeros(1, 3, 4, 4))
    x = torch.randn(1, 3, 4, 4)
    assert [output.name for output in probe.outputs] == ["class_", "class"]
    assert torch.equal(probe(x)["class"], model(x))


def test_torch_export_says_that_it_cant_write_such_a_name():
    with pytest.raises(ModelError, match="invalid Python"):
        build_probe(Größe(["class"]), torch.zeros(1, 3, 4, 4), capture="export")
    assert build_probe(Größe(["größe"]), torch.zeros(1, 3, 4, 4), capture="export").outputs[0].name == "parts.größe.0"
