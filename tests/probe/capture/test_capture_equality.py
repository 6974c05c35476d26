"""Both ways of capturing tell the same of a model: names, labels, operations and source lines, one by one."""

import operator

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torchvision.models.feature_extraction import NodePathTracer

from probe import build_probe
from probe.capture.labels import AUGMENTED_OPERATORS

X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


class Body(nn.Module):
    """The convolution `conv`, and what a test does with its result."""

    def __init__(self, body, **parts) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        for name, part in parts.items():
            setattr(self, name, part)
        self.body = body

    def forward(self, x):
        return self.body(self, self.conv(x))


def told(model, *inputs, capture):
    return [output.model_dump() for output in build_probe(model, *inputs, capture=capture).outputs]


def differences(model, *inputs):
    traced, exported = (told(model, *inputs, capture=capture) for capture in ("trace", "export"))
    assert [output["name"] for output in exported] == [output["name"] for output in traced]
    return [
        (one["name"], key, one[key], other[key])
        for one, other in zip(traced, exported, strict=True)
        for key in one
        if not (agree(one[key], other[key]) if key == "layout" else one[key] == other[key])
    ]


def agree(layout, other):
    """Tell whether two layouts are one, as far as they are known: aten operations tell more or less than modules."""
    return len(layout) == len(other) and all(
        letter == another or "?" in (letter, another) for letter, another in zip(layout, other, strict=True)
    )


def in_a_method(model, y):
    return torch.div(y, 2) + 1


def several_lines(model, y):
    z = y + 1
    return z.add(
        2,
    )


def item_assignment(model, y):
    y[:, 0] = 1.0
    return y * 2


def unpacked(model, y):
    a, b = y.chunk(2, 1)
    return a * b


def augmented(model, y):
    y += 1
    y -= 2
    y *= 3
    y /= 4
    return y


ONE_LINERS = {
    "operators": lambda model, y: (y + 1 - y * 2) / 3,
    "reflected": lambda model, y: 1 + (2 - (3 * (4 / y))),
    "reflected power": lambda model, y: 2**y,
    "power": lambda model, y: y**2,
    "floor division": lambda model, y: y // 2,
    "modulo": lambda model, y: y % 2,
    "matrix product": lambda model, y: y @ y,
    "negation": lambda model, y: -y,
    "comparison": lambda model, y: y * (y > 0),
    "methods": lambda model, y: y.add(1).sub(2).mul(3).div(4).remainder(2),
    "methods in place": lambda model, y: y.add_(1).mul_(2).div_(3),
    "functions": lambda model, y: torch.add(torch.sub(torch.mul(y, 2), 3), 4),
    "division": lambda model, y: torch.div(y, 2),
    "true division": lambda model, y: torch.true_divide(y, 2),
    "method and operator on one line": lambda model, y: y.div(2) / 2 + y.div(3),
    "operator of a method's result": lambda model, y: y.add(1) + y.add(2),
    "sum of a list": lambda model, y: sum([y, y * 2, y * 3]),
    "activations": lambda model, y: F.gelu(F.silu(torch.sigmoid(y))),
    "in place activation": lambda model, y: F.relu(y, inplace=True) + 1,
    "pooling": lambda model, y: F.adaptive_avg_pool2d(F.max_pool2d(F.avg_pool2d(y, 2), 2), 1),
    "softmax": lambda model, y: y.softmax(1) + F.softmax(y, 1) + torch.softmax(y, 1),
    "means": lambda model, y: y.mean((2, 3), keepdim=True) + torch.mean(y),
    "interpolation": lambda model, y: F.interpolate(y, scale_factor=2.0),
    "padding": lambda model, y: F.pad(y, (1, 1)),
    "concatenation": lambda model, y: torch.cat([y, y * 2], 1),
    "chunk": lambda model, y: y.chunk(2, 1)[1] + 1,
    "chunk unpacked": unpacked,
    "chunk rejoined": lambda model, y: torch.cat(y.chunk(2, 1), 1),
    "chunk reversed": lambda model, y: torch.cat(y.chunk(2, 1)[::-1], 1),
    "maximum by index": lambda model, y: y.max(1)[0] * 2,
    "maximum by name": lambda model, y: torch.max(y, 1).values.exp(),
    "split": lambda model, y: y.split(1, 1)[3].split(4, 2)[1],
    "slice": lambda model, y: y[:, 1:, ::2],
    "transposition": lambda model, y: y.flatten(2).transpose(1, 2).mT + 1,
    "matrix transposition": lambda model, y: y.mean((2, 3)).T + 1,
    "einsum": lambda model, y: torch.einsum("nchw,nkhw->nck", y, y),
    "view": lambda model, y: y.flatten(1).view(-1, 4, 64).permute(0, 2, 1).reshape(-1, 256),
    "clamp": lambda model, y: y.clamp(0, 1).clamp_min(0.5),
    "normalisation": lambda model, y: F.layer_norm(y, (8,)),
    "nothing to do": lambda model, y: y.contiguous().to(torch.float32).float() + 1,
    "nothing to do at all": lambda model, y: y.contiguous(),
    "several lines": several_lines,
    "in a method": in_a_method,
    "item assignment": item_assignment,
    "augmented": augmented,
}


