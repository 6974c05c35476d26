"""Where the ONNX file is at fault at an output: what its nodes there have otherwise than when they were exported."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..artifact.errors import ArtifactError
from ..artifact.folder import Artifact
from ..artifact.onnx_nodes import OnnxConstant, OnnxNode, attribute_text, describe_nodes

__all__ = ["node_differences"]

_NEUTRAL = {"pads": "0", "strides": "1", "dilations": "1", "output_padding": "0"}
"""Attributes that may be omitted where they hold nothing but this: ONNX's schema doesn't say so."""

_SHAPING = frozenset({"Dropout", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators of which another tool's file may have others: they leave the elements in their order."""

_COMMUTATIVE = frozenset({"Add", "Mul"})
_OF_SIZES = frozenset({"Cast", "Concat", "ConstantOfShape", "Gather", "Range", "Shape", "Size", "Slice", *_SHAPING})
_MOVING = frozenset({"Concat", "Gather", "Slice", "Split", "Transpose"})

_TO_THE_END = 2**31 - 1
"""The least end of a slice that no axis reaches."""

_LONGEST = 80
"""Characters of one value in a message, whatever the file holds."""


def node_differences(artifact: Artifact, output: str) -> list[str]:
    """Return what differs at an output, each as the end of a sentence: `its epsilon is 1e-05, the model's 0.001`.

    None where nothing does: the export itself is then at fault. None either where the artifact holds no record of its
    nodes, or an altered one.
    """
    try:
        exported = artifact.exported_nodes().get(output)
        if exported is None:
            return []
        file = artifact.onnx()
        theirs = artifact.manifest.candidate is not None
        names = artifact.manifest.output_names
        found = describe_nodes(file, names, [output], of_data=theirs).outputs.get(output, ())
        every = describe_nodes(file, names, [output]).outputs.get(output, ()) if theirs else found
    except ArtifactError:
        # The verdict stands without it.
        return []
    opsets = {each.domain: each.version for each in file.model().opset_import}
    opset = opsets.get("", 1)
    if not theirs:
        return [*_operators(found, exported), *_inside(found, exported, opset)]
    said = _of_another_tool(found, exported, opset)
    return said or list(_computed_weights(found, exported, every))


def _of_another_tool(found: Iterable[OnnxNode], exported: Iterable[OnnxNode], opset: int) -> list[str]:
    """Compare what computes; what moves elements only if the steps are the same, or nothing else differs."""
    found, exported = (
        [_uniform(node) for node in nodes if node.operator not in _SHAPING] for nodes in (found, exported)
    )
    if Counter(node.operator for node in found) == Counter(node.operator for node in exported):
        return list(_inside(found, exported, opset))
    here, there = ([node for node in nodes if node.operator not in _MOVING] for nodes in (found, exported))
    said = [*_operators(here, there), *_inside(here, there, opset)]
    return said or list(_operators(found, exported))


def _uniform(node: OnnxNode) -> OnnxNode:
    """Return a node with its constant second, if its inputs may be in either order."""
    if node.operator not in _COMMUTATIVE or set(node.parameters) != {"A"}:
        return node
    return node.model_copy(update={"parameters": {"B": node.parameters["A"]}})


def _computed_weights(
    found: Iterable[OnnxNode], exported: Iterable[OnnxNode], every: Iterable[OnnxNode]
) -> Iterator[str]:
    """Tell the weights that the file computes, from others: none of its nodes for that is an output of the model."""
    by = Counter(node.operator for node in every) - Counter(node.operator for node in found)
    names = [name for name in by if name not in _OF_SIZES]
    for here, there in zip(found, exported, strict=False):
        for name, weight in there.parameters.items() if here.operator == there.operator and names else ():
            if isinstance(weight, OnnxConstant) and name not in here.parameters and _is_required(here.operator, name):
                yield f"its {_name_of(name, weight)} is computed in the file, by {_brief(', '.join(names))}"


def _is_required(operator: str, name: str) -> bool:
    """Return whether an operator always has this input, so that one that isn't recorded is no constant."""
    import onnx

    if not onnx.defs.has(operator):
        return False
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    return any(each.name == name and each.option == single for each in onnx.defs.get_schema(operator).inputs)


