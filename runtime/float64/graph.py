"""An artifact's ONNX graph in float64, output by output, also on the very tensors that a runtime computed.

This separates the error that an operation introduced from the error that it inherited. Judging the numbers is in
`verdict/`; computing one node is in `float64/nodes.py`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto

from ..artifact.errors import ArtifactError, InputError, first_line
from ..artifact.manifest import NODE_STEP_KEY, SIZE_NODE_PREFIX
from ..artifact.onnx_file import OnnxFile, read_onnx
from ..artifact.onnx_nodes import nearest_values
from ..artifact.onnx_weights import read_weight
from ..artifact.plain_text import one_line
from .bit_noise import BitNoise
from .contrib import ONNX_DOMAIN, with_parts
from .losses import NO_SCALE, Losses, Scale
from .nodes import NodeEvaluator, reads, subgraphs, widened
from .operators import WIDENING
from .whole_steps import with_real_values

__all__ = ["Float64Graph", "Unknown"]


@dataclass(frozen=True)
class Unknown:
    """Stands for an output that can't be recomputed."""

    reason: str


@dataclass(frozen=True)
class _Step:
    """One node, in the order of computation."""

    node: NodeProto
    reads: tuple[str, ...]
    done_with: tuple[str, ...]
    """Values that no later step uses."""
    completes: tuple[str, ...]
    """Outputs to yield after this step: in the order of execution, those before them are computed as well."""


_PassedOn = Callable[[str, Any, Scale], Any]
"""Returns what the nodes that use an output get: of its name, its value and its natural scale."""


