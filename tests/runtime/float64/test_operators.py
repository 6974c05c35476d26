"""Each operator that is computed in place of onnx's own, against onnx's own or, where that is wrong, PyTorch's."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from torchvision.ops import deform_conv2d

from runtime.float64.nodes import NodeEvaluator
from runtime.float64.operators import OPERATORS

CASES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
RANDOM = np.random.default_rng(0)


def ours(operator: str, *arrays: Any, opset: int = 20, outputs: int = 1, **attributes: Any) -> Any:
    node, feeds = _node(operator, arrays, outputs, attributes)
    return _only(NodeEvaluator(node, {"": opset}).run([feeds.get(name) for name in node.input]))


def onnxs(operator: str, *arrays: Any, opset: int = 20, outputs: int = 1, **attributes: Any) -> Any:
    node, feeds = _node(operator, arrays, outputs, attributes)
    results = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = onnx.helper.make_graph([node], "one", [], results)
    return _only(ReferenceEvaluator(graph, opsets={"": opset}).run(None, feeds))


def _node(operator: str, arrays: Any, outputs: int, attributes: Any) -> Any:
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(arrays)]
    node = onnx.helper.make_node(operator, names, [f"y{i}" for i in range(outputs)], **attributes)
    return node, {name: np.asarray(array) for name, array in zip(names, arrays, strict=True) if name}


def _only(results: list[Any]) -> Any:
    return results[0] if len(results) == 1 else results


def close(one: Any, other: Any, tolerance: float = 1e-12) -> None:
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@st.composite
def windows(draw: Any, pools: bool = False) -> tuple[int, dict[str, Any]]:
    """Attributes of kernels, and how many axes they are for."""
    axes = draw(st.integers(1, 3))

    def each(low: int, high: int, count: int = axes) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel = each(1, 3)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": each(1, 3), "dilations": each(1, 2)}
    attributes["auto_pad"] = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if attributes["auto_pad"] == "NOTSET":
        # A pool's padding is less than its kernel: a window of nothing but padding has no maximum.
        attributes["pads"] = [draw(st.integers(0, size - 1 if pools else 2)) for size in kernel * 2]
    return axes, attributes


@CASES
@given(windows(), st.sampled_from([(1, 1, 1), (1, 3, 2), (2, 2, 2), (4, 1, 1), (3, 1, 2)]), st.booleans())
def test_convolutions_are_onnxs(case: tuple[int, dict[str, Any]], channels: tuple[int, int, int], bias: bool) -> None:
    axes, attributes = case
    group, into, outof = channels
    x = RANDOM.standard_normal((2, group * into, *range(6, 6 + axes)))
    w = RANDOM.standard_normal((group * outof, into, *attributes["kernel_shape"]))
    b = RANDOM.standard_normal(len(w)) if bias else None
    if attributes["auto_pad"].startswith("SAME"):
        attributes["dilations"] = [1] * axes  # onnx's own counts the pads of a dilated kernel by its last axis
    close(ours("Conv", x, w, b, group=group, **attributes), onnxs("Conv", x, w, b, group=group, **attributes))


def test_a_convolution_in_blocks_is_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = RANDOM.standard_normal((1, 6, 13, 11)), RANDOM.standard_normal((4, 3, 3, 3))
    deep = RANDOM.standard_normal((12, 1, 3, 3))
    for each, group in ((w, 2), (deep, 6)):
        whole = ours("Conv", x, each, group=group, strides=[2, 1], pads=[1, 1, 1, 1])
        with monkeypatch.context() as patch:
            patch.setattr("runtime.float64.convolutions._GATHERED", 600)
            patch.setattr("runtime.float64.convolutions._DEPTHWISE", 300)
            close(ours("Conv", x, each, group=group, strides=[2, 1], pads=[1, 1, 1, 1]), whole)


@CASES
@given(st.data(), st.integers(1, 3), st.booleans())
def test_transposed_convolutions_are_pytorchs(data: Any, axes: int, bias: bool) -> None:
    def each(low: int, high: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes))

    group = data.draw(st.integers(1, 2))
    kernel, strides, dilations = each(1, 3), each(1, 3), each(1, 2)
    extra = [data.draw(st.integers(0, max(a, b) - 1)) for a, b in zip(strides, dilations, strict=True)]
    pads = each(0, 1)
    x = RANDOM.standard_normal((2, 2 * group, *range(3, 3 + axes)))
    w = RANDOM.standard_normal((2 * group, 3, *kernel))
    b = RANDOM.standard_normal(3 * group) if bias else None
    sizes = zip(x.shape[2:], strides, dilations, kernel, pads, extra, strict=True)
    assume(all((n - 1) * s + d * (k - 1) + 1 + e - 2 * p > 0 for n, s, d, k, p, e in sizes))
    function = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[axes - 1]
    tensors = [None if array is None else torch.from_numpy(array) for array in (x, w, b)]
    expected = function(*tensors, strides, pads, extra, group, dilations).numpy()
    attributes = {"strides": strides, "dilations": dilations, "output_padding": extra, "group": group}
    close(ours("ConvTranspose", x, w, b, pads=pads * 2, **attributes), expected)
    wanted = {"output_shape": list(expected.shape[2:])}
    if not any(extra):
        close(ours("ConvTranspose", x, w, b, **wanted, **attributes), expected)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_transposed_convolutions_pad_themselves_as_onnx_does(auto_pad: str) -> None:
    x, w = RANDOM.standard_normal((1, 2, 4, 5)), RANDOM.standard_normal((2, 3, 3, 3))
    attributes = {"auto_pad": auto_pad, "strides": [2, 2]}
    close(ours("ConvTranspose", x, w, **attributes), onnxs("ConvTranspose", x, w, **attributes))


@CASES
@given(windows(pools=True), st.booleans())
def test_maximum_pools_are_pytorchs_or_onnxs(case: tuple[int, dict[str, Any]], ceil_mode: bool) -> None:
    axes, attributes = case
    x = RANDOM.standard_normal((2, 3, *range(7, 7 + axes)))
    if attributes["auto_pad"] == "NOTSET":
        one_sided = attributes["pads"][:axes]
        assume(all(2 * pad <= size for pad, size in zip(one_sided, attributes["kernel_shape"], strict=True)))
        attributes["pads"] = one_sided * 2
        function = (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)[axes - 1]
        given_as = [attributes[name] for name in ("kernel_shape", "strides")]
        expected = function(torch.from_numpy(x), *given_as, one_sided, attributes["dilations"], ceil_mode).numpy()
    else:
        # onnx's own pools pad themselves otherwise than its convolutions, and than the specification says.
        attributes["dilations"] = [1] * axes
        x = np.abs(x)
        expected = _largest_of_convolutions(x, attributes)
    close(ours("MaxPool", x, ceil_mode=int(ceil_mode), **attributes), expected)


def _largest_of_convolutions(x: Any, attributes: dict[str, Any]) -> Any:
    """The largest of what convolutions with a single weight of 1 pick; padding, which is 0, is the least."""
    picked = []
    for position in np.ndindex(*attributes["kernel_shape"]):
        w = np.zeros((3, 1, *attributes["kernel_shape"]))
        w[(slice(None), 0, *position)] = 1
        picked.append(onnxs("Conv", x, w, group=3, **attributes))
    return np.max(picked, axis=0)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_maximum_pool_tells_where_it_found_them(axes: int) -> None:
    x = RANDOM.standard_normal((2, 3, *range(6, 6 + axes)))
    x[0, 0] = -5.0  # ties: the first counts
    functions = torch.nn.functional
    function = (functions.max_pool1d, functions.max_pool2d, functions.max_pool3d)[axes - 1]
    largest, where = function(torch.from_numpy(x), 3, 2, 1, return_indices=True)
    # PyTorch counts within a channel, ONNX within the whole tensor.
    channel = math.prod(x.shape[2:])
    starts = (np.arange(6) * channel).reshape(2, 3, *(1,) * axes)
    found = ours("MaxPool", x, outputs=2, kernel_shape=[3] * axes, strides=[2] * axes, pads=[1] * 2 * axes)
    close(found[0], largest.numpy())
    assert np.array_equal(found[1], where.numpy() + starts)


def test_a_maximum_pool_keeps_nan_and_takes_integers() -> None:
    x = np.array([[[1.0, np.nan, 2.0, 3.0]]])
    assert np.array_equal(
        ours("MaxPool", x, kernel_shape=[2], strides=[2]), np.array([[[np.nan, 3.0]]]), equal_nan=True
    )
    small = np.array([[[1, 9, 2, 3]]], np.uint8)
    close(ours("MaxPool", small, kernel_shape=[3], pads=[1, 1]), np.array([[[9, 9, 9, 3]]], np.uint8))


@CASES
@given(st.data(), st.integers(1, 3), st.booleans(), st.booleans())
def test_average_pools_are_pytorchs(data: Any, axes: int, ceil_mode: bool, include: bool) -> None:
    kernel = data.draw(st.lists(st.integers(1, 4), min_size=axes, max_size=axes))
    strides = data.draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    pads = [data.draw(st.integers(0, size // 2)) for size in kernel]
    x = RANDOM.standard_normal((2, 3, *range(6, 6 + axes)))
    functions = torch.nn.functional
    function = (functions.avg_pool1d, functions.avg_pool2d, functions.avg_pool3d)[axes - 1]
    expected = function(torch.from_numpy(x), kernel, strides, pads, ceil_mode, include).numpy()
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads * 2}
    close(ours("AveragePool", x, ceil_mode=int(ceil_mode), count_include_pad=int(include), **attributes), expected)


@CASES
@given(
    st.data(),
    st.sampled_from(["nearest", "linear", "cubic"]),
    st.sampled_from(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]),
    st.booleans(),
    st.booleans(),
)
def test_resizing_is_onnxs(data: Any, mode: str, coordinates: str, antialias: bool, exclude: bool) -> None:
    x = RANDOM.standard_normal((1, 2, 5, 7))
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        attributes["nearest_mode"] = data.draw(
            st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
        )
    else:
        # Of places outside the tensor, onnx's own takes other neighbours with antialiasing.
        antialias = antialias and coordinates == "half_pixel"
        attributes |= {"antialias": int(antialias), "exclude_outside": int(exclude and mode == "cubic")}
    sizes = np.array([1, 2, data.draw(st.integers(2, 12)), data.draw(st.integers(2, 12))])
    # onnx's own coefficients of cubic are float32.
    tolerance = 1e-5 if mode == "cubic" else 1e-11
    scales = np.array([1.0, 1.0, *data.draw(st.sampled_from([(2.0, 3.0), (0.6, 2.0), (1.2, 1.0)]))])
    for asked in ((None, sizes), (scales,)):
        if len(asked) == 1 and coordinates == "align_corners":
            continue  # onnx's own reckons it from sizes before they are rounded
        found, expected = (each("Resize", x, None, *asked, **attributes) for each in (ours, onnxs))
        if mode == "nearest":
            assert found.shape == expected.shape
            clear = np.ix_(*(_not_halfway(*both) for both in zip(found.shape, x.shape, strict=True)))
            found, expected = found[clear], expected[clear]
        close(found, expected, tolerance)


def _not_halfway(size: int, length: int) -> list[int]:
    """Return the new elements for which rounding doesn't decide from which old one they come."""
    return [
        n for n in range(size) if size == length or ((2 * n + 1) * length % size and (2 * n * length % size or not n))
    ]


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(4, 9), (13, 8), (1, 3)])
def test_resizing_is_pytorchs(size: tuple[int, int], mode: str, antialias: bool) -> None:
    x = RANDOM.standard_normal((2, 3, 9, 11))
    expected = torch.nn.functional.interpolate(torch.from_numpy(x), size, mode=mode, antialias=antialias).numpy()
    attributes: dict[str, Any] = {"mode": mode.removeprefix("bi")}
    if antialias:  # PyTorch leaves out what lies outside, and takes another cubic
        attributes |= {"antialias": 1, "exclude_outside": 1, "cubic_coeff_a": -0.5}
    close(ours("Resize", x, None, None, np.array([2, 3, *size]), **attributes), expected)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("scale", [1.6, 1.2, 2.5, 1 / 3, 0.7, 0.123456])
