"""ONNX file -> probe: which of its values are outputs, what they are, and the file with all of them marked.

A value that holds a tensor is an output, unless it is a constant or computes on sizes alone. Its shape and layout are
observed while the file is evaluated in float64, which also shows whether an open batch or size really is open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runtime.artifact.errors import ModelError, first_line
from runtime.artifact.manifest import Constant, Dimension, Input, Output, Skipped
from runtime.artifact.onnx_file import OnnxFile
from runtime.artifact.showing import ShowsOutputs
from runtime.float64.graph import Float64Graph, Unknown

from .example import OnnxExample
from .layouts import Layouts
from .origins import origin_of
from .reading import SoundModel, uncomputed
from .values import Seen, Values

__all__ = ["OnnxProbe", "probe_onnx"]

_FEW = 16
"""Integers: so many may be axes or the ends of slices."""
_OTHER_BATCH = 3
_STEPS = {"H": 32, "W": 64}
"""Pixels by which an image is higher and wider where an open size is tried."""

_Observed = dict[str, Seen | None]


@dataclass(frozen=True, repr=False)
class OnnxProbe(ShowsOutputs):
    """An ONNX file whose every tensor is an output."""

    name: str
    file: OnnxFile
    """The model with its outputs marked, and its values under names that are safe to print."""
    example: OnnxExample
    outputs: tuple[Output, ...]
    results: dict[str, str]
    """What the file itself returns: its name there (empty for a lone tensor) to the output's name."""
    skipped: tuple[Skipped, ...]
    opset: int
    notes: tuple[str, ...]
    """What had to be put right in the file, or is held fixed."""

    @property
    def title(self) -> str:
        """What it is called where it is shown."""
        return f"Probe of {self.name}"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it is called with."""
        return self.example.inputs

    @property
    def capture(self) -> Literal["onnx"]:
        """As in the manifest."""
        return "onnx"

    @property
    def constants(self) -> dict[str, Constant]:
        """An ONNX file has no arguments but tensors."""
        return {}

    @property
    def capture_reason(self) -> str | None:
        """The notes, as in the manifest."""
        return "; ".join(self.notes) or None

    def only(self, chosen: Sequence[Output]) -> "OnnxProbe":
        """Return the probe of some of the outputs, to which those that the file returns are added."""
        names = {*(output.name for output in chosen), *self.results.values()}
        kept = names | {each.name for each in self.inputs}
        outputs = [output for output in self.outputs if output.name in names]
        return replace(
            self,
            file=self.file.cut([output.name for output in outputs]),
            outputs=tuple(
                output if output.alias_of in kept else output.model_copy(update={"alias_of": None})
                for output in outputs
            ),
        )

    def graph(self) -> Float64Graph:
        """Return the model in float64."""
        return Float64Graph(self.file, [output.name for output in self.outputs])


def probe_onnx(sound: SoundModel, example: OnnxExample) -> OnnxProbe:
    """Return the probe of an ONNX file of whatever origin.

    Args:
        sound: what was read of it.
        example: what it is called with.

    Raises:
        ModelError: it can't be evaluated.
    """
    file, values = sound.file.path, Values(sound)
    marked = values.marked()
    graph = Float64Graph(marked, list(values.all))
    numbers = values.numbers()
    try:
        seen = _observe(values, graph, example.arrays, numbers)
    except ModelError as error:
        size = " x ".join(map(str, example.size or ()))
        advice = f"\nImages of {size} were assumed: --input-size HxW says how large they are."
        raise ModelError(f"{file}: {error}{advice if example.assumed_size else ''}") from error
    others: dict[str, _Observed] = {}
    notes = [*sound.notes, *example.notes]
    for symbol, arrays in _attempts(example).items():
        if symbol not in example.open:
            continue
        try:
            others[symbol] = _observe(values, graph, arrays)
        except ModelError as error:
            held = "N" if symbol == "N" else "HW"
            example = example.held(held)
            what = "the batch" if held == "N" else "the size"
            notes.append(f"{what} is fixed, though the file leaves it open: with another, {first_line(error)}")
    shapes = {
        name: _symbolic(name, each.shape, example, {key: value for key, value in others.items() if key in example.open})
        for name, each in seen.items()
        if each is not None
    }
    outputs, skipped = _describe(file, values, seen, shapes, _layouts(values, seen, example, numbers))
    names = {output.name for output in outputs}
    if not names:
        raise ModelError(f"{file} computes no tensor from its inputs.")
    single = len(values.returned) == 1
    return OnnxProbe(
        name=file.stem,
        file=values.marked({name: shape for name, shape in shapes.items() if name in names}),
        example=example,
        outputs=outputs,
        results={"" if single else old: name for name, old in values.returned.items()},
        skipped=skipped,
        opset=sound.opsets.get("", 1),
        notes=tuple(notes),
    )


def _observe(
    values: Values,
    graph: Float64Graph,
    arrays: Mapping[str, NDArray[Any]],
    numbers: dict[str, list[int]] | None = None,
) -> _Observed:
    """Evaluate the file, and return what each value is; short lists of integers are added to `numbers`.

    Raises:
        ModelError: a node can't be computed.
    """
    seen: _Observed = {}
    for name, array in graph.walk(arrays):
        if isinstance(array, Unknown):
            raise ModelError(f"at {uncomputed(values.all[name].node, array.reason)}")
        tensor = isinstance(array, np.ndarray | np.generic) and array.dtype.kind in "fiub"
        seen[name] = Seen(array.shape, array.dtype) if tensor else None
        if numbers is not None and tensor and array.dtype.kind == "i" and array.size <= _FEW:
            numbers[name] = array.reshape(-1).tolist()
    return seen


def _attempts(example: OnnxExample) -> dict[str, dict[str, NDArray[Any]]]:
    """Return inputs of another batch, another height and another width, as far as these are open."""
    size = example.size
    attempts = {"N": example.drawn(1, batch=_OTHER_BATCH)} if "N" in example.open else {}
    if size is not None and {"H", "W"} <= example.open:
        attempts["H"] = example.drawn(1, size=(size[0] + _STEPS["H"], size[1]))
        attempts["W"] = example.drawn(1, size=(size[0], size[1] + _STEPS["W"]))
    return attempts


def _symbolic(
    name: str, shape: tuple[int, ...], example: OnnxExample, others: Mapping[str, _Observed]
) -> tuple[Dimension, ...]:
    """Return a shape with `N`, `2*N`, `H/4`, ... where a size follows that of the input, by the manifest's rules."""
    size = example.size or (0, 0)
    grown = {
        "N": (1, _OTHER_BATCH),
        **{axis: (old, old + _STEPS[axis]) for axis, old in zip("HW", size, strict=True)},
    }
    known = {symbol: found.shape for symbol, seen in others.items() if (found := seen.get(name)) is not None}
    known = {symbol: other for symbol, other in known.items() if len(other) == len(shape)}
    named: list[Dimension] = []
    for place, length in enumerate(shape):
        changed = {symbol: other[place] for symbol, other in known.items() if other[place] != length}
        if not changed:
            named.append(length)
            continue
        (symbol, other), *more = changed.items()
        old, new = grown[symbol]
        follows = not more and length * new == other * old
        if follows and length % old == 0:
            named.append(symbol if length == old else f"{length // old}*{symbol}")
        elif follows and symbol != "N" and old % length == 0:
            named.append(f"{symbol}/{old // length}")
        else:
            named.append("?" if "N" in changed else f"{''.join(changed)}?")
    return tuple(named)