@pytest.mark.parametrize("body", ONE_LINERS.values(), ids=ONE_LINERS.keys())
def test_a_line_is_told_the_same_both_ways(body):
    assert differences(Body(body).eval(), X) == []


def unpacking(model, y):
    tokens = y.flatten(2).transpose(1, 2)
    given, weights = model.part(tokens, tokens, tokens)
    return given + 1, weights * 2


def ignoring(model, y):
    tokens = y.flatten(2).transpose(1, 2)
    given, _ = model.part(tokens, tokens, tokens)
    return given.chunk(2, 1)[1]


def indexing(model, y):
    tokens = y.flatten(2).transpose(1, 2)
    return model.part(tokens, tokens, tokens, need_weights=False)[0] + 1


def recurring(model, y):
    given, (hidden, _) = model.part(y.flatten(2).transpose(1, 2))
    return given + 1, hidden.chunk(1)[0]


def cell(model, y):
    hidden, state = model.part(y.mean((2, 3)))
    return hidden * state


def pooling(model, y):
    pooled, _ = model.part(y)
    return pooled + 1


MODULES = {
    "attention": (unpacking, nn.MultiheadAttention(4, 2, batch_first=True)),
    "attention by position": (unpacking, nn.MultiheadAttention(4, 2)),
    "attention without weights": (ignoring, nn.MultiheadAttention(4, 2, batch_first=True)),
    "attention by index": (indexing, nn.MultiheadAttention(4, 2, batch_first=True)),
    "LSTM": (recurring, nn.LSTM(4, 5, batch_first=True)),
    "LSTM cell": (cell, nn.LSTMCell(4, 5)),
    "pooling with indices": (pooling, nn.MaxPool2d(2, return_indices=True)),
    "identity": (lambda model, y: model.part(y) * 2, nn.Identity()),
    "dropout": (lambda model, y: model.part(y) * 2, nn.Dropout()),
    "in place": (lambda model, y: model.part(y) * 2, nn.ReLU(inplace=True)),
    "called twice": (lambda model, y: model.part(model.part(y)), nn.Conv2d(4, 4, 1)),
    "tied": (lambda model, y: model.second(model.part(y)), nn.Conv2d(4, 4, 1)),
    "returned whole": (lambda model, y: model.part(y.flatten(2).transpose(1, 2)), nn.GRU(4, 5, batch_first=True)),
}


@pytest.mark.parametrize(("body", "part"), MODULES.values(), ids=MODULES.keys())
def test_a_module_is_told_the_same_both_ways(body, part):
    torch.manual_seed(0)
    assert differences(Body(body, part=part, second=part).eval(), X) == []


AUGMENTED = {
    "iadd": "+=", "isub": "-=", "imul": "*=", "itruediv": "/=", "ifloordiv": "//=", "imod": "%=", "ipow": "**=",
    "iand": "&=", "ior": "|=", "ixor": "^=", "ilshift": "<<=", "irshift": ">>=",
}  # fmt: skip


class Augmenting(nn.Module):
    def __init__(self, symbol) -> None:
        super().__init__()
        self.line = compile(f"y {symbol} z", __file__.replace(".py", "_line.py"), "exec")

    def forward(self, y, z):
        names = {"y": y, "z": z}
        exec(self.line, names)
        return names["y"] * 2.0


def test_every_augmented_operator_has_a_test():
    assert set(AUGMENTED) == set(AUGMENTED_OPERATORS)
    assert all(hasattr(operator, name) for pair in AUGMENTED_OPERATORS.items() for name in pair)


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize("name", AUGMENTED)
def test_augmented_operators_are_captured_with_torchvisions_names(name, capture):
    integer = name in {"iand", "ior", "ixor", "ilshift", "irshift"}
    y = torch.arange(1, 9).reshape(2, 4) if integer else torch.arange(1.0, 9.0).reshape(2, 4)
    z = torch.full((2, 4), 2, dtype=y.dtype)
    model = Augmenting(AUGMENTED[name])
    probe = build_probe(model, y, z, capture=capture)
    assert torch.equal(probe(y.clone(), z)[probe.results[""]], model(y.clone(), z))
    tracer = NodePathTracer(leaf_modules=[])
    tracer.trace(model)
    names = [name for node, name in tracer.node_to_qualname.items() if node.op != "output"]
    assert [origin.name for node, origin in probe.traced.origins.items() if node.op != "output"][:4] == names
    operation = next(origin.operation for origin in probe.traced.origins.values() if origin.name == names[2])
    assert operation == f"operator.{name}"