def test_a_scale_is_what_the_model_said_before_it_was_rounded(scale: float, mode: str) -> None:
    x = RANDOM.standard_normal((1, 2, 60, 50))
    expected = torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=scale, mode=mode).numpy()
    scales = np.array([1, 1, scale, scale], np.float32).astype(np.float64)
    attributes: dict[str, Any] = {"mode": mode.removeprefix("bi")}
    if mode == "nearest":
        attributes |= {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    found = ours("Resize", x, None, scales, **attributes)
    assert found.shape == tuple(math.floor(a * b) for a, b in zip(x.shape, scales.tolist(), strict=True))
    height, width = found.shape[2:]
    close(found, expected[:, :, :height, :width], 1e-12 if scale != 0.123456 else 1e-4)


def test_resizing_along_some_axes() -> None:
    x = RANDOM.standard_normal((2, 3, 4, 5))
    for sizes, axes in (([6, 8], [2, 3]), ([8, 6], [3, 2]), ([7], [-1])):
        whole = list(x.shape)
        for axis, size in zip(axes, sizes, strict=True):
            whole[axis] = size
        some = ours("Resize", x, None, None, np.array(sizes), axes=axes, mode="linear")
        close(some, ours("Resize", x, None, None, np.array(whole), mode="linear"))


@CASES
@given(
    st.sampled_from(["bilinear", "nearest", "bicubic"]),
    st.sampled_from(["zeros", "border", "reflection"]),
    st.booleans(),
    st.integers(2, 3),
)
def test_sampling_a_grid_is_pytorchs(mode: str, padding: str, align: bool, axes: int) -> None:
    assume(axes == 2 or mode != "bicubic")
    x = RANDOM.standard_normal((2, 3, *range(4, 4 + axes)))
    grid = RANDOM.uniform(-1.6, 1.6, (2, *range(5, 5 + axes), axes))
    tensors = torch.from_numpy(x), torch.from_numpy(grid)
    expected = torch.nn.functional.grid_sample(*tensors, mode, padding, align).numpy()
    close(ours("GridSample", x, grid, mode=mode, padding_mode=padding, align_corners=int(align), opset=16), expected)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 3, 4, 5, 6)])