def _layouts(
    values: Values, seen: Mapping[str, Seen | None], example: OnnxExample, numbers: Mapping[str, list[int]]
) -> Layouts:
    layouts = Layouts()
    for each in example.inputs:
        layouts.add_input(each.name, example.layouts[each.name], example.arrays[each.name].shape)
    done: set[int] = set()
    for value in values.all.values():
        if id(value.node) not in done:
            done.add(id(value.node))
            observed = [seen.get(each) for each in value.node.output if each]
            shapes = [each.shape if each else None for each in observed]
            layouts.add(value.node, [numbers.get(name) for name in value.node.input], shapes)
    return layouts


def _describe(
    file: Path,
    values: Values,
    seen: Mapping[str, Seen | None],
    shapes: Mapping[str, tuple[Dimension, ...]],
    layouts: Layouts,
) -> tuple[tuple[Output, ...], tuple[Skipped, ...]]:
    outputs: dict[str, Output] = {}
    skipped = [Skipped(name=name, reason="an input of the model") for name in values.inputs]
    for name, value in values.all.items():
        found = seen.get(name)
        reason = value.reason_to_skip(found)
        if found is None or (reason and name not in values.returned):
            skipped.append(Skipped(name=name, reason=reason or "it is no tensor of numbers"))
            continue
        letters, tokens = layouts.of(name, len(found.shape))
        outputs[name] = Output(
            **origin_of(value.node, name).model_dump(),
            shape=shapes[name],
            dtype=values.dtype(name, found),
            layout=letters,
            tokens=tokens,
            alias_of=values.alias(value, outputs),
        )
    absent = next((old for name, old in values.returned.items() if name not in outputs), None)
    if absent is not None:
        raise ModelError(f"{file} returns {absent!r}, which is no tensor of numbers: it can't be compared.")
    return tuple(outputs.values()), tuple(skipped)