class Float64Graph:
    """The nodes of `model.onnx` that compute its outputs."""

    inputs_of: Mapping[str, tuple[str, ...]]
    """By output: the nearest outputs and inputs of the model that it is computed from, in order."""
    constants: frozenset[str]
    """The outputs that depend on no input, or on its size alone: the exporter may have computed what they hold."""
    unexported_operations: Mapping[str, tuple[str, ...]]
    """By output: the model's operations between those and it, in order; none if all operations are outputs."""
    single_operations: frozenset[str]
    """The outputs that a single operation of the model computes from those: what it may lose is known. An averaged
    probe, whose tensors on the way are no outputs, has none."""

    def __init__(
        self,
        file: Path | OnnxFile,
        outputs: Sequence[str],
        *,
        rounds: bool = False,
        averaged: bool = False,
        real_values: bool = False,
    ) -> None:
        """Read the graph. Its weights are read in each walk, one by one, because a runtime needs the memory.

        Args:
            file: `model.onnx`, or what was read of it; a large model's weights are beside it.
            outputs: names of the outputs to compute, in the order of execution.
            rounds: whether a `Cast` to 16 bits that belongs to no step of the model rounds, outside of subgraphs: a
                converter to mixed precision inserted it, unless the whole model computes in 16 bits.
            averaged: whether the outputs are means of what the operations return, which got other tensors.
            real_values: whether operators of whole steps are taken apart, so that what lies between two of them is a
                tensor of real numbers that can be forced.

        Raises:
            ArtifactError: the file can't be read, or doesn't compute one of the outputs.
        """
        opened = file if isinstance(file, OnnxFile) else read_onnx(file)
        model = opened.model()
        graph = _inlined(model, opened.path).graph
        self._file, self._folder = opened.path, opened.folder
        self._opsets = {"" if each.domain == ONNX_DOMAIN else each.domain: each.version for each in model.opset_import}
        self._opset = self._opsets.get("", 0)
        with_parts(graph, self._opset)
        if real_values:
            with_real_values(graph, self._opset, outputs)
        _store_constants(graph, outputs)
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        given = [value for value in graph.input if value.name not in self._weights]
        self._inputs = [value.name for value in given]
        self._input_types = {value.name: value.type.tensor_type.elem_type for value in given}
        self._outputs = tuple(outputs)
        producers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
        absent = [name for name in outputs if name not in producers]
        if absent:
            raise ArtifactError(
                f"{self._file} does not compute {absent[0]}, which the manifest lists.\nExport the artifact again."
            )
        needs = [tuple(reads(node)) for node in graph.node]
        named = {*self._outputs, *self._inputs}
        found = {name: nearest_values(name, producers, needs, named) for name in self._outputs}
        self.inputs_of = {name: nearest for name, (nearest, _) in found.items()}
        self.constants = frozenset(self._outputs) - _computed_from(self._inputs, graph.node, needs)
        self.unexported_operations = {
            name: _operations([graph.node[index] for index in sorted(passed)], named)
            for name, (_, passed) in found.items()
        }
        self.single_operations = frozenset(
            name for name, between in self.unexported_operations.items() if not averaged and not between
        )
        scaled = {index for name in self.single_operations for index in (*found[name][1], producers[name])}
        self._scaled = {name for index in scaled for name in graph.node[index].output if name}
        self._nodes = graph.node
        self._steps = _schedule(graph.node, needs, producers, self._outputs)
        self._rounds = rounds
        self._evaluators: dict[int, NodeEvaluator] = {}

    def walk(
        self, inputs: Mapping[str, NDArray[Any]], forced: Mapping[str, NDArray[Any]] | None = None
    ) -> Iterator[tuple[str, NDArray[Any] | Unknown]]:
        """Yield every output in the order of execution with its float64 value (integers stay integers).

        The walk continues with the same arrays: read them, don't write to them.

        Args:
            inputs: of the model, by name.
            forced: by output, what a runtime computed. Nodes that use such an output get this array, widened, instead
                of the one that was yielded; so an error shows only where it arises, and an output after an `Unknown`
                one is known again.

        Raises:
            InputError: an input of the model is missing.
        """
        for name, value, _ in self._walk(inputs, _given(forced or {}), None):
            yield name, value

    def walk_replacing(
        self,
        inputs: Mapping[str, NDArray[Any]],
        replaced: Callable[[str, Any], Any],
        known: Mapping[str, NDArray[Any]] | None = None,
    ) -> Iterator[tuple[str, NDArray[Any] | Unknown]]:
        """Yield what `walk` does, where the nodes that use an output get what `replaced` returns of its name and value.

        Args:
            inputs: of the model, by name.
            replaced: called once for each output that is computed, before the next node is.
            known: outputs that aren't computed again. A node all of whose results are known is passed over.
        """
        known = known or {}
        for name, value, _ in self._walk(inputs, lambda name, value, _: replaced(name, value), None, known):
            yield name, value

    def walk_with_noise(
        self, inputs: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]]
    ) -> tuple[BitNoise, Iterator[tuple[str, NDArray[Any] | Unknown, Scale]]]:
        """Return what shows on the way, and what `walk` yields with each output's error that the file's bits explain.

        Args:
            inputs: as of `walk`.
            right: by output, the right tensor, which all that uses it is given.
        """
        real = {node.input[0]: node.output[0] for node in self._nodes if node.op_type == "DequantizeLinear"}
        noise = BitNoise(right, real, self._inputs)
        return noise, self._walk(inputs, _given(right), noise)

    def shaken_walk(
        self,
        inputs: Mapping[str, NDArray[Any]],
        seed: int,
        forced: Mapping[str, NDArray[Any]] | None = None,
        *,
        roundings: float = 1.0,
    ) -> Iterator[tuple[str, NDArray[Any] | Unknown]]:
        """Yield what `walk` does where each operation errs, at random, by up to so many roundings of its scale.

        What is forced is passed on as it is.
        """
        given = _given(forced or {})
        generator = np.random.default_rng(seed)
        epsilon = roundings * float(np.finfo(np.float32).eps)

        def shaken(_: str, value: Any, scale: Scale) -> Any:
            if isinstance(value, Unknown) or value.dtype.kind != "f":
                return value
            with np.errstate(all="ignore"):
                error = np.asarray(generator.uniform(-epsilon, epsilon, value.shape) * scale.own)
                # An infinity stays as it is, of a mask for example: infinity minus infinity would be NaN.
                np.copyto(error, 0.0, where=~np.isfinite(error))
                # NumPy returns a scalar of what has no axes, which can't be written to.
                return np.asarray(value + error)

        def passed_on(name: str, value: Any, scale: Scale) -> Any:
            return given(name, value, scale) if forced and name in forced else shaken(name, value, scale)

        for name, value, scale in self._walk(inputs, passed_on, Losses(self.inputs_of, None, self._opset)):
            yield name, shaken(name, value, scale)

    def walk_with_scales(
        self,
        inputs: Mapping[str, NDArray[Any]],
        forced: Mapping[str, NDArray[Any]] | None = None,
        *,
        folded: Mapping[str, float] | None = None,
        exact: Collection[str] | None = None,
    ) -> Iterator[tuple[str, NDArray[Any] | Unknown, Scale]]:
        """Yield what `walk` does, and the natural scale of each output.

        Args:
            inputs: as of `walk`.
            forced: as of `walk`.
            folded: if the file is compared with the model itself: what its exporter may have lost in outputs that
                depend on no input, which it computed. Then single numbers and tables count as rounded, nothing else.
            exact: the outputs that count as exact for what uses them, all by default. What the others lose is a part of
                the scale of those after them, as where several operations are computed by one.
        """
        losses = Losses(self.inputs_of if exact is None else exact, folded, self._opset)
        yield from self._walk(inputs, _given(forced or {}), losses)

    def walk_judging(
        self,
        inputs: Mapping[str, NDArray[Any]],
        judge: Callable[[str, Any, Scale], Any],
        *,
        folded: Mapping[str, float],
    ) -> None:
        """Compute every output, where the nodes that use it get what `judge` returns for it.

        Args:
            inputs: as of `walk`.
            judge: called with each output's name, its value or `Unknown`, and its natural scale, before what uses it is
                computed.
            folded: as of `walk_with_scales`.
        """
        for _ in self._walk(inputs, judge, Losses(self.inputs_of, folded, self._opset)):
            pass

    def _walk(
        self,
        inputs: Mapping[str, NDArray[Any]],
        passed_on: _PassedOn,
        losses: Losses | BitNoise | None,
        known: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    ) -> Iterator[tuple[str, NDArray[Any] | Unknown, Scale]]:
        absent = [name for name in self._inputs if name not in inputs]
        if absent:
            raise InputError(f"The model takes {', '.join(self._inputs)}; {absent[0]} is missing.")
        values: dict[str, Any] = {name: widened(np.asarray(inputs[name])) for name in self._inputs}
        if losses:
            losses.start(self._input_types)
        finished: dict[str, tuple[Any, Scale]] = {}
        for number, step in enumerate(self._steps):
            names = [name for name in step.node.output if name]
            if names and all(name in known for name in names):
                for name in names:
                    values[name] = widened(np.asarray(known[name]))
                    finished[name] = values[name], NO_SCALE
                names = []
            given = {
                name: values[name] if name in values else self._weight(name, step.node, losses)
                for name in (step.reads if names else ())
            }
            results, scales = self._compute(number, step.node, given, losses) if names else ([], [])
            for name, value, scale in zip(names, results, scales, strict=True):
                values[name] = value
                if name in self.inputs_of:
                    finished[name] = value, scale
                    values[name] = passed_on(name, value, scale)
            for name in step.done_with:
                values.pop(name, None)
                if losses:
                    losses.forget(name)
            for name in step.completes:
                yield name, *finished.pop(name)

    def _compute(
        self, number: int, node: NodeProto, given: Mapping[str, Any], losses: Losses | BitNoise | None
    ) -> tuple[list[Any], list[Scale]]:
        """Return the outputs of a node, or `Unknown` for each, and their scales."""
        count = sum(bool(name) for name in node.output)
        unknown = next((value for value in given.values() if isinstance(value, Unknown)), None)
        if unknown is not None:
            return [unknown] * count, [NO_SCALE] * count
        inputs = [given[name] if name else None for name in node.input]
        # What is an input, too, may be read from inside by its own name.
        outer = given if any(subgraphs(node)) else {}
        try:
            # Created on demand, as an operator that onnx doesn't know matters only if its result is needed.
            if number not in self._evaluators:
                inserted = not any(each.key == NODE_STEP_KEY for each in node.metadata_props)
                self._evaluators[number] = NodeEvaluator(node, self._opsets, rounds=self._rounds and inserted)
            evaluator = self._evaluators[number]
            results = evaluator.run(inputs, outer)
            if losses is None or (not losses.follows_all and self._scaled.isdisjoint(node.output)):
                return results, [NO_SCALE] * count
            rounded = evaluator.rounded_to is not None
            inside = evaluator.inner_losses(inputs, outer, results)
            return results, losses.of(
                node, inputs, results, lambda others: evaluator.run(others, outer), rounded, inside
            )
        except Exception as error:
            # onnx's evaluator and NumPy raise many types for the tensors of a faulty file.
            return [Unknown(f"{one_line(node.op_type)} can't be recomputed: {_reason(error)}")] * count, [
                NO_SCALE
            ] * count

    def _weight(self, name: str, user: NodeProto, losses: Losses | BitNoise | None) -> NDArray[Any]:
        # Read and widened each time: cached weights would take three times the file's size.
        array = self._read(name)
        if losses:
            losses.add_constant(name, array, self._weights[name].data_type, user)
        return array if user.op_type in WIDENING and not user.domain else widened(array)

    def _read(self, name: str) -> NDArray[Any]:
        try:
            return read_weight(self._weights[name], self._folder)
        except Exception as error:  # protobuf's own errors share no base with onnx's
            raise ArtifactError(f"{self._file}: the weight {name} can't be read: {first_line(error)}") from error


