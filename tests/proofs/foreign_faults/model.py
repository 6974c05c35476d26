"""A file that somebody else's tool made, loaded to be changed: constants as the tool wrote them, names lost."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx

from proofs.planted_faults.model import Model

__all__ = ["ForeignModel"]


class ForeignModel(Model):
    """A file with what planting needs to know about it, whatever tool made it.

    Args:
        file: the ONNX file.
        recorded: an input, by the file's names.
        ends: the file's values that compute an output of the source, with its name.
    """

    def __init__(self, file: Path, recorded: dict[str, np.ndarray], ends: Mapping[str, str]) -> None:
        super().__init__(file, recorded)
        self._ends = ends
        for node in self.graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.HasField("t"):
                    self.weights[node.output[0]] = attribute.t
        # From a run: onnx infers nothing of other domains' operators.
        names = [name for node in self.graph.node if node.op_type != "Constant" for name in node.output if name]
        values = self.run(names)
        self.shapes |= {name: list(array.shape) for name, array in values.items()}
        self.types |= {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in values.items()}

    def nodes(self, *operations: str) -> Iterator[onnx.NodeProto]:
        """Yield nodes of some operators, also where ONNX Runtime has fused an activation into them."""
        names = {*operations, *(f"Fused{each}" for each in operations)}
        return (node for node in self.graph.node if node.op_type in names)

    def nearest(self, node: onnx.NodeProto) -> frozenset[str]:
        """Return the source's outputs in which this node's value shows first."""
        found, seen = set(), set()
        waiting = list(node.output)
        for name in waiting:
            if name in self._ends:
                found.add(self._ends[name])
            elif name not in seen:
                seen.add(name)
                waiting += [value for user in self.graph.node if name in user.input for value in user.output]
        return frozenset(found)
