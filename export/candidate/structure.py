"""What a candidate's tensors are computed from and used for, beside what the source's outputs are: without any value.

Both graphs are seen through what isn't matched, as fused or faulty operations are: what counts are the nearest tensors
on either side of which it is known what they compute.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from probe.onnx_model.values import Values
from runtime.float64.nodes import reads

from .matching import Matches, Source
from .operations import is_same_operation

__all__ = ["Structure"]

_INPUT = ""
"""Stands for any input of either model."""
_FUSED = 3
"""Operations of the source that one of the candidate computes, at most: a convolution, a batch norm and a clamp."""

# fmt: off
_MOVING = frozenset({
    "Cast", "CastLike", "Concat", "DepthToSpace", "DequantizeLinear", "Dropout", "Expand", "Flatten", "Gather",
    "Identity", "Pad", "QuantizeLinear", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose",
    "Unsqueeze",
})
# fmt: on
"""Operators that compute nothing."""


class Structure:
    """Who computes from what, in a candidate and its source."""

    def __init__(self, values: Values, source: Source) -> None:
        self._values, self._source = values, source
        self._reads = {
            name: [each for each in reads(value.node) if each in values.inputs or self._is_data(each)]
            for name, value in values.all.items()
        }
        self._users: dict[str, list[str]] = {}
        for name, inputs in self._reads.items():
            for each in inputs:
                self._users.setdefault(each, []).append(name)
        for name, value in values.all.items():
            # Real numbers beside whole steps that operators pass on to each other.
            if value.node.op_type == "DequantizeLinear" and name not in self._users:
                self._users[name] = [each for each in self._users.get(value.node.input[0], ()) if each != name]
        self._source_users: dict[str, list[str]] = {}
        for name, inputs_of in source.inputs_of.items():
            for each in inputs_of:
                self._source_users.setdefault(each, []).append(name)
        self._order = {name: number for number, name in enumerate(values.all)}

    def _is_data(self, name: str) -> bool:
        return name in self._values.all and self._values.all[name].rests_on == "data"

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Return values in the order of computation."""
        return sorted(names, key=self._order.__getitem__)

    def after(self, value: str, most: int, known: Collection[str] = ()) -> list[str]:
        """Return the nearest values that are computed from a value, so many at most, and through no known ones."""
        after: dict[str, None] = {}
        for name in (waiting := [value]):
            for user in self._users.get(name, ()):
                if user not in after and user not in known and len(after) < most:
                    after[user] = None
                    waiting.append(user)
        return list(after)

    def copies(self, value: str) -> set[str]:
        """Return what only moves a value's elements, or some of them: whatever it is taken for, these are the same."""

        def moved(name: str) -> list[str]:
            return [user for user in self._users.get(name, ()) if self._values.all[user].node.op_type in _MOVING]

        return _all(value, moved)

    def depends(self, value: str, on: str) -> bool:
        """Return whether a value is computed from another one."""
        return on in _all(value, lambda name: self._reads.get(name, ()))

    def follows(self, output: str, on: str) -> bool:
        """Return whether an output of the source is computed from another one."""
        return on in _all(output, lambda name: self._source.inputs_of.get(name, ()))

    def is_end(self, output: str) -> bool:
        """Return whether nothing in the source is computed from an output."""
        return all(output not in inputs for inputs in self._source.inputs_of.values())

    def users(self, value: str, found: Matches) -> set[str]:
        """Return the nearest values after a value that are matched."""
        return _nearest(value, lambda name: self._users.get(name, ()), found.by_value)

    def is_unexplained(self, value: str, moved: set[str], found: Matches) -> bool:
        """Return whether an unmatched value leads to a result that isn't found, or to something that was moved."""
        returned = self._values.returned.keys()
        nearest = _nearest(value, lambda name: self._users.get(name, ()), found.by_value, returned)
        return not nearest.isdisjoint(moved) or not (nearest | {value} & returned) <= found.by_value.keys()

    def before(self, value: str, found: Matches) -> set[str]:
        """Return the nearest values before a value that are matched."""
        return self._nearest_before(value, found) & found.by_value.keys()

    def inputs(self, value: str, found: Matches) -> set[str]:
        """Return the outputs of the source that the nearest matched values before a value compute."""
        nearest = self._nearest_before(value, found)
        return {found.by_value[name].output if name in found.by_value else _INPUT for name in nearest}

    def _nearest_before(self, value: str, found: Matches) -> set[str]:
        return _nearest(value, lambda name: self._reads.get(name, ()), found.by_value, self._values.inputs)

    def inputs_of_output(self, output: str, found: Matches) -> set[str]:
        """Return the nearest outputs before one of the source's that are matched."""
        inputs_of, outputs = self._source.inputs_of, self._source.outputs
        nearest = _nearest(
            output,
            lambda name: inputs_of.get(name, ()),
            found.by_output,
            [each for names in inputs_of.values() for each in names if each not in outputs],
        )
        return {name if name in found.by_output else _INPUT for name in nearest}

    def users_of_output(self, output: str, found: Matches) -> set[str]:
        """Return the nearest outputs after one of the source's that are matched."""
        return _nearest(output, lambda name: self._source_users.get(name, ()), found.by_output)

    def agreeing(self, value: str, output: str, found: Matches) -> int:
        """Return by how many matched values after this one it is taken for an output, less those that take another."""
        users = self.users(value, found)
        agree = sum(output in self._source.inputs_of[found.by_value[user].output] for user in users)
        return 2 * agree - len(users)

    def may_compute(self, value: str, output: str, found: Matches) -> bool:
        """Return whether an operator is that of an output, or of one before it that may be fused into it."""
        operator, chain = self._values.all[value].node.op_type, [output]
        while len(chain) < _FUSED:
            before = [name for name in self._source.inputs_of[chain[-1]] if name not in found.by_output]
            before = [name for name in before if name in self._source.tensors]
            if len(before) != 1:
                break
            chain += before
        return any(is_same_operation(operator, self._source.outputs[name]) for name in chain)

    def steps_to(self, output: str, found: Matches) -> int:
        """Return how many unmatched outputs an output is computed from, itself included."""
        inputs_of = self._source.inputs_of

        def before(name: str) -> list[str]:
            return [each for each in inputs_of.get(name, ()) if each in inputs_of and each not in found.by_output]

        return 1 + len(_all(output, before))


def _all(start: str, neighbours: Callable[[str], Iterable[str]]) -> set[str]:
    """Return all that is reached from a start."""
    seen: set[str] = set()
    for name in (waiting := [start]):
        for each in neighbours(name):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return seen


def _nearest(
    start: str, neighbours: Callable[[str], Iterable[str]], ends: Mapping[str, object], others: Iterable[str] = ()
) -> set[str]:
    """Return what is reached first of some ends."""
    last = {*ends, *others}
    return _all(start, lambda name: () if name in last and name != start else neighbours(name)) & last
