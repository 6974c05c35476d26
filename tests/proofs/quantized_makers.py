"""Right files in few bits: what ONNX Runtime's quantizers, its converters and ONNX's own operators make of a model."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from proofs.candidate_makers import Made

__all__ = ["MAKERS", "Images", "Mixed", "float_file", "prepared_file"]


class Mixed(nn.Module):
    """SiLU, hard-swish, a residual, a depthwise convolution, clamps and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _normed(3, 16, 3, stride=2)
        self.depthwise = _normed(16, 16, 3, groups=16)
        self.point = _normed(16, 32, 1)
        self.residual = _normed(32, 32, 3)
        self.last = _normed(32, 48, 3, stride=2)
        self.side = _normed(32, 16, 1)
        self.head = nn.Linear(64, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.depthwise(functional.relu6(self.stem(image))))
        x = functional.hardswish(self.point(x))
        x = functional.relu(self.residual(x) + x)
        side = functional.max_pool2d(torch.sigmoid(self.side(x)), 2)
        return self.head(torch.cat([functional.relu(self.last(x)), side], 1).mean((2, 3)))


def _normed(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out))


class Images:
    """What a quantizer calibrates on: half noise, half smooth as photos are."""

    def __init__(self, shape: tuple[int, ...], name: str) -> None:
        generator = torch.Generator().manual_seed(7)
        noise = [torch.randn(shape, generator=generator) for _ in range(6)]
        small = [torch.randn((*shape[:2], 8, 8), generator=generator) for _ in range(6)]
        smooth = [functional.interpolate(each, shape[2:], mode="bilinear") * 1.5 for each in small]
        self._feeds = iter([{name: image.numpy()} for image in (*noise, *smooth)])

    def get_next(self) -> Mapping[str, Any] | None:
        return next(self._feeds, None)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self._feeds


def float_file(made: Made) -> Path:
    """Return the file in float32 that the others are made of."""
    file = made.folder / "float.onnx"
    if not file.exists():
        options: dict[str, Any] = {"dynamo": False, "opset_version": 17, "input_names": ["input"], "verbose": False}
        torch.onnx.export(made.module, (made.image,), file, **options)
    return file


def prepared_file(made: Made) -> Path:
    """Return that file as ONNX Runtime prepares it for its quantizer."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    file = made.folder / "prepared.onnx"
    if not file.exists():
        quant_pre_process(float_file(made), file)
    return file


Maker = Callable[[Made, Path], None]


def _static(layout: str, activations: str, weights: str, method: str = "MinMax", **options: Any) -> Maker:
    def make(made: Made, file: Path) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        quantize_static(
            prepared_file(made),
            file,
            Images(tuple(made.image.shape), "input"),
            quant_format=QuantFormat[layout],
            activation_type=QuantType[activations],
            weight_type=QuantType[weights],
            calibrate_method=CalibrationMethod[method],
            **options,
        )

    return make


def _dynamic(made: Made, file: Path, weights: str = "QUInt8", **options: Any) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(float_file(made), file, weight_type=QuantType[weights], **options)


def _half(made: Made, file: Path, keep_io_types: bool) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(float_file(made)), keep_io_types=keep_io_types), file)


def _of_16_bits(made: Made, file: Path, type_: int = TensorProto.BFLOAT16) -> None:
    """Store and compute in bfloat16, between a cast of the input and of the result."""
    model = onnx.version_converter.convert_version(onnx.load(prepared_file(made)), 22)
    graph = model.graph
    dtype = helper.tensor_dtype_to_np_dtype(type_)
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
                array = numpy_helper.to_array(attribute.t).astype(dtype)
                attribute.t.CopyFrom(numpy_helper.from_array(array))
    given, result = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = ["narrow" if name == given else name for name in node.input]
        node.output[:] = ["narrow_result" if name == result else name for name in node.output]
    nodes = [helper.make_node("Cast", [given], ["narrow"], to=type_), *graph.node]
    del graph.node[:]
    graph.node.extend([*nodes, helper.make_node("Cast", ["narrow_result"], [result], to=TensorProto.FLOAT)])
    del graph.value_info[:]
    onnx.save(model, file)


def _weights_only(made: Made, file: Path, bits: str = "int4", block: int = 0) -> None:
    """Store the weights of convolutions and products in few bits, with a scale per channel or per block."""
    model = onnx.version_converter.convert_version(onnx.load(prepared_file(made)), 21)
    graph, added = model.graph, []
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in {"Conv", "Gemm", "MatMul"} or node.input[1] not in tensors:
            continue
        name = node.input[1]
        array = numpy_helper.to_array(tensors[name])
        axis, step = _step_of(array, 7, block)
        size = np.repeat(step, block, axis)[: array.shape[0], : array.shape[1]] if axis else step
        steps = np.clip(np.rint(array / size), -7, 7).astype(np.dtype(getattr(ml_dtypes, bits)))
        graph.initializer.append(numpy_helper.from_array(steps, f"{name}_steps"))
        scale = step if axis else step.reshape(-1)
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
        options = {"axis": axis, "block_size": block} if axis else {"axis": 0}
        added.append(
            helper.make_node("DequantizeLinear", [f"{name}_steps", f"{name}_scale"], [f"{name}_real"], **options)
        )
        node.input[1] = f"{name}_real"
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, file)


def _float8(made: Made, file: Path) -> None:
    """Round what convolutions read, and their weights, to float8 between QuantizeLinear and DequantizeLinear."""
    model = onnx.version_converter.convert_version(onnx.load(prepared_file(made)), 19)
    graph, nodes = model.graph, []
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zero = helper.make_tensor("zero8", TensorProto.FLOAT8E4M3FN, [], [0.0])
    graph.initializer.append(zero)
    largest, done = _largest(model, made), dict[str, str]()
    for node in graph.node:
        for place, name in enumerate(node.input[:2] if node.op_type in {"Conv", "Gemm"} else ()):
            if name not in done:
                size = float(np.abs(tensors[name]).max()) if name in tensors else largest[name]
                graph.initializer.append(numpy_helper.from_array(np.float32(size / 448), f"{name}_scale"))
                done[name] = f"{name}_real"
                parts = [f"{name}_scale", "zero8"]
                nodes.append(helper.make_node("QuantizeLinear", [name, *parts], [f"{name}_steps"]))
                nodes.append(helper.make_node("DequantizeLinear", [f"{name}_steps", *parts], [done[name]]))
            node.input[place] = done[name]
        nodes.append(node)
    copies = onnx.GraphProto(node=nodes)
    del graph.node[:]
    graph.node.extend(copies.node)
    onnx.save(model, file)


def _largest(model: onnx.ModelProto, made: Made) -> dict[str, float]:
    """Return by tensor the largest size that it has on what a quantizer calibrates on."""
    import onnxruntime

    marked = onnx.ModelProto()
    marked.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output]
    del marked.graph.output[:]
    marked.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(marked.SerializeToString(), providers=["CPUExecutionProvider"])
    images, largest = Images(tuple(made.image.shape), "input"), dict[str, float]()
    while (feed := images.get_next()) is not None:
        for name, array in (*feed.items(), *zip(names, session.run(names, dict(feed)), strict=True)):
            largest[name] = max(largest.get(name, 0.0), float(np.abs(array).max(initial=0.0)))
    return largest


def _step_of(array: np.ndarray, levels: int, block: int) -> tuple[int, np.ndarray]:
    """Return an axis and the steps on it: one for each row, or for each block of a row's columns."""
    if block and array.ndim == 2 and array.shape[1] % block == 0:
        blocks = np.abs(array).reshape(array.shape[0], -1, block)
        return 1, blocks.max(2) / levels
    return 0, np.abs(array).reshape(len(array), -1).max(1).reshape(-1, *(1,) * (array.ndim - 1)) / levels