def _given(forced: Mapping[str, NDArray[Any]]) -> _PassedOn:
    return lambda name, value, _: widened(np.asarray(forced[name])) if name in forced else value


def _inlined(model: onnx.ModelProto, file: Path) -> onnx.ModelProto:
    try:
        return onnx.inliner.inline_local_functions(model) if model.functions else model
    except Exception as error:
        raise ArtifactError(f"{file} can't be loaded as an ONNX model: {first_line(error)}") from error


def _store_constants(graph: GraphProto, outputs: Sequence[str]) -> None:
    """Make what nodes of constants hold weights of the graph: as these, they were rounded to their type."""
    kept = []
    for node in graph.node:
        value = next((each.t for each in node.attribute if each.name == "value"), None)
        if node.op_type != "Constant" or node.domain or value is None or node.output[0] in outputs:
            kept.append(node)
            continue
        value.name = node.output[0]
        graph.initializer.append(value)
    del graph.node[:]
    graph.node.extend(kept)


def _computed_from(inputs: Sequence[str], nodes: Sequence[NodeProto], needs: Sequence[Sequence[str]]) -> set[str]:
    """Return the values that what is in these inputs has a part in, not their size alone."""
    readers: dict[str, list[int]] = {}
    for number, names in enumerate(needs):
        if nodes[number].op_type not in ("Shape", "Size"):
            for name in names:
                readers.setdefault(name, []).append(number)
    computed, waiting = set(inputs), list(inputs)
    while waiting:
        for number in readers.get(waiting.pop(), ()):
            new = set(nodes[number].output) - computed
            computed |= new
            waiting += new
    return computed


