"""What the source's nodes are for each output that a candidate computes, to be compared with the candidate's own.

They are those between the outputs that were found, the candidate's inputs have its own names, and a batch norm that the
candidate has folded into a convolution is folded here, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.artifact.onnx_file import OnnxFile
from runtime.artifact.onnx_nodes import ExportedNodes, OnnxConstant, OnnxNode, constant, describe_nodes
from runtime.artifact.onnx_weights import read_weight

__all__ = ["source_nodes"]

_NORM = "BatchNormalization"
_FOLDED = 1e-4
"""Of the largest number that goes into it: by how much a folded weight may differ, as each tool rounds elsewhere."""


def source_nodes(
    source: OnnxFile, candidate: OnnxFile, outputs: Sequence[str], inputs: Mapping[str, str]
) -> ExportedNodes:
    """Return the source's nodes by output.

    Args:
        source: its ONNX file.
        candidate: with its outputs marked.
        outputs: that were found, in the order of execution.
        inputs: by the name of an input in the source, its name in the candidate.
    """
    theirs = describe_nodes(source, outputs, outputs, of_data=True).outputs
    norms = [name for name, nodes in theirs.items() if any(node.operator == _NORM for node in nodes)]
    mine = describe_nodes(candidate, outputs, norms, of_data=True).outputs
    weights, given = (_Weights(file) for file in (source, candidate))
    described = {
        name: _folded(nodes, mine[name], weights, given) if name in mine else nodes for name, nodes in theirs.items()
    }
    return ExportedNodes(
        format_version=1,
        outputs={name: tuple(_reading(node, inputs) for node in nodes) for name, nodes in described.items()},
    )


def _reading(node: OnnxNode, inputs: Mapping[str, str]) -> OnnxNode:
    return node.model_copy(update={"reads": tuple(inputs.get(name, name) for name in node.reads)})


class _Weights:
    """The weights of a file, each read when it is asked for."""

    def __init__(self, file: OnnxFile) -> None:
        self._folder = file.folder
        self._tensors = {tensor.name: tensor for tensor in file.model().graph.initializer}

    def of(self, node: OnnxNode, name: str) -> NDArray[np.float64] | None:
        """Return a node's constant input by ONNX's name; None where there is none."""
        held = node.parameters.get(name)
        if not isinstance(held, OnnxConstant) or held.name not in self._tensors:
            return None
        return read_weight(self._tensors[held.name], self._folder).astype(np.float64)


class _Folded(NamedTuple):
    """A weight or a bias with a norm folded in."""

    values: NDArray[np.float64]
    largest: float
    """Of the numbers that it is computed from."""


def _folded(
    nodes: tuple[OnnxNode, ...], mine: Sequence[OnnxNode], weights: _Weights, given: _Weights
) -> tuple[OnnxNode, ...]:
    """Return nodes with the norm folded into the convolution before it, if the candidate has only that."""
    norms = [node for node in nodes if node.operator == _NORM]
    products = [node for node in nodes if node.operator in _CHANNELS]
    if len(norms) != 1 or len(products) != 1 or any(node.operator == _NORM for node in mine):
        return nodes
    (product,), (norm,) = products, norms
    here = [node for node in mine if node.operator == product.operator]
    if len(here) != 1 or nodes.index(product) > nodes.index(norm):
        return nodes
    parameters: dict[str, Any] = dict(product.parameters)
    for kind, folded in _fold(product, norm, weights).items():
        named, own = product.parameters.get(kind, norm.parameters.get("B")), given.of(here[0], kind)
        if not isinstance(named, OnnxConstant):
            continue
        meant = folded.values
        if own is not None and own.shape == meant.shape:
            # What differs by rounding alone is as it is in the file, so that what is said is the rest.
            meant = np.where(np.abs(own - meant) <= _FOLDED * folded.largest, own, meant)
        parameters[kind] = constant(named.name, meant.astype(np.float32))
    both = product.model_copy(update={"parameters": parameters})
    return tuple(both if node is product else node for node in nodes if node is not norm)


_CHANNELS = {"Conv": 0, "ConvTranspose": 1}
"""By operator that a norm is folded into: the axis of its weight along which its results are."""


def _fold(product: OnnxNode, norm: OnnxNode, weights: _Weights) -> dict[str, _Folded]:
    """Return the folded weight W and bias B; nothing where they are no constants, or a transposed one's in groups."""
    axis, weight, bias = _CHANNELS[product.operator], weights.of(product, "W"), weights.of(product, "B")
    parts = [weights.of(norm, name) for name in ("scale", "B", "input_mean", "input_var")]
    if weight is None or any(part is None for part in parts):
        return {}
    gain, shift, mean, variance = (part for part in parts if part is not None)
    if weight.shape[axis] != gain.size:
        return {}
    epsilon = norm.parameters.get("epsilon", "1e-05")
    factor = gain / np.sqrt(variance + float(str(epsilon)))
    along = factor.reshape([-1 if each == axis else 1 for each in range(weight.ndim)])
    before = np.zeros_like(mean) if bias is None else bias
    terms = np.stack([before * factor, mean * factor, shift])
    return {
        "W": _Folded(weight * along, float(np.max(np.abs(weight * along), initial=0.0))),
        "B": _Folded(terms[0] - terms[1] + terms[2], float(np.max(np.abs(terms), initial=0.0))),
    }