def test_affine_grids_are_pytorchs(size: tuple[int, ...], align: bool) -> None:
    axes = len(size) - 2
    theta = RANDOM.standard_normal((2, axes, axes + 1))
    expected = torch.nn.functional.affine_grid(torch.from_numpy(theta), list(size), align).numpy()
    close(ours("AffineGrid", theta, np.array(size), align_corners=int(align)), expected)


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize(
    ("size", "kernel", "group", "offset_group", "strides", "dilations", "pads"),
    [
        ((6, 7), (3, 3), 1, 1, (1, 1), (1, 1), (1, 1)),
        ((9, 7), (3, 2), 2, 4, (2, 1), (1, 2), (0, 2)),
        ((1, 5), (1, 3), 4, 2, (1, 2), (1, 1), (0, 0)),
    ],
)
def test_deformable_convolutions_are_torchvisions(
    size, kernel, group, offset_group, strides, dilations, pads, modulated
) -> None:
    x, w, b = RANDOM.standard_normal((2, 4, *size)), RANDOM.standard_normal((8, 4 // group, *kernel)), np.arange(8.0)
    out = [
        (length + 2 * pad - dilation * (taps - 1) - 1) // stride + 1
        for length, taps, stride, dilation, pad in zip(size, kernel, strides, dilations, pads, strict=True)
    ]
    # So far that some places lie outside the map, by more than one pixel.
    offset = RANDOM.uniform(-3, 3, (2, offset_group * math.prod(kernel) * 2, *out))
    mask = RANDOM.uniform(0, 1, (2, offset_group * math.prod(kernel), *out)) if modulated else None
    tensors = [None if each is None else torch.from_numpy(each) for each in (x, offset, w, b, mask)]
    expected = deform_conv2d(*tensors[:4], strides, pads, dilations, tensors[4]).numpy()
    attributes = {"strides": strides, "dilations": dilations, "pads": pads * 2, "group": group}
    arrays = (x, w, offset, b) if mask is None else (x, w, offset, b, mask)
    close(ours("DeformConv", *arrays, offset_group=offset_group, **attributes), expected)


def test_elementwise_functions_are_pytorchs() -> None:
    x = np.concatenate([np.linspace(-8, 8, 40_001), RANDOM.standard_normal(9) * 1e-9, [0.0, np.inf, -np.inf, np.nan]])
    tensor = torch.from_numpy(x)
    close(ours("Erf", x), torch.erf(tensor).numpy(), 1e-14)
    gelu = torch.nn.functional.gelu
    finite = np.isfinite(x)
    for approximate in ("none", "tanh"):
        found = ours("Gelu", x[finite], approximate=approximate)
        close(found, gelu(tensor[finite], approximate=approximate).numpy(), 1e-14)
    for name, function in {"HardSwish": torch.nn.functional.hardswish, "Selu": torch.nn.functional.selu}.items():
        close(ours(name, x[finite]), function(tensor[finite]).numpy(), 1e-15)
    with pytest.raises(Exception, match="approximate=other is not known"):
        ours("Gelu", x, approximate="other")


def test_normalizations_are_pytorchs() -> None:
    x = RANDOM.standard_normal((2, 7, 3, 4))
    close(
        ours("LRN", x, size=5, alpha=0.25, beta=0.75, bias=2.0),
        torch.nn.functional.local_response_norm(torch.from_numpy(x), 5, 0.25, 0.75, 2.0).numpy(),
    )
    grouped = RANDOM.standard_normal((2, 6, 3, 4))
    gain, shift = RANDOM.standard_normal((2, 6))
    tensor = torch.from_numpy
    close(
        ours("GroupNormalization", grouped, gain, shift, num_groups=3, epsilon=0.5),
        torch.nn.functional.group_norm(tensor(grouped), 3, tensor(gain), tensor(shift), 0.5).numpy(),
    )
    facts = [np.abs(RANDOM.standard_normal(7)) for _ in range(4)]
    close(ours("BatchNormalization", x, *facts, epsilon=0.5), onnxs("BatchNormalization", x, *facts, epsilon=0.5))


@pytest.mark.parametrize("flips", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_products_widen_narrow_matrices_piece_by_piece(flips: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.float64.products._WIDENED", 20)
    a, b, c = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((4, 6), (6, 9), (1, 9)))
    a, b = (array.T.copy() if flip else array for array, flip in zip((a, b), flips, strict=True))
    attributes = {"transA": flips[0], "transB": flips[1], "alpha": 0.5, "beta": 0.3}
    wide = [array.astype(np.float64) for array in (a, b, c)]
    close(ours("Gemm", wide[0], b, c, **attributes), onnxs("Gemm", *wide, **attributes))
    batch = RANDOM.standard_normal((2, 3, 5, 6))
    matrix = RANDOM.standard_normal((6, 9)).astype(np.float32)
    close(ours("MatMul", batch, matrix), batch @ matrix.astype(np.float64))
    vector = RANDOM.standard_normal(6)
    close(ours("MatMul", batch, vector), batch @ vector)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scattering_is_onnxs(reduction: str) -> None:
    data = RANDOM.standard_normal((4, 5, 6))
    where = RANDOM.permuted(np.tile(np.arange(6), (4, 3, 1)), axis=2)[:, :, :2]
    where[0, 0] = [-1, 2]
    updates = RANDOM.standard_normal(where.shape)
    for arrays in ((data, where, updates),):
        attributes = {"axis": 2, "reduction": reduction}
        close(ours("ScatterElements", *arrays, **attributes), onnxs("ScatterElements", *arrays, **attributes))
    rows = np.array([[[0, 1], [3, -1]], [[2, 2], [1, 0]]])
    arrays = (data, rows, RANDOM.standard_normal((2, 2, 6)))
    close(ours("ScatterND", *arrays, reduction=reduction), onnxs("ScatterND", *arrays, reduction=reduction))


def test_gathering_is_onnxs() -> None:
    data = RANDOM.standard_normal((3, 40, 4))
    where = RANDOM.integers(-40, 40, (3, 7, 4))
    close(ours("GatherElements", data, where, axis=1), np.take_along_axis(data, where, 1))
    fewer = where[:2, :, :3]
    expected = torch.gather(torch.from_numpy(data), 1, torch.from_numpy(fewer % 40)).numpy()
    close(ours("GatherElements", data, fewer, axis=1), expected)
    pairs = RANDOM.integers(0, 3, (3, 5, 2))
    for batch in (0, 1):
        close(ours("GatherND", data, pairs, batch_dims=batch), onnxs("GatherND", data, pairs, batch_dims=batch))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pads_are_onnxs_and_negative_ones_crop(mode: str) -> None:
    x = RANDOM.standard_normal((2, 3, 5, 6))
    both = np.array([0, 0, 1, 2, 0, 0, 2, 1])
    close(ours("Pad", x, both, mode=mode), onnxs("Pad", x, both, mode=mode))
    cropped = x[:, :, 1:, :-2]
    mixed, left = np.array([-1, 2, 1, -2]), np.array([0, 0, 0, 2, 0, 0, 1, 0])
    axes = np.array([2, -1])
    close(ours("Pad", x, mixed, None, axes, mode=mode), onnxs("Pad", cropped, left, mode=mode))
    number = np.array(0.25)
    close(ours("Pad", x, both, number), onnxs("Pad", x, both, number))


def test_unpacking_is_onnxs_also_in_opsets_that_it_lacks() -> None:
    small = RANDOM.integers(0, 9, (4, 3)).astype(np.uint8)
    for arrays, attributes, opset in (
        ([small.astype(np.int8), np.float64(0.5), np.int8(2)], {}, 21),
        ([small, np.arange(1.0, 4)], {}, 21),
        ([small, np.ones(4) / 4, np.arange(4, dtype=np.uint8)], {"axis": 0}, 19),
        ([RANDOM.integers(0, 9, (4, 6)).astype(np.uint8), np.ones((4, 2))], {"block_size": 3}, 21),
    ):
        right = onnxs("DequantizeLinear", *arrays, opset=opset, **attributes)
        close(ours("DequantizeLinear", *arrays, opset=opset, **attributes), right)
        if "block_size" not in attributes:
            close(ours("DequantizeLinear", *arrays, opset=13, **attributes), right)
    # float32 has no such integer.
    assert ours("DequantizeLinear", np.array([2**24 + 1], np.int32), np.float64(1)).tolist() == [2**24 + 1]


def _values(*names: str) -> list[onnx.ValueInfoProto]:
    return [onnx.helper.make_empty_tensor_value_info(name) for name in names]


def test_a_loop_runs_without_a_condition_and_stops_by_one() -> None:
    make = onnx.helper.make_node
    nodes = [make("Add", ["v", "v"], ["u"]), make("Less", ["u", "limit"], ["on"])]
    limit = onnx.numpy_helper.from_array(np.array(20.0), "limit")
    body = onnx.helper.make_graph(nodes, "body", _values("i", "go", "v"), _values("on", "u", "v"), [limit])
    ones = np.ones(1)
    for trips, condition, last, passes in (
        (np.array(3), None, 8, [1, 2, 4]),
        (np.array(3), np.array(True), 8, [1, 2, 4]),
        (np.array(99), np.array(True), 32, [1, 2, 4, 8, 16]),
        (None, np.array(True), 32, [1, 2, 4, 8, 16]),
    ):
        state, returned = ours("Loop", trips, condition, ones, outputs=2, body=body)
        assert (state.tolist(), returned.tolist()) == ([last], [[each] for each in passes])


@pytest.mark.parametrize("backwards", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_scan_goes_along_any_axis_in_both_directions(axis: int, backwards: int) -> None:
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["s", "x"], ["t"]), onnx.helper.make_node("Identity", ["t"], ["y"])],
        "body",
        _values("s", "x"),
        _values("t", "y"),
    )
    x = RANDOM.standard_normal((3, 3))
    along = np.moveaxis(x, axis, 0)
    sums = np.cumsum(along[::-1] if backwards else along, 0)
    ways = {"scan_input_axes": [axis], "scan_output_axes": [axis]}
    ways |= {"scan_input_directions": [backwards], "scan_output_directions": [backwards]}
    state, rows = ours("Scan", np.zeros(3), x, outputs=2, body=body, num_scan_inputs=1, **ways)
    close(state, sums[-1])
    close(rows, np.moveaxis(sums[::-1] if backwards else sums, 0, axis))


def test_boxes_are_chosen_as_onnxs_also_by_limits_that_are_scalars() -> None:
    corners = RANDOM.uniform(0, 1, (1, 12, 2))
    boxes = np.concatenate([corners, corners + RANDOM.uniform(0.1, 1, (1, 12, 2))], 2)
    scores, limits = RANDOM.uniform(0, 1, (1, 2, 12)), (np.array(4), np.array(0.3), np.array(0.2))
    right = onnxs("NonMaxSuppression", boxes, scores, *(np.reshape(each, 1) for each in limits))
    assert 2 < len(right) < 9
    close(ours("NonMaxSuppression", boxes, scores, *limits), right)
    # Without the others, boxes that overlap at all are dropped, whatever their scores.
    right = onnxs("NonMaxSuppression", boxes, scores, limits[0][None], np.zeros(1), np.array([-np.inf]))
    close(ours("NonMaxSuppression", boxes, scores, limits[0]), right)


def test_every_operator_is_checked_in_this_folder() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in OPERATORS if f'"{name}"' not in text] == []


