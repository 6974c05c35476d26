"""What is captured is what the operation produced at that moment, and the user's model comes back as it was."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision
from torch import nn

from probe import build_probe
from probe.observe.results import walk
from runtime.artifact.errors import ModelError, UsageError

IMAGE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


class _InPlace(nn.Module):
    """Convolution `conv`, whose result the given operation then overwrites."""

    def __init__(self, operation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)
        self.flatten = nn.Flatten(2)
        self.operation = operation

    def forward(self, x):
        return self.operation(self, self.conv(x))


def _augmented(model, y):
    y += 1
    return y * 2


def _through_a_view(model, y):
    y.view(-1).mul_(3)
    return y + 1


def _ignored_result(model, y):
    model.activation(y)
    return y + 1


def _augmented_under_another_name(model, y):
    same = y
    same += 1
    return y * 2


def _item_assignment(model, y):
    y[:, 0] = 7
    return y * 2


def _through_data(model, y):
    y.data.clamp_(min=0)
    return y + 1


OPERATIONS = {
    "module": lambda model, y: model.activation(y) + 1,
    "result ignored": _ignored_result,
    "method": lambda model, y: y.relu_() + 1,
    "function": lambda model, y: F.relu(y, inplace=True) + 1,
    "augmented assignment": _augmented,
    "augmented assignment under another name": _augmented_under_another_name,
    "item assignment": _item_assignment,
    "out=": lambda model, y: torch.add(y, 5, out=y) * 2,
    "through a view": _through_a_view,
    "through data": _through_data,
    "its shape": lambda model, y: y.unsqueeze_(1) * 2,
    "its shape, transposed": lambda model, y: y.transpose_(1, 3).relu_() * 2,
    "through a chunk": lambda model, y: y.chunk(2, dim=1)[0].zero_() + y[:, 2:],
}


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_in_place_operation_does_not_change_what_was_captured_before_it(name, capture):
    model = _InPlace(OPERATIONS[name]).eval()
    probe = build_probe(model, IMAGE, capture=capture)
    with torch.no_grad():
        for image in (IMAGE, IMAGE[:1], torch.cat([IMAGE, IMAGE + 1])):
            outputs = probe(image)
            assert torch.equal(outputs["conv"], model.conv(image))
            assert torch.equal(outputs[probe.results[""]], model(image))
    assert {spec.name: spec.shape for spec in probe.outputs}["conv"] == ("N", 4, 8, 8)


def _transposed(model, y):
    z = y.transpose(0, 1).contiguous()
    z.relu_()
    return z.sum((0, 2, 3))


def _permuted(model, y):
    z = y.permute(0, 2, 3, 1).contiguous()
    z *= 2
    return z


def _rearranged(model, y):
    return y.permute(0, 2, 3, 1).reshape(len(IMAGE[0]), -1).mul_(2).sum()


def _flattened(model, y):
    return model.flatten(y.mT).mul_(2).sum()


def _source_written(model, y):
    z = y.permute(0, 2, 3, 1).contiguous()
    y *= 2
    return y.permute(0, 2, 3, 1) + z * 0


def _converted(model, y):
    return y.double().mul_(2).float()


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize("operation", [_transposed, _permuted, _rearranged, _flattened, _converted])
def test_what_is_captured_does_not_depend_on_the_examples_batch_or_memory_format(operation, capture):
    """Whether these operations copy does."""
    model = _InPlace(operation).eval()
    probe = build_probe(model, IMAGE, capture=capture)
    channels_last = IMAGE.to(memory_format=torch.channels_last)
    with torch.no_grad():
        for image in (IMAGE, IMAGE[:1], channels_last, channels_last[:1]):
            assert torch.equal(probe(image)["conv"], model.conv(image))
        probe.module.double()
        assert torch.equal(probe(IMAGE.double())["conv"], copy.deepcopy(model).double().conv(IMAGE.double()))


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_copy_of_what_is_written_to_may_be_a_view_on_another_input(capture):
    model = _InPlace(_source_written).eval()
    probe = build_probe(model, IMAGE, capture=capture)
    channels_last = IMAGE.to(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(probe(channels_last)["contiguous"], model.conv(channels_last).permute(0, 2, 3, 1))


def test_without_the_clone_the_capture_would_be_overwritten():
    from probe.capture import traced_model

    model = _InPlace(OPERATIONS["module"]).eval()
    probe = build_probe(model, IMAGE)
    naive = traced_model.return_named(probe.traced.module, probe.nodes, set(), "Naive")
    with torch.no_grad():
        assert not torch.equal(naive(IMAGE)["conv"], probe(IMAGE)["conv"])
        assert torch.equal(naive(IMAGE)["conv"], probe(IMAGE)["activation"])


def test_every_module_of_resnet18_gives_what_a_cloning_hook_saw():
    model = torchvision.models.resnet18(weights=None).eval()
    x = torch.randn(1, 3, 64, 64)
    seen: list[torch.Tensor] = []
    handles = [
        module.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
        for module in model.modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    probe = build_probe(model, x)
    with torch.no_grad():
        outputs = probe(x)
    captured = [outputs[spec.name] for spec in probe.outputs if spec.operation.startswith("torch.nn.modules")]
    assert len(captured) == len(seen) == 60
    assert all(torch.equal(one, other) for one, other in zip(captured, seen, strict=True))


def test_the_model_comes_back_as_it_was():
    model = torchvision.models.resnet18(weights=None).train()
    model.bn1.eval()
    model.conv1.weight.requires_grad_(False)
    calls = []
    model.fc.register_forward_hook(lambda module, inputs, output: calls.append(1))
    model.register_buffer("seen", torch.zeros(1))
    modes = [module.training for module in model.modules()]
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    state = copy.deepcopy(model.state_dict())
    x = torch.randn(1, 3, 64, 64)
    x_before = x.clone()
    probe = build_probe(model, x)
    probe.module.double()
    probe.module.train()
    assert [module.training for module in model.modules()] == modes
    assert [parameter.data_ptr() for parameter in model.parameters()] == addresses
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.conv1.weight.requires_grad
    assert model.fc.weight.requires_grad
    assert len(model.fc._forward_hooks) == 1
    assert calls, "the model's own hooks are part of what it computes"
    assert torch.equal(x, x_before)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_model_that_fails_to_trace_comes_back_as_it_was_too():
    class Branching(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x

    model = Branching().train()
    with pytest.raises(ModelError, match=r"test_true_values\.py:\d+"):
        build_probe(model, IMAGE)
    assert model.training


def test_the_weights_are_shared_in_memory():
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
    probe = build_probe(model, IMAGE)
    assert {p.data_ptr() for p in probe.module.parameters()} == {p.data_ptr() for p in model.parameters()}
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(7)
        assert torch.equal(probe(IMAGE)["0"], torch.full((2, 4, 6, 6), 7.0))


def test_dropout_and_views_are_told_as_aliases_and_a_parameter_as_skipped():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)
            self.dropout = nn.Dropout()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x):
            x = self.dropout(self.conv(x))
            parts = torch.chunk(x * self.scale, 2, dim=1)
            return torch.flatten(parts[0] + parts[1].argmax(1, keepdim=True), 1)

    probe = build_probe(Model(), IMAGE)
    aliases = {output.name: output.alias_of for output in probe.outputs}
    assert aliases == {
        "conv": None,
        "dropout": "conv",
        "mul": None,
        "getitem": "mul",
        "getitem_1": "mul",
        "add": None,
        "flatten": "add",
    }
    reasons = {node.name: node.reason for node in probe.skipped}
    assert reasons == {
        "x": "an input of the model",
        "scale": "a parameter or buffer",
        "chunk": "a Python value (tuple)",
        "argmax": "not a floating-point tensor (int64)",
    }


def test_several_results_are_found_by_their_place_in_the_return_value():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            return {"out": y.relu(), "aux": [y, y.sigmoid()]}

    assert build_probe(Model(), IMAGE).results == {"out": "relu", "aux.0": "conv", "aux.1": "sigmoid"}


@pytest.mark.parametrize("capture", ["trace", "export", "auto"])
def test_a_model_that_returns_its_tensors_in_an_object_is_told_what_it_may_return(capture):
    @dataclass
    class Output:
        image: torch.Tensor

    class Model(nn.Module):
        def forward(self, x):
            return Output(x * 2)

    with pytest.raises(ModelError, match="Model returns Output: no tensor, and no tuple, list or dictionary"):
        build_probe(Model(), IMAGE, capture=capture)


def test_shapes_say_what_follows_the_batch():
    class Model(nn.Module):
        def forward(self, x):
            y = x.reshape(-1, 8, 8)
            return y.sum() + y

    shapes = [output.shape for output in build_probe(Model(), IMAGE).outputs]
    assert shapes == [("4*N", 8, 8), (), ("4*N", 8, 8)]


def test_outputs_are_chosen_by_glob_and_a_wrong_name_gets_the_nearest():
    model = torchvision.models.resnet18(weights=None)
    x = torch.zeros(1, 3, 64, 64)
    probe = build_probe(model, x, outputs=["layer1.0.*"])
    # What the model returns stays, or it would not be the model any more.
    assert {output.name.rpartition(".")[0] for output in probe.outputs} == {"layer1.0", ""}
    assert probe.outputs[-1].name == "fc"
    with pytest.raises(UsageError, match=r"layer1\.0\.conv1"):
        build_probe(model, x, outputs=["layer1.0.convl1"])


def test_a_failing_forward_is_told_with_node_line_and_shapes():
    with pytest.raises(ModelError, match=r"fails at 1\b.*\(2, 4, 8, 8\)(?s:.)*1 got \(2, 5, 8, 8\)"):
        build_probe(nn.Sequential(nn.Conv2d(4, 5, 1), nn.Conv2d(4, 5, 1)), IMAGE)


def test_the_source_line_is_the_models_own_also_behind_a_sequential():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())

        def forward(self, x):
            return self.layers(x)  # the line

    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.endswith("# the line"))
    for output in build_probe(Model(), IMAGE).outputs:
        assert output.source_file is not None
        assert output.source_file.endswith("test_true_values.py")
        assert not output.source_file.startswith("/")
        assert output.source_line == line


def _written_after(write):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            write(y)
            return y

    return Model()


@pytest.mark.parametrize(
    "write",
    [
        lambda y: y.relu_(),
        lambda y: y.__setitem__((slice(None), 0), 0),
        lambda y: y.__iadd__(1),
        lambda y: y.view(-1).mul_(3),
        lambda y: F.relu(y, inplace=True),
        lambda y: y.data.clamp_(min=0),
        lambda y: y.permute(0, 2, 3, 1).reshape(-1).mul_(3),
    ],
)
def test_what_the_model_returns_is_what_it_is_at_the_end(write):
    model = _written_after(write)
    probe = build_probe(model, IMAGE)
    with torch.no_grad():
        outputs = probe(IMAGE)
        assert torch.equal(outputs[probe.results[""]], model(IMAGE))
        assert torch.equal(outputs["conv"], model.conv(IMAGE))
    assert probe.results[""] != "conv"


class _Returning(nn.Module):
    def __init__(self, choose) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.register_buffer("mean", torch.ones(4, 1, 1))
        self.choose = choose

    def forward(self, x):
        return self.choose(self, x, self.conv(x))


class _Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@pytest.mark.parametrize(
    ("choose", "paths"),
    [
        (lambda m, x, y: x, [""]),
        (lambda m, x, y: (y, x), ["0", "1"]),
        (lambda m, x, y: y.chunk(2, 1), ["0", "1"]),
        (lambda m, x, y: _Pair(y, y + 1), ["0", "1"]),
        (lambda m, x, y: (y, x.shape[0]), ["0"]),
        (lambda m, x, y: (y, None), ["0"]),
        (lambda m, x, y: (y, m.conv.weight), ["0", "1"]),
        (lambda m, x, y: y - m.mean, [""]),
        (lambda m, x, y: y * torch.tensor(2.0) + torch.ones(4, 1, 1), [""]),
        (lambda m, x, y: {"out": y.argmax(1)}, ["out"]),
    ],
)
def test_whatever_tensors_a_model_returns_are_outputs(choose, paths):
    model = _Returning(choose).eval()
    probe = build_probe(model, IMAGE)
    assert list(probe.results) == paths
    with torch.no_grad():
        outputs = probe(IMAGE)
        returned = dict(walk(model(IMAGE)))
    for path, name in probe.results.items():
        assert torch.equal(outputs[name], returned[path])


def test_a_buffer_that_forward_writes_to_stays_as_it_was():
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)
            self.register_buffer("runs", torch.zeros(1, dtype=torch.int64))

        def forward(self, x):
            self.runs += 1
            return self.conv(x)

    model = Counting()
    build_probe(model, IMAGE)
    assert model.runs == 0


def test_a_tensor_that_is_neither_weight_nor_buffer_stays_as_it_was_too():
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)
            self.runs = torch.zeros(1)
            self.seen = [torch.zeros(1)]
            self.graph = torch.eye(3).to_sparse()

        def forward(self, x):
            self.runs += 1
            self.seen[0] += 1
            return self.conv(x)

    model = Counting()
    assert build_probe(model, IMAGE).results == {"": "conv"}
    assert model.runs == 0
    assert model.seen[0] == 0


def test_a_tensor_that_shares_a_weights_memory_follows_the_weight():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)
            self.kernel = self.conv.weight.detach()

        def forward(self, x):
            return F.conv2d(x, self.kernel)

    model = Tied()
    probe = build_probe(model, IMAGE)
    with torch.no_grad():
        model.conv.weight.fill_(1)
        assert torch.equal(probe(IMAGE)[probe.results[""]], model(IMAGE))


@pytest.mark.parametrize("capture", ["auto", "trace", "export"])
@pytest.mark.parametrize(
    "write",
    [
        lambda model, x: model.conv.weight.mul_(2),
        lambda model, x: model.conv.weight.data.clamp_(min=0),
        lambda model, x: torch.add(model.conv.weight, 1, out=model.conv.weight),
        lambda model, x: torch._foreach_mul_([model.conv.bias, model.conv.weight], 2.0),
        lambda model, x: model.conv.weight.mul_(2) if x.sum() != 0 else None,
    ],
    ids=["in place", "data", "out=", "list", "depending on the input"],
)
def test_a_forward_that_writes_to_a_weight_is_refused_and_the_weight_stays_as_it_was(write, capture):
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            write(self, x)
            return self.conv(x)

    model = Writing()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ModelError, match=r"forward writes to the parameter conv\.\w+.*test_true_values\.py:\d+"):
        build_probe(model, IMAGE, capture=capture)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_weight_that_forward_replaces_stays_as_it_was_in_the_model():
    class Renormed(nn.Conv2d):
        def forward(self, x):
            self.weight.data = torch.renorm(self.weight.data, 2, 0, 0.1)
            return super().forward(x)

    model = Renormed(4, 4, 1)
    before = model.weight.detach().clone()
    with pytest.raises(ModelError):
        build_probe(nn.Sequential(model), IMAGE)
    assert torch.equal(model.weight, before)


def test_a_part_that_tracing_misses_is_an_error_and_not_another_model():
    hooked = nn.Sequential(nn.Conv2d(4, 4, 1))
    hooked.register_forward_hook(lambda module, inputs, output: output * 2)
    with pytest.raises(ModelError, match="capture missed a part"):
        build_probe(hooked, IMAGE, capture="trace")

    class Random(nn.Module):
        def forward(self, x):
            return F.dropout(x * 2)

    with pytest.raises(ModelError, match="a different result each time"):
        build_probe(Random(), IMAGE)


def test_an_argument_with_a_default_keeps_it():
    class Scaled(nn.Module):
        def forward(self, x, scale=2.0):
            return torch.relu(x) * scale

    probe = build_probe(Scaled(), IMAGE)
    assert [spec.name for spec in probe.inputs] == ["x"]
    with pytest.raises(ModelError, match=r"takes x, scale=2\.0; the example"):
        build_probe(Scaled(), IMAGE, IMAGE, IMAGE)


def test_views_that_do_not_overlap_are_no_aliases():
    class Views(nn.Module):
        def forward(self, x):
            y = x * 2
            left = y[:, 0:1]
            left += 1
            return left + y[:, 1:2]

    aliases = {output.name: output.alias_of for output in build_probe(Views(), IMAGE[:1]).outputs}
    assert aliases["getitem_1"] is None


def test_a_probe_can_be_built_in_inference_mode():
    with torch.inference_mode():
        assert build_probe(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)), IMAGE.clone()).outputs


class _Filled(nn.Module):
    """Makes room by `room(x)`, which is filled by `fill(room, x)`."""

    def __init__(self, room, fill) -> None:
        super().__init__()
        self.room, self.fill = room, fill

    def forward(self, x):
        y = self.room(x)
        self.fill(y, x)
        return y * 2


def _one_by_one(y, x):
    for channel in range(4):
        y[:, channel].copy_(x[:, channel])


def _by_items(y, x):
    y[:, :2] = x[:, 2:]
    y[:, 2:] = x[:, :2]


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize(
    ("room", "fill", "outputs"),
    [
        (torch.empty_like, _by_items, ["getitem", "getitem_1", "mul"]),
        (lambda x: x.new_empty(x.shape), _by_items, ["getitem", "getitem_1", "mul"]),
        (torch.empty_like, _one_by_one, [*(f"getitem_{i}" for i in (1, 3, 5, 7)), *("copy_" for _ in range(4)), "mul"]),
        (torch.empty_like, lambda y, x: torch.add(x, 1, out=y), ["add", "mul"]),
        (torch.zeros_like, _by_items, ["zeros_like", "getitem", "getitem_1", "mul"]),
    ],
    ids=["items", "a method's", "views", "out", "zeros"],
)
def test_memory_that_is_not_filled_yet_is_no_output(room, fill, outputs, capture):
    probe = build_probe(_Filled(room, fill), IMAGE, capture=capture)
    names = [output.name.partition("copy_")[1] or output.name for output in probe.outputs]
    assert sorted(names) == sorted(outputs)
    blank = [skipped.name for skipped in probe.skipped if skipped.reason == "memory that is not filled yet"]
    assert bool(blank) is (room is not torch.zeros_like)
