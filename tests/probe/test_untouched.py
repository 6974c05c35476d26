"""The user's model stays as it was, to the bit, whatever its own train(), eval() and copying do."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from export import export_artifact
from probe import average_probe, build_probe
from runtime import open_artifact
from runtime.artifact.errors import ModelError
from runtime.verdict.verification import verify

IMAGE = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class LowRank(nn.Module):
    """An adapter that merges its update into the weight when it leaves training, and takes it out again."""

    def __init__(self, by_numpy: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.other = nn.Conv2d(4, 4, 3)
        self.a, self.b = nn.Parameter(torch.randn(2, 3)), nn.Parameter(torch.randn(4, 2))
        self.merged, self.by_numpy = False, by_numpy

    def train(self, mode: bool = True):
        super().train(mode)
        if mode == self.merged:
            update = (self.b @ self.a).detach()[:, :, None, None] * (-1 if self.merged else 1)
            if self.by_numpy:
                self.conv.weight.data.numpy()[:] += update.numpy()
            else:
                self.conv.weight.data += update
            self.merged = not mode
        return self

    def forward(self, x):
        y = self.conv(x)
        if not self.merged:
            y = y + torch.nn.functional.conv2d(x, (self.b @ self.a)[:, :, None, None])
        return self.other(y)


class Folds(nn.Module):
    """A re-parametrised block that folds its branches in eval(), and empties one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow, self.folded = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1), None

    def eval(self):
        if self.folded is None:
            self.folded = nn.Conv2d(3, 4, 3, padding=1)
            self.folded.weight.data = self.wide.weight.data.clone()
            self.folded.weight.data[:, :, 1:2, 1:2] += self.narrow.weight.data
            self.folded.bias.data = self.wide.bias.data + self.narrow.bias.data
            self.narrow.weight.data.zero_()
        return super().eval()

    def forward(self, x):
        return self.folded(x) if self.folded is not None else self.wide(x) + self.narrow(x)


class FrozenNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def train(self, mode: bool = True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.norm(self.conv(x))


class CountsSwitches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.switches = nn.Conv2d(3, 4, 3), 0

    def train(self, mode: bool = True):
        self.switches += 1
        return super().train(mode)

    def forward(self, x):
        return self.conv(x)


class MergesByProperty(nn.Module):
    """What `training` is set to goes through a property, which scales the weight."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    @property
    def training(self) -> bool:
        return self.__dict__.get("_training", True)

    @training.setter
    def training(self, mode: bool) -> None:
        if "conv" in self.__dict__.get("_modules", {}) and mode != self.training:
            self.conv.weight.data.mul_(0.5 if not mode else 2)
        self.__dict__["_training"] = mode

    def forward(self, x):
        return self.conv(x)


class CopiesToItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def __deepcopy__(self, memo):
        return self

    def forward(self, x):
        return self.norm(self.conv(x))


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def parametrised() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    parametrize.register_parametrization(model[0], "weight", Doubled())
    return model


def with_state_dict_hook() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model._register_state_dict_hook(lambda module, state, prefix, local: module[0].weight.data.add_(1))
    return model


def state_of(model: nn.Module) -> dict[str, object]:
    """Everything that can be seen of a model from outside."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    state: dict[str, object] = {name: (id(tensor), tensor.detach().clone()) for name, tensor in tensors.items()}
    for path, module in model.named_modules():
        plain = {key: value for key, value in vars(module).items() if isinstance(value, bool | int | float | str)}
        hooks = {key: len(value) for key, value in vars(module).items() if key.endswith("_hooks")}
        state[f"module {path}"] = (type(module), module.training, plain, hooks)
    state["gradients"] = {name: tensor.grad is None for name, tensor in model.named_parameters()}
    return state


def assert_same(one: dict[str, object], other: dict[str, object]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], torch.Tensor):
            assert value[0] == other[key][0], key
            assert torch.equal(value[1], other[key][1]), key
        else:
            assert value == other[key], key


MODELS = {
    "low rank": LowRank,
    "low rank, by NumPy": lambda: LowRank(by_numpy=True),
    "folds": Folds,
    "frozen norm": FrozenNorm,
    "counts": CountsSwitches,
    "property": MergesByProperty,
    "copies to itself": CopiesToItself,
    "parametrised": parametrised,
    "state dict hook": with_state_dict_hook,
    "nested": lambda: nn.Sequential(LowRank(), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(4))),
}


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_same_to_the_bit_and_its_probe_is_of_its_eval_mode(name, capture):
    torch.manual_seed(0)
    model = MODELS[name]()
    before = state_of(model)
    probe = build_probe(model, IMAGE, capture=capture)
    assert_same(before, state_of(model))
    torch.manual_seed(0)
    expected = MODELS[name]().eval()
    with torch.no_grad():
        (result,) = (probe(IMAGE)[output] for output in probe.results.values())
        torch.testing.assert_close(result, expected(IMAGE), rtol=1e-5, atol=1e-5)