def _matmul_of_4_bits(made: Made, file: Path) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    model = onnx.load(prepared_file(made))
    for node in model.graph.node:
        if node.op_type == "Gemm":  # which it doesn't take
            weight = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
            turned = np.ascontiguousarray(numpy_helper.to_array(weight).T)
            weight.CopyFrom(numpy_helper.from_array(turned, weight.name))
            product = helper.make_node("MatMul", node.input[:2], [f"{node.name}_product"], f"{node.name}_product")
            total = helper.make_node("Add", [product.output[0], node.input[2]], list(node.output), node.name)
            place = list(model.graph.node).index(node)
            model.graph.node.remove(node)
            model.graph.node.insert(place, product)
            model.graph.node.insert(place + 1, total)
            break
    quantizer = MatMulNBitsQuantizer(model, block_size=32, is_symmetric=True)
    quantizer.process()
    onnx.save(quantizer.model.model, file)


_U8, _S8, _S16 = "QUInt8", "QInt8", "QInt16"
_CONTRIB = {"UseQDQContribOps": True}

MAKERS: Mapping[str, Maker] = {
    "QDQ": _static("QDQ", _U8, _S8),
    "QDQ, per channel": _static("QDQ", _U8, _S8, per_channel=True),
    "QDQ, int8 activations": _static("QDQ", _S8, _S8, per_channel=True),
    "QDQ, symmetric": _static("QDQ", _S8, _S8, per_channel=True, extra_options={"ActivationSymmetric": True}),
    "QDQ, uint8 weights": _static("QDQ", _U8, _U8),
    "QDQ, reduced range": _static("QDQ", _U8, _S8, per_channel=True, reduce_range=True),
    "QDQ, entropy": _static("QDQ", _U8, _S8, "Entropy"),
    "QDQ, entropy, per channel": _static("QDQ", _S8, _S8, "Entropy", per_channel=True),
    "QDQ, percentile": _static("QDQ", _U8, _S8, "Percentile"),
    "QDQ, percentile 99.99": _static("QDQ", _U8, _S8, "Percentile", extra_options={"CalibPercentile": 99.99}),
    "QDQ, moving average": _static("QDQ", _U8, _S8, extra_options={"CalibMovingAverage": True}),
    "QDQ, int16 activations": _static("QDQ", _S16, _S8, extra_options=_CONTRIB),
    "QDQ, float8": _float8,
    "QLinear operators": _static("QOperator", _U8, _S8),
    "QLinear operators, per channel": _static("QOperator", _U8, _S8, per_channel=True),
    "QLinear operators, uint8, entropy": _static("QOperator", _U8, _U8, "Entropy"),
    "dynamic": _dynamic,
    "dynamic, per channel": partial(_dynamic, weights=_S8, per_channel=True),
    "int4 weights": _weights_only,
    "int4 weights in blocks": partial(_weights_only, block=16),
    "4-bit MatMulNBits": _matmul_of_4_bits,
    "float16": partial(_half, keep_io_types=False),
    "float16 inside": partial(_half, keep_io_types=True),
    "bfloat16": _of_16_bits,
}
"""By name."""
