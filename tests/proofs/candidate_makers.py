"""The tools that make ONNX files of a model, or other files of one: each is a function from a model to a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

__all__ = ["MAKERS", "Made", "Maker"]


@dataclass(frozen=True)
class Made:
    """A model that files are made of."""

    module: nn.Module
    image: torch.Tensor
    """N C H W"""
    folder: Path


Maker = Callable[[Made, Path], None]


def _dynamo(made: Made, file: Path) -> None:
    torch.onnx.export(made.module, (made.image,), file, dynamo=True, external_data=False, verbose=False)


def _legacy(opset: int) -> Maker:
    def make(made: Made, file: Path) -> None:
        torch.onnx.export(made.module, (made.image,), file, dynamo=False, opset_version=opset, verbose=False)

    return make


def _float(made: Made, opset: int = 17) -> Path:
    """Return an ONNX file in float32 that the other tools start from."""
    file = made.folder / f"float{opset}.onnx"
    if not file.exists():
        _legacy(opset)(made, file)
    return file


def _simplified(made: Made, file: Path) -> None:
    import onnxsim

    model, right = onnxsim.simplify(onnx.load(_float(made)))
    assert right
    onnx.save(model, file)


def _slimmed(made: Made, file: Path) -> None:
    import onnxslim

    onnx.save(onnxslim.slim(onnx.load(_float(made))), file)


def _optimized(level: str) -> Maker:
    def make(made: Made, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
        options.optimized_model_filepath = str(file)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(_float(made), options, providers=["CPUExecutionProvider"])

    return make


class _Images:
    """What a quantizer calibrates on."""

    def __init__(self, made: Made, name: str) -> None:
        generator = torch.Generator().manual_seed(0)
        images = [torch.randn(made.image.shape, generator=generator).numpy() for _ in range(4)]
        self._feeds = iter([{name: image} for image in images])

    def get_next(self) -> Mapping[str, Any] | None:
        return next(self._feeds, None)


def _static(made: Made, file: Path, **options: Any) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = made.folder / "prepared.onnx"
    if not prepared.exists():
        quant_pre_process(_float(made), prepared)
    name = onnx.load(prepared, load_external_data=False).graph.input[0].name
    quantize_static(
        prepared,
        file,
        _Images(made, name),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        **options,
    )


def _dynamic(made: Made, file: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(_float(made), file, weight_type=QuantType.QUInt8)


def _half(made: Made, file: Path) -> None:
    from onnxconverter_common import float16

    onnx.save(float16.convert_float_to_float16(onnx.load(_float(made)), keep_io_types=True), file)


def _half_of_runtime(made: Made, file: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(_float(made)), keep_io_types=False), file)


def _converted(start: int, opset: int) -> Maker:
    def make(made: Made, file: Path) -> None:
        onnx.save(onnx.version_converter.convert_version(onnx.load(_float(made, start)), opset), file)

    return make


MAKERS: dict[str, Maker] = {
    "torch.onnx, dynamo": _dynamo,
    "torch.onnx, legacy, opset 11": _legacy(11),
    "torch.onnx, legacy, opset 13": _legacy(13),
    "torch.onnx, legacy, opset 17": _legacy(17),
    "onnxsim": _simplified,
    "onnxslim": _slimmed,
    "ONNX Runtime, basic optimization": _optimized("BASIC"),
    "ONNX Runtime, extended optimization": _optimized("EXTENDED"),
    "static QDQ": _static,
    "dynamic quantization": _dynamic,
    "float16, onnxconverter-common": _half,
    "float16, onnxruntime.transformers": _half_of_runtime,
    "opset 13 to 17": _converted(13, 17),
    "opset 17 to 14": _converted(17, 14),
}
"""By name."""
