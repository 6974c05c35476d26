"""Faults of exporters and runtimes, planted into an artifact's model.onnx, to see whether they are found.

`KINDS` is the table: what a kind does is in the file of its family. Each picks, by the seed, a random place where it
changes what the model computes, if only for some inputs. `plant` also sets the manifest's hashes to those of the faulty
file, as an exporter with that fault would.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from runtime import open_artifact

from . import attributes, common, sizes, weights, wiring
from .attributes import changed, flipped, one_of, times
from .difference import Difference
from .model import Model, Places

__all__ = ["COMMON", "KINDS", "Fault", "Kind", "edited_model", "jobs", "plant", "rehash"]


@dataclass(frozen=True)
class Fault:
    """What was planted. One of the `expected` outputs must be named: the nearest from there on."""

    kind: str
    node: str
    operator: str
    detail: str
    expected: frozenset[str]
    shown_by: str
    """The first kind of input for which the file then computes something else (`difference.INPUTS`)."""


@dataclass(frozen=True)
class Kind:
    """A row of the table: where faults of a kind may be, the models they are planted into in turn, and how many."""

    places: Places
    models: Sequence[str]
    count: int

    def model(self, seed: int) -> str:
        return self.models[seed % len(self.models)]

    def order(self, seed: int, count: int) -> list[int]:
        """Return the order in which a seed tries the places of a model: first those that no other seed tries first."""
        same = [each for each in range(self.count) if self.model(each) == self.model(seed % self.count)]
        places = random.Random(0).sample(range(count), count)
        own = places[same.index(seed % self.count) :: len(same)]
        return [*own, *(set(places) - set(own))]


_ZOO = tuple(
    f"torchvision:{name}" for name in ("resnet18", "mobilenet_v3_small", "googlenet", "densenet121", "convnext_tiny")
)
_ANY = ("cnn11", "cnn2", "cnn3", *_ZOO)
# Fresh biases of a ConvNeXt are 0.
_BIASED = tuple(model for model in _ANY if model != "torchvision:convnext_tiny")
_V2, _TRAINED = "torchvision:mobilenet_v2", "trained:MobileNetV2_bottle"

COMMON: dict[str, Kind] = {
    "one weight scaled by 1 %": Kind(common.scaled_weight, _ANY, 15),
    "two channels swapped": Kind(common.swapped_channels, _ANY, 15),
    "epsilon changed": Kind(common.changed_epsilon, _ANY, 15),
    "padding or pool mode changed": Kind(common.changed_padding, _ANY, 15),
    "two outputs renamed crosswise": Kind(common.crossed_outputs, _ANY, 14),
    "bias dropped": Kind(common.dropped_bias, _BIASED, 12),
    "constant rounded to float16": Kind(common.halved_constant, _ANY, 14),
}
"""Faults that every exporter could make in every CNN."""

_NORMS = "BatchNormalization InstanceNormalization GroupNormalization LayerNormalization"

# fmt: off
KINDS: dict[str, Kind] = {
    **COMMON,
    # Clamps.
    "ReLU6 made ReLU": Kind(weights.bound_lost, [_V2, _TRAINED, "small:activations", _TRAINED, _TRAINED], 5),
    "a bound of a clamp changed by 1 %": Kind(weights.bound_changed, [_V2, "small:activations", _TRAINED], 4),
    "a clamp lost": Kind(weights.clamp_lost, ["small:activations", _V2, _TRAINED], 3),
    # Weights that are nearly right.
    "one channel 0.2 % off": Kind(weights.one_channel(1.002), [_V2, _TRAINED, "torchvision:resnet18"], 4),
    "one channel 0.2 % off beside a massive one": Kind(
        weights.one_channel(1.002, beside=1000), ["small:scales"], 3),
    "one pixel of a large mask 1 % off": Kind(weights.one_pixel, ["small:scales"], 2),
    "weights rounded to float16 and 0.3 % off": Kind(weights.halved_and_off, [_TRAINED, "small:norms"], 2),
    "one channel 0.3 % off, in half precision": Kind(weights.one_channel(1.003), ["small:half"], 3),
    "the groups of a convolution permuted": Kind(weights.permuted_groups, ["small:axes", _V2, "small:windows"], 3),
    "bias lost": Kind(weights.lost_bias, ["small:norms", "small:batches", "small:scales"], 3),
    # Batches above 1.
    "a Reshape that folds the batch": Kind(sizes.folded_batch, ["small:batches", "torchvision:shufflenet_v2_x0_5"], 4),
    "a shape with the example's batch baked in": Kind(sizes.baked("Reshape", "Expand"), ["small:batches", _V2], 3),
    "a Slice of the example's batch": Kind(sizes.cropped_to_one_image("Slice"), ["small:batches", _V2], 2),
    "a Gather of the example's batch": Kind(sizes.cropped_to_one_image("Gather"), ["small:windows", _TRAINED], 2),
    # Odd sizes.
    "floor made truncation": Kind(sizes.truncated, ["small:sizes"], 2),
    "ceil_mode": Kind(changed("MaxPool AveragePool", "ceil_mode", 0, flipped), ["small:sizes"], 3),
    "a size baked in": Kind(sizes.baked("Reshape", "Resize", "Slice"), ["small:sizes"], 4),
    # Attributes.
    "epsilon of a norm doubled": Kind(changed(_NORMS, "epsilon", 1e-5, times(2)), ["small:norms"], 3),
    "alpha of an activation 2 % off": Kind(
        changed("LeakyRelu Elu Celu HardSigmoid", "alpha", 1.0, times(1.02)), ["small:activations"], 3),
    "alpha or gamma of Selu 1 % off": Kind(changed("Selu", "gamma", 1.05070102, times(1.01)), ["small:activations"], 1),
    "beta of HardSigmoid 2 % off": Kind(changed("HardSigmoid", "beta", 0.5, times(1.02)), ["small:activations"], 1),
    "alpha of Gemm 1 % off": Kind(changed("Gemm", "alpha", 1.0, times(1.01)), ["small:activations"], 1),
    "beta of Gemm 1 % off": Kind(changed("Gemm", "beta", 1.0, times(1.01)), ["small:activations"], 1),
    "transB of a square Gemm": Kind(changed("Gemm", "transB", 0, attributes.transposed), ["small:activations"], 2),
    "the other formula of GELU": Kind(
        changed("Gelu", "approximate", b"none", one_of("none", "tanh")),
        ["small:activations", "torchvision:convnext_tiny"], 2),
    "pads shifted": Kind(common.changed_padding, ["small:windows"], 1),
    "strides": Kind(changed("Conv", "strides", [1, 1], attributes.strided), ["small:windows"], 1),
    "dilations": Kind(attributes.dilated, ["small:windows", _V2], 2),
    "count_include_pad": Kind(changed("AveragePool", "count_include_pad", 0, flipped), ["small:windows"], 1),
    "coordinate_transformation_mode of Resize": Kind(
        changed("Resize", "coordinate_transformation_mode", b"half_pixel",
                one_of("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")), ["small:resampling"], 3),
    "nearest_mode of Resize": Kind(
        changed("Resize", "nearest_mode", b"round_prefer_floor", one_of("floor", "ceil")), ["small:resampling"], 1),
    "cubic_coeff_a of Resize": Kind(
        changed("Resize", "cubic_coeff_a", -0.75, lambda *_: [-0.5]), ["small:resampling"], 1),
    "antialias of Resize": Kind(changed("Resize", "antialias", 0, flipped), ["small:resampling"], 1),
    "align_corners of GridSample": Kind(changed("GridSample", "align_corners", 0, flipped), ["small:resampling"], 1),
    "padding_mode of GridSample": Kind(
        changed("GridSample", "padding_mode", b"zeros", one_of("border", "reflection")), ["small:resampling"], 1),
    "axis of Softmax": Kind(changed("Softmax", "axis", -1, attributes.other_axis), ["small:axes", "small:batches"], 2),
    "axis of Concat": Kind(changed("Concat", "axis", 0, attributes.other_axis), ["small:axes"], 1),
    "axis of Gather": Kind(changed("Gather", "axis", 0, attributes.other_axis), ["small:axes"], 1),
    "axes of a mean or maximum": Kind(attributes.axes_of_a_mean, ["small:axes"], 2),
    "keepdims with a Reshape behind": Kind(wiring.kept_axis, ["small:axes", "small:batches"], 1),
    # Wiring.
    "a variance by E[y2] - E[y]2 10 % off": Kind(wiring.factor_of_variance(1.1), ["small:scales"], 1),
    "a cast to half precision and back": Kind(wiring.cast_to_half, [_V2, "small:norms", _TRAINED, "small:batches"], 4),
    "the inputs of Sub or MatMul swapped": Kind(
        wiring.swapped_inputs, ["small:norms", "small:axes", "small:batches"], 3),
    "a residual from the wrong tensor": Kind(
        wiring.wrong_residual, ["torchvision:resnet18", "small:norms", "small:windows"], 3),
    "a channel shuffle lost": Kind(wiring.lost_shuffle, ["torchvision:shufflenet_v2_x0_5", "small:axes"], 3),
}
# fmt: on
"""By name."""


def jobs() -> list[tuple[str, str, int]]:
    """Return what is planted: kind, model and seed, in this order: the rarer kinds, then those of every exporter."""
    rare = [
        (kind, row.model(seed), seed) for kind, row in KINDS.items() if kind not in COMMON for seed in range(row.count)
    ]
    every = [
        (kind, row.model(seed + position), seed)
        for position, (kind, row) in enumerate(COMMON.items())
        for seed in range(row.count)
    ]
    return rare + every


def plant(folder: Path, kind: str, seed: int) -> Fault | None:
    """Plant a fault of a kind into an artifact, at a random place; None if the model has no place for it."""
    artifact = open_artifact(folder)
    file, right = folder / "model.onnx", folder / "right.onnx"
    recorded = dict(artifact.reference().inputs)
    row = KINDS[kind]
    count = sum(1 for _ in row.places(Model(file, recorded), np.random.default_rng(seed)))
    file.rename(right)
    difference = Difference(right, list(artifact.manifest.output_names), recorded)
    for index in row.order(seed, count):
        rng = np.random.default_rng(seed)
        model = Model(right, recorded)
        places = list(row.places(model, rng))
        place = places[index]
        faulty = [place.node, *place.also, *(node for node in model.graph.node if place.weight in node.input)]
        expected = frozenset[str]().union(*map(model.nearest, faulty))
        name, operator = place.node.name, place.node.op_type
        place.change()
        if not _runs(model):
            continue
        onnx.save(model.proto, file)
        shown = difference.shown_by(file)
        if shown:
            right.unlink()
            rehash(folder)
            return Fault(kind, name, operator, place.detail, expected, shown)
    right.replace(file)
    return None


def _runs(model: Model) -> bool:
    """Return whether ONNX Runtime runs the faulty file: what fails at once needs no search."""
    try:
        model.run(model.outputs)
    except Exception:  # it has a class of its own for each reason
        return False
    return True


@contextmanager
def edited_model(folder: Path) -> Iterator[onnx.ModelProto]:
    """Yield an artifact's ONNX model, and write what became of it, as a tool that the artifact then trusts would."""
    model = onnx.load(folder / "model.onnx")
    yield model
    onnx.save(model, folder / "model.onnx")
    rehash(folder)


def rehash(folder: Path) -> None:
    """Set the manifest's hashes to those of the files."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    file.write_text(json.dumps(manifest))