@pytest.mark.parametrize(
    ("operator", "arrays", "attributes"),
    [
        ("Conv", [np.ones((1, 2, 4)), np.ones((2, 2, 3))], {"auto_pad": "OTHER"}),
        ("Conv", [np.ones((1, 2, 4)), np.ones((2, 2, 3))], {"kernel_shape": [2]}),
        ("Conv", [np.ones((1, 3, 4)), np.ones((2, 2, 3))], {}),
        ("MaxPool", [np.ones((1, 2, 2))], {"kernel_shape": [5]}),
        ("Resize", [np.ones((4, 4)), None, None, np.array([2, 2])], {"keep_aspect_ratio_policy": "other"}),
        ("Resize", [np.ones((4, 4)), None, None, np.array([2, 2])],
         {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": "linear"}),
        ("BatchNormalization", [np.ones((1, 2, 4)), *[np.ones(2)] * 4], {"outputs": 3}),
        ("Dropout", [np.ones((1, 2, 4)), np.array(0.5), np.array(True)], {}),
        ("QuantizeLinear", [np.ones((2, 3)), np.ones(2)], {}),
        ("GridSample", [np.ones((1, 1, 2, 2)), np.ones((1, 2, 2, 2))], {"padding_mode": "other"}),
        ("DeformConv", [np.ones((1, 2, 4, 4)), np.ones((1, 3, 1, 1)), np.ones((1, 2, 4, 4))], {}),
        ("RandomNormalLike", [np.ones(3)], {}),
        ("Bernoulli", [np.ones(3)], {}),
    ],
)  # fmt: skip
def test_what_is_not_computed_fails(operator: str, arrays: list[Any], attributes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, NotImplementedError)):
        ours(operator, *arrays, **attributes)


def test_log_softmax_does_not_underflow() -> None:
    x = np.array([[0.0, -1e4, 3.0]])
    close(ours("LogSoftmax", x), torch.log_softmax(torch.from_numpy(x), 1).numpy())
    assert np.isinf(onnxs("LogSoftmax", x)).any()