def _operations(nodes: Sequence[NodeProto], named: Collection[str]) -> tuple[str, ...]:
    """Return the operations that these nodes belong to, by their metadata; where another tool has removed that, by
    their names: the export calls a node `operation/Conv::6`.
    """
    found = (
        next((each.value for each in node.metadata_props if each.key == NODE_STEP_KEY), node.name.rpartition("/")[0])
        for node in nodes
        if not node.name.startswith(SIZE_NODE_PREFIX)
    )
    return tuple(dict.fromkeys(operation for operation in found if operation and operation not in named))


def _schedule(
    nodes: Sequence[NodeProto], needs: Sequence[tuple[str, ...]], producers: Mapping[str, int], outputs: Sequence[str]
) -> list[_Step]:
    """Return the steps to all outputs: each node as late as the outputs' order allows, so that little is in memory."""
    order: list[int] = []
    completes: dict[int, list[str]] = {}
    scheduled: set[int] = set()
    for output in outputs:
        waiting, missing = [producers[output]], set()
        while waiting:
            index = waiting.pop()
            if index not in scheduled and index not in missing:
                missing.add(index)
                waiting += [producers[name] for name in needs[index] if name in producers]
        # ONNX lists nodes in an order in which they can be computed.
        order += sorted(missing)
        scheduled |= missing
        completes.setdefault(order[-1], []).append(output)
    last_use = {name: index for index in order for name in needs[index]}
    steps = []
    for index in order:
        done_with = [name for name in needs[index] if last_use[name] == index]
        unused = [name for name in nodes[index].output if name and name not in last_use]
        steps.append(_Step(nodes[index], needs[index], (*done_with, *unused), tuple(completes.get(index, ()))))
    return steps


def _reason(error: BaseException) -> str:
    """Return the cause: the evaluator wraps errors in one about types, which says less."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