def _operators(found: Iterable[OnnxNode], exported: Iterable[OnnxNode]) -> Iterator[str]:
    here, there = Counter(node.operator for node in found), Counter(node.operator for node in exported)
    added, lacking = (_brief(", ".join((one - other).elements())) for one, other in ((here, there), (there, here)))
    if added and lacking:
        yield f"it has {added} in place of the model's {lacking}"
    elif added:
        yield f"it has {added} that the model has not"
    elif lacking:
        yield f"it lacks the model's {lacking}"


def _inside(found: Sequence[OnnxNode], exported: Sequence[OnnxNode], opset: int) -> Iterator[str]:
    """Compare the nodes of each operator, the first with the first."""
    operators = dict.fromkeys(node.operator for node in exported)
    for operator in operators:
        its = "its" if len(operators) == 1 else f"its {operator}'s"
        here, there = ([node for node in nodes if node.operator == operator] for nodes in (found, exported))
        if len(here) != len(there):
            continue
        for one, other in zip(here, there, strict=True):
            for name in dict.fromkeys([*other.parameters, *one.parameters]):
                yield from _parameter(its, name, one, other, opset)
            # Behind an added node, which is told, it reads something else anyway.
            if one.reads and one.reads != other.reads and len(found) == len(exported):
                yield f"it reads {', '.join(one.reads)} in place of {', '.join(other.reads)}"


def _parameter(its: str, name: str, here: OnnxNode, there: OnnxNode, opset: int) -> Iterator[str]:
    found, exported = (node.parameters.get(name, _default(node.operator, name, opset)) for node in (here, there))
    if _value(name, found) == _value(name, exported) or (name == "kernel_shape" and None in (found, exported)):
        return
    if None in (found, exported) and _is_required(here.operator, name):
        return  # computed on the way, in one of them
    if here.operator == "Slice" and name == "ends" and _alike_ends(_shown(found), _shown(exported)):
        return
    weight = _name_of("", found, exported)
    what = f"its {weight}" if weight else f"{its} {name}" if len(name) > 1 else f"{its} constant {name}"
    shown, meant = _shown(found), _shown(exported)
    if shown == meant and isinstance(found, OnnxConstant) and isinstance(exported, OnnxConstant):
        same = found.sum == exported.sum
        how = "with the same sum" if same else f"its sum is {found.sum}, the model's {exported.sum}"
        yield f"{what} differs from the model's ({how})"
    else:
        yield f"{what} {'are' if ' ' in shown else 'is'} {shown}, the model's {meant}"


def _name_of(name: str, *weights: str | OnnxConstant | None) -> str:
    """Return a weight's own name, which says more than ONNX's; a constant of the exporter's has none that does."""
    own = (each.name for each in weights if isinstance(each, OnnxConstant) and "." in each.name)
    return _brief(next(own, name))


def _alike_ends(*ends: str) -> bool:
    """Return whether one slice goes to the end, as the other may: a result of another size is told as that."""
    numbers = [[int(each) for each in text.split()] for text in ends if text.replace(" ", "").isdigit()]
    return len(numbers) == len(ends) and all(
        len(set(pair)) == 1 or max(pair) >= _TO_THE_END for pair in zip(*numbers, strict=False)
    )


def _default(operator: str, name: str, opset: int) -> str | None:
    import onnx

    try:
        attribute = onnx.defs.get_schema(operator, opset).attributes[name].default_value
    except (onnx.defs.SchemaError, KeyError):
        return None
    return attribute_text(attribute)


def _value(name: str, given: str | OnnxConstant | None) -> tuple[str, ...] | None:
    """Return what is compared: equal where two mean the same."""
    if isinstance(given, OnnxConstant):
        return (given.values,) if given.values is not None else (given.sha256, *map(str, given.shape))
    if given is None or (name in _NEUTRAL and set(given.split()) <= {_NEUTRAL[name]}):
        return None
    return (given,)


def _shown(given: str | OnnxConstant | None) -> str:
    if isinstance(given, OnnxConstant):
        return given.values if given.values is not None else f"{' x '.join(map(str, given.shape))} numbers"
    return "not set" if given is None else _brief(given) or "empty"


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
