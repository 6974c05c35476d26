"""Each output's averaged map in float64 and in each runner, and where in the picture they differ.

Only the maps are kept, never the tensors. How they look is up to the report that shows them.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..artifact.reference import Reference
from ..float64.graph import Float64Graph, Unknown
from ..maps.channel_mean import channel_axis, channel_mean
from ..maps.colour_maps import value_range
from .drift import drift_unit

__all__ = ["MAX_SIDE", "AveragedMap", "DriftMaps", "OutputMaps", "RunnerMaps", "shrink"]

MAX_SIDE = 128
"""Pixels. A network for large images has hundreds of maps of megabytes each, and a page shows none larger than this."""

Kind = Literal["truth", "file"]


@dataclass(frozen=True)
class AveragedMap:
    """One map, made small enough for a page."""

    values: NDArray[np.float32]
    """H W"""
    range: tuple[float, float] | None
    """The lowest and the highest finite value of the whole map; None where no value is finite."""


@dataclass(frozen=True)
class RunnerMaps:
    """One output in one runner."""

    candidate: AveragedMap
    """The mean over the channels."""
    error: AveragedMap | None
    """The mean over the channels of the absolute error, in multiples of float32's own error; None without a reference.
    Not the error of the mean, in which errors of opposite sign would cancel out, but where only the truth's mean is
    known."""


@dataclass
class OutputMaps:
    """One output for one recorded input, in float64 and in the runners whose report is on that input."""

    output: Output
    size: tuple[int, int, int]
    """Channels, and the height and width of the whole maps."""
    reference: AveragedMap | None = None
    kind: Kind = "truth"
    """The reference is the model's float64 truth or, for tensors too large to be kept whole, model.onnx evaluated in
    float64 where it agrees with the truth."""
    runners: dict[str, RunnerMaps] = field(default_factory=dict)
    recorded_input: str = ""


class DriftMaps:
    """Collects the maps of one runner after the other.

    Attributes:
        tiles: by output, in the order of execution; only outputs with a height, a width and an array.
    """

    _tiles: dict[tuple[str, str], OutputMaps]
    """By output and recorded input."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        """Take the outputs as the manifest lists them."""
        self._outputs = {output.name: output for output in outputs if output.has_map}
        self._tiles = {}

    @property
    def tiles(self) -> list[OutputMaps]:
        """What was collected, in the order of execution."""
        order = list(self._outputs)
        return sorted(self._tiles.values(), key=lambda tile: order.index(tile.output.name))

    def add(
        self,
        runner: str,
        graph: Float64Graph,
        reference: Reference,
        arrays: Mapping[str, NDArray[Any]],
        wrong_in_file: Collection[str] = (),
    ) -> None:
        """Keep the maps of what a runner returned for a recorded input, instead of what it had for another one.

        Args:
            runner: its name.
            graph: the ONNX file, which is evaluated in float64 once more: its tensors are too many to be kept.
            reference: the recorded input and the truth.
            arrays: output to array. Outputs that are missing or have another shape than the truth are left out.
            wrong_in_file: the outputs at which the ONNX file differs from the model: it can't stand for the truth.
        """
        for tile in self._tiles.values():
            tile.runners.pop(runner, None)
        self._tiles = {key: tile for key, tile in self._tiles.items() if tile.runners}
        for name, kind, expected in self._expected(graph, reference, arrays, wrong_in_file):
            truth, array = reference.truths[name], arrays[name]
            if array.shape == truth.shape and array.size:
                output = self._outputs[name]
                self._add(runner, output, reference.name, array, expected, kind, drift_unit(truth, output.dtype))

    def _add(
        self,
        runner: str,
        output: Output,
        recorded_input: str,
        array: NDArray[Any],
        expected: NDArray[Any] | None,
        kind: Kind | Literal["map"],
        unit: float,
    ) -> None:
        layout, tokens = output.layout, output.tokens
        try:
            mean = channel_mean(array, layout, tokens)
        except UsageError:  # the number of tokens is not the manifest's
            return
        size = (array.shape[channel_axis(layout)], mean.shape[0], mean.shape[1])
        key = output.name, recorded_input
        tile = self._tiles.setdefault(key, OutputMaps(output, size, recorded_input=recorded_input))
        error = None
        if expected is not None:
            with np.errstate(all="ignore"):  # inf - inf is a NaN, and the picture shows it
                if kind == "map":
                    map_, error = expected, np.abs(mean - expected) / unit
                else:
                    map_ = channel_mean(expected, layout, tokens)
                    error = channel_mean(np.abs(array[:1].astype(np.float64) - expected[:1]) / unit, layout, tokens)
            if tile.reference is None:
                tile.reference, tile.kind = _small(map_), "file" if kind == "file" else "truth"
        tile.runners[runner] = RunnerMaps(_small(mean), None if error is None else _small(error, "largest"))

    def _expected(
        self,
        graph: Float64Graph,
        reference: Reference,
        arrays: Mapping[str, NDArray[Any]],
        wrong_in_file: Collection[str],
    ) -> Iterator[tuple[str, Kind | Literal["map"], NDArray[Any] | None]]:
        """Yield each output with a map and an array, and its whole tensor in float64, or None; or the truth's map."""
        rest = {name for name in self._outputs if name in arrays}
        for name in list(rest):
            truth = reference.truths[name]
            # A whole truth is the better reference: a fault of the file shows.
            if truth.sample.size == math.prod(truth.shape):
                yield name, "truth", truth.sample.reshape(truth.shape)
                rest.remove(name)
            elif name in wrong_in_file and truth.map is not None:
                yield name, "map", truth.map
                rest.remove(name)
        for name, value in graph.walk(reference.inputs) if rest else ():
            if name in rest:
                if isinstance(value, Unknown) or value.shape != reference.truths[name].shape:
                    yield name, "file", None
                else:
                    yield name, "file", value
                rest.remove(name)
                if not rest:
                    return


def _small(values: NDArray[np.float64], keep: Literal["mean", "largest"] = "mean") -> AveragedMap:
    return AveragedMap(shrink(values, MAX_SIDE, keep), value_range(values))


def shrink(values: NDArray[np.floating], side: int, keep: Literal["mean", "largest"] = "mean") -> NDArray[np.float32]:
    """Make a map H W at most `side` pixels high and wide, each pixel the mean, or the largest, of those it covers.

    An error in one pixel must stay visible, hence the largest; a NaN stays visible in both.
    """
    with np.errstate(all="ignore"):
        for axis in (0, 1):
            length = values.shape[axis]
            if length > side:
                starts = np.arange(side) * length // side
                if keep == "largest":
                    values = np.maximum.reduceat(values, starts, axis=axis)
                else:
                    counts = np.diff(np.append(starts, length))
                    values = np.add.reduceat(values, starts, axis=axis) / np.expand_dims(counts, 1 - axis)
        return values.astype(np.float32)
