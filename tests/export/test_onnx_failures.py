"""What torch.onnx can't convert: the message tells the line of the model, and the way around it that it gives works."""

import shlex
from pathlib import Path

import pytest
import torch
from torch import nn

from export import export_artifact, to_onnx
from probe import LoadedModel, build_probe
from runtime.artifact.errors import ExportError

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
CAPTURES = pytest.mark.parametrize("capture", ["trace", "export"])
HERE = "test_onnx_failures.py"


def _block(inner: nn.Module | None = None) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), inner or nn.ReLU())


def _line_of(text: str) -> int:
    """Return the number of the line in this file that ends in a comment."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {text}"))


def _failure(model: nn.Module, **options: object) -> str:
    probe = build_probe(model, X, **options)
    with pytest.raises(ExportError) as caught:
        to_onnx(probe)
    assert caught.value.exit_code == 3
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    return message


def _option(message: str, option: str) -> list[str]:
    words = shlex.split(message.splitlines()[-1])
    return [words[index + 1] for index, word in enumerate(words) if word == option]


class _Median(nn.Module):
    def forward(self, x):
        return x.median(1, keepdim=True)[0].expand_as(x)  # unknown within


class _OnTheWay(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = _block()
        self.body = _block(_Median())
        self.head = _block()

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


class _OnASide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = _block()
        self.side = _block()
        self.head = _block()

    def forward(self, x):
        x = self.stem(x)
        torch.linalg.svdvals(self.side(x)).sum(-1)  # unknown aside
        return self.head(x)


@CAPTURES
def test_an_unknown_operator_on_the_way_to_the_result_is_told_with_parts_that_can_be_exported(capture):
    message = _failure(_OnTheWay(), capture=capture)
    assert "no operator for aten.median.dim" in message
    assert "body.2." in message
    assert f"{HERE}:{_line_of('unknown within')})" in message
    parts = _option(message, "--submodule")
    assert parts == ["stem", "body.0", "head"]
    for part in parts:
        loaded = LoadedModel("model", _OnTheWay(), (X,), {}, None).submodule(part)
        to_onnx(build_probe(loaded.module, *loaded.example))
    # Keeping other outputs is no way around, and is not given as one: the model's result is always kept.
    assert "--outputs" not in message
    assert "aten.median" in _failure(_OnTheWay(), capture=capture, outputs=["stem.*"])


def test_an_unknown_operator_on_a_side_branch_is_told_with_the_outputs_that_do_without_it():
    message = _failure(_OnASide())
    assert f"{HERE}:{_line_of('unknown aside')})" in message
    patterns = _option(message, "--outputs")
    assert sorted(patterns) == ["head.*", "side.*", "stem.*"]
    probe = build_probe(_OnASide(), X, outputs=patterns)
    assert [spec.name for spec in probe.outputs] == [
        f"{part}.{index}" for part in ("stem", "side", "head") for index in range(3)
    ]
    to_onnx(probe)


def test_a_custom_operator_is_told_like_any_other():
    @torch.library.custom_op("layerprobe_test::soft_sign", mutates_args=())
    def soft_sign(x: torch.Tensor) -> torch.Tensor:
        return x / (1 + x.abs())

    soft_sign.register_fake(torch.empty_like)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = _block()

        def forward(self, x):
            return soft_sign(self.stem(x))  # custom operator

    message = _failure(Model())
    assert "no operator for layerprobe_test.soft_sign" in message
    assert f"{HERE}:{_line_of('custom operator')})" in message
    assert _option(message, "--submodule") == ["stem"]


def test_a_model_without_parts_is_told_so():
    class Model(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    assert _failure(Model()).endswith("No submodule of Model works without it: replace it in the model.")


@pytest.mark.filterwarnings("ignore")
def test_a_layer_that_pytorch_quantized_is_told_with_what_to_do_instead():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(16, 4)

        def forward(self, x):
            return self.fc(x)  # quantized

    model = torch.ao.quantization.quantize_dynamic(Model(), {nn.Linear}, dtype=torch.qint8)
    message = _failure(model)
    assert f"fc ({HERE}:{_line_of('quantized')}) is a Linear that PyTorch quantized" in message
    assert message.endswith("quantize its ONNX file (onnxruntime.quantization).")


def test_nothing_is_left_behind_where_the_conversion_fails(tmp_path):
    with pytest.raises(ExportError):
        export_artifact(build_probe(_OnTheWay(), X), tmp_path / "artifact")
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_the_model_fixes_is_told_with_the_option_to_leave_away():
    class Model(nn.Module):
        def forward(self, x):
            return torch.nn.functional.avg_pool2d(torch.relu(x), x.shape[2:])  # fixes the size

    message = _failure(Model(), dynamic_size=True)
    assert "can't leave the height of x open" in message
    assert f"{HERE}:{_line_of('fixes the size')}) takes only one size" in message
    assert "Omit --dynamic-size" in message
    to_onnx(build_probe(Model(), X))


def test_an_operator_that_takes_no_open_size_is_told_with_the_option_to_leave_away():
    class Model(nn.Module):
        def forward(self, x):
            return torch.roll(x, x.shape[2] // 2, 2)  # takes no open size

    message = _failure(Model(), dynamic_size=True)
    assert "can't convert aten.roll" in message
    assert f"{HERE}:{_line_of('takes no open size')})" in message
    assert "Omit --dynamic-size" in message
    to_onnx(build_probe(Model(), X))


def test_a_size_that_depends_on_values_is_told_with_the_line(capsys):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = _block()

        def forward(self, x):
            count = (self.stem(x) > 0).sum().item() // 2 * 2
            return torch.linspace(0, 1, count)  # depends on values

    message = _failure(Model())
    assert "a size depends on the values of tensors" in message
    assert f"{HERE}:{_line_of('depends on values')})" in message
    assert _option(message, "--submodule") == ["stem"]
    # torch prints the graph that it had until then.
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""


def test_the_probe_is_as_it_was_after_an_export_that_failed():
    probe = build_probe(_OnTheWay(), X)
    before = [(node.name, dict(node.meta)) for node in probe.module.graph.nodes]
    with pytest.raises(ExportError):
        to_onnx(probe)
    assert [(node.name, dict(node.meta)) for node in probe.module.graph.nodes] == before