def test_weights_that_eval_leaves_alone_share_the_models_memory():
    model = LowRank()
    probe = build_probe(model, IMAGE)
    own = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    shared = {name for name, parameter in probe.module.named_parameters() if parameter.data_ptr() == own[name]}
    assert shared == {"conv.bias", "other.weight", "other.bias"}
    ordinary = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    pairs = zip(ordinary.parameters(), build_probe(ordinary, IMAGE).module.parameters(), strict=True)
    assert all(one.data_ptr() == other.data_ptr() for one, other in pairs)


def test_a_model_that_cannot_be_probed_is_the_same_too():
    class Fails(LowRank):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else self.missing

    model = Fails()
    before = state_of(model)
    with pytest.raises(ModelError):
        build_probe(model, IMAGE)
    assert_same(before, state_of(model))


def test_an_eval_that_fails_is_told_in_words():
    class Refuses(nn.Conv2d):
        def eval(self):
            raise RuntimeError("not yet trained")

    with pytest.raises(ModelError, match=r"Refuses.eval\(\) fails: RuntimeError: not yet trained"):
        build_probe(Refuses(3, 4, 3), IMAGE)


def test_the_model_can_be_copied_as_before():
    model = CopiesToItself()
    build_probe(model, IMAGE)
    assert copy.deepcopy(model) is model


def test_training_mode_is_said_once_and_eval_mode_is_not():
    from probe import TrainingModeWarning

    with pytest.warns(TrainingModeWarning, match="Sequential is in training mode"):
        build_probe(nn.Sequential(nn.Dropout(), nn.Conv2d(3, 4, 3)), IMAGE)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_probe(nn.Sequential(nn.Dropout(), nn.Conv2d(3, 4, 3)).eval(), IMAGE)


class Remembers(nn.Module):
    """Returns what a hook, a function inside a method, has kept on the model."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.seen = {}

        def keep(module, inputs, output):
            self.seen["conv"] = output

        self.conv.register_forward_hook(keep)

    def forward(self, x):
        return self.norm(self.conv(x)), self.seen["conv"]


class Lambda(nn.Module):
    """Calls a part through a lambda that refers to the model."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.steps = [lambda x: self.conv(x + 1), lambda x: x.relu()]

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


class Shared(nn.Module):
    """Hands a tensor on in a dictionary that a hook closes over, and has its steps in a tuple."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.seen = seen = {}
        self.conv.register_forward_hook(lambda module, inputs, output: seen.update(conv=output))
        parts = [self.conv, nn.ReLU()]
        self.steps = (lambda x: parts[1](parts[0](x)), torch.sigmoid)

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x + self.seen["conv"]


def patched():
    """A model whose forward was replaced by a function around the old one."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    before = model.forward
    model.forward = lambda x: before(x) * 2
    return model


@pytest.mark.parametrize("make", [Remembers, Lambda, Shared, patched])
def test_functions_that_refer_to_the_model_refer_to_the_copy_in_the_probe(make):
    torch.manual_seed(0)
    model = make().eval()
    probe = build_probe(model, IMAGE)
    assert "conv" not in getattr(model, "seen", {})
    with torch.no_grad():
        expected, tensors = model(IMAGE), probe(IMAGE)
    returned = expected if isinstance(expected, tuple) else (expected,)
    for tensor, name in zip(returned, probe.results.values(), strict=True):
        torch.testing.assert_close(tensors[name], tensor)
    assert {output.label for output in probe.outputs} >= {"Conv2d"}


class Drops(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(3), nn.Dropout()

    def forward(self, x):
        return self.drop(self.norm(x))


def _train_each_part(module):
    for part in module.children():
        assert part.train() is part
    return module


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize(
    "train",
    [
        lambda module: module.train(),
        lambda module: nn.ModuleList([module]).train(),
        lambda module: copy.copy(module).train(),
        _train_each_part,
    ],
    ids=["itself", "a whole", "a copy over the same parts", "a part by hand"],
)
@pytest.mark.parametrize("of", [lambda probe: probe.module, lambda probe: average_probe(probe).module])
def test_a_probe_stays_in_eval_mode_and_leaves_the_statistics_alone(capture, train, of):
    model = Drops().eval()
    probe = build_probe(model, IMAGE, capture=capture)
    before, expected = state_of(model), model(IMAGE)
    module = of(probe)
    trained = train(module)
    trained[0](IMAGE) if isinstance(trained, nn.ModuleList) else trained(IMAGE)
    assert torch.equal(probe(IMAGE)["drop"], expected)
    assert not module.training
    assert_same(before, state_of(model))
    assert model.train().norm.training


def test_a_part_that_is_trained_by_hand_shows_in_no_file_that_is_exported(tmp_path):
    model = Drops().eval()
    probe = build_probe(model, IMAGE)
    before = state_of(model)
    probe.module.norm.train()
    artifact = open_artifact(export_artifact(probe, tmp_path / "artifact"))
    assert_same(before, state_of(model))
    assert np.allclose(
        artifact.reference().truths["drop"].sample, model(*_recorded(artifact)).detach().flatten(), atol=1e-6
    )
    assert verify(artifact, ["onnx-cpu", "torchscript"]).passed


def _recorded(artifact):
    return map(torch.from_numpy, artifact.reference().inputs.values())
