"""A model that can't be captured is refused with the parts that can be; a large one isn't run for that."""

import pytest
import torch
from torch import nn

from probe import build_probe
from runtime.artifact.errors import ModelError

IMAGE = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
RUNS = []


class Block(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 3, 1), nn.ReLU())


class Branching(nn.Sequential):
    """A branch on a tensor's values, inside a module that may stay whole."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 3, 1))

    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = Block(), nn.Sequential(Block(), Block())

    def forward(self, x):
        if type(x) is torch.Tensor:
            RUNS.append(x)
        features = self.backbone(x)
        return self.head(features[features > 0].reshape(1, 3, 1, -1)) if features.sum() > 0 else features


def test_control_flow_of_a_large_model_is_refused_without_a_run_and_with_the_parts_before_it(monkeypatch):
    monkeypatch.setattr("probe.attempts._QUICKLY_RUN", 0)
    RUNS.clear()
    with pytest.raises(ModelError) as refused:
        build_probe(Detector().eval(), IMAGE)
    assert RUNS == []
    first, second = str(refused.value).splitlines()
    assert "depends on the values of tensors (test_attempts.py:" in first
    assert second == "These parts of it can be probed: backbone (--submodule backbone)."


def test_a_part_called_with_a_list_flags_a_size_and_a_scalar_is_suggested_without_a_run(monkeypatch):
    class Neck(nn.Sequential):
        def forward(self, features, size, *, scale, flip, mode="nearest"):
            x = super().forward(features[0]) * scale + features[1]["bias"]
            x = nn.functional.interpolate(x, size=size, mode=mode)
            return x.flip(-1) if flip else x

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.neck, self.rest = Block(), Neck(nn.Conv2d(3, 3, 1)), Block()

        def forward(self, x):
            if type(x) is torch.Tensor:
                RUNS.append(x)
            y = self.backbone(x)
            y = self.neck([y, {"bias": y.mean((2, 3), True)}], x.shape[2], scale=y.max(), flip=True)
            return self.rest(y) if y.sum() > 0 else y

    monkeypatch.setattr("probe.attempts._QUICKLY_RUN", 0)
    RUNS.clear()
    with pytest.raises(ModelError) as refused:
        build_probe(Net().eval(), IMAGE)
    assert RUNS == []
    assert str(refused.value).endswith("These parts of it can be probed: backbone, neck (--submodule backbone).")


def test_a_model_all_of_whose_parts_are_suggested_is_not_run_for_more():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = Block(), Block()

        def forward(self, x):
            if type(x) is torch.Tensor:
                RUNS.append(x)
            y = self.head(self.backbone(x))
            return y if y.sum() > 0 else -y

    RUNS.clear()
    with pytest.raises(ModelError) as refused:
        build_probe(Net().eval(), IMAGE)
    assert RUNS == []
    assert str(refused.value).endswith("These parts of it can be probed: backbone, head (--submodule backbone).")


def test_calls_inside_a_suggested_part_take_no_memory(monkeypatch):
    class Wide(nn.Sequential):
        def forward(self, x):
            return super().forward(x.mean((2, 3), True).expand(-1, -1, 2**20, 2**20)).mean((2, 3))  # 12 terabytes

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(Wide(nn.Conv2d(3, 3, 1)), nn.ReLU())

        def forward(self, x):
            y = self.backbone(x)
            return y if y.sum() > 0 else -y

    monkeypatch.setattr("probe.attempts._QUICKLY_RUN", 0)
    with pytest.raises(ModelError) as refused:
        build_probe(Net().eval(), IMAGE)
    assert str(refused.value).endswith("These parts of it can be probed: backbone (--submodule backbone).")


def test_a_model_with_torch_cond_is_refused_with_the_reason():
    class Net(nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x - 1, (x,))

    with pytest.raises(ModelError, match=r"Net can't be captured as one graph: torch\.fx can't trace Net: "):
        build_probe(Net().eval(), IMAGE)


def test_modules_that_stay_whole_stay_so_in_the_parts_that_are_suggested():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(Block(), Branching())

        def forward(self, x):
            x = self.stem(x)
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError) as refused:
        build_probe(Net().eval(), IMAGE, leaf_modules=["Branching"])
    assert str(refused.value).endswith("These parts of it can be probed: stem (--submodule stem).")
    with pytest.raises(ModelError) as refused:
        build_probe(Net().eval(), IMAGE)
    assert str(refused.value).endswith("These parts of it can be probed: stem.0 (--submodule stem.0).")


def test_a_reason_that_both_captures_have_is_given_once_with_what_to_do():
    statistics = torch.zeros(3), torch.ones(3)

    class Net(nn.Module):
        def forward(self, x):
            return nn.functional.instance_norm(x, *statistics)

    with pytest.raises(ModelError) as refused:
        build_probe(Net().eval(), IMAGE)
    first, second = str(refused.value).splitlines()
    assert first.count("writes to a tensor that is none of its buffers") == 1
    assert "test_attempts.py:" in first
    assert second == "Register the tensor as a buffer, and write to it only in training: if self.training."
