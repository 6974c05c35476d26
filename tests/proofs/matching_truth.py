"""Whether a candidate's tensors were matched rightly: two exporters write into each node which module it is of.

The names are read before they are stripped. A match is right if the node is of the module whose output it was taken
for, or of one whose output that fuses, as a convolution whose batch norm was folded into it, or if the source computes
the very same numbers there.
"""

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from export.candidate.matching import Source
from proofs.foreign_files import Foreign, Workshop
from runtime.float64.graph import Float64Graph

__all__ = ["TOLD_MAKERS", "judge_matching"]

TOLD_MAKERS = ("torch.onnx, legacy, opset 17", "torch.onnx, dynamo")
"""The makers whose nodes say of which module they are."""


def judge_matching(model: str, maker: str, work: Workshop) -> dict[str, Any]:
    """Return how many tensors of a right file were matched, and which of them wrongly.

    Raises:
        ValueError: the maker can't make the file.
    """
    foreign = work.file(model, maker)
    if foreign is None:
        raise ValueError(f"{maker} doesn't make {model}")
    made, artifact = work.model(model)
    modules = {path for path, _ in made.module.named_modules()}
    scopes = _scopes(onnx.load(foreign.named, load_external_data=False), modules)
    reference, outputs = artifact.references()[0], artifact.manifest.output_names
    source = Source(
        Float64Graph(artifact.file("model.onnx"), outputs),
        {each.name: each for each in artifact.manifest.outputs},
        reference.inputs,
    )
    of_output = {name: _module(name, modules) for name in outputs}
    known = {value: output for value, output in foreign.ends.items() if value in scopes}
    wrong = [
        f"{output} at a node of {scopes[value]}"
        for value, output in known.items()
        if scopes[value] not in _modules_of(output, of_output, foreign, source)
    ]
    # The last node of a module that is no container computes its output, or that of what was folded into it.
    leaves = {path for path, module in made.module.named_modules() if next(module.children(), None) is None}
    last = {scope: value for value, scope in scopes.items() if scope in leaves}
    found = {of_output[output] for output in foreign.ends.values()}
    lost = [scope for scope, value in last.items() if value not in foreign.ends and scope not in found]
    return {
        "model": model,
        "maker": maker,
        "outputs": len(outputs),
        "matched": len(set(foreign.ends.values())),
        "compared": len(known),
        "wrong": wrong,
        "modules": len(last),
        "lost": lost,
        "right": not wrong,
    }


def _scopes(model: onnx.ModelProto, modules: set[str]) -> dict[str, str]:
    """Return the module of each value's node, by the value's name in the file without names."""
    scopes, number = {}, 0
    for node in model.graph.node:
        told = next((each.value for each in node.metadata_props if each.key.endswith("name_scopes")), None)
        if told is None and not node.name.startswith("/"):
            path = None  # written by an optimizer
        else:
            path = _known(ast.literal_eval(told)[-2] if told else _of_name(node.name), modules)
        for _ in filter(None, node.output):
            if path is not None and node.op_type != "Constant":
                scopes[f"v{number}"] = path
            number += 1
    return scopes


def _of_name(name: str) -> str:
    """Return the path in a node's name: `/layer1/layer1.0/conv1/Conv` is of `layer1.0.conv1`."""
    parts: list[str] = []
    for part in name.split("/")[1:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts[-1] = part
        else:
            parts.append(part)
    return ".".join(parts)


def _known(path: str, modules: set[str]) -> str | None:
    """Return a path without the numbers of repeated calls; None if it is no module's."""
    return path if path in modules else once if (once := re.sub(r"_\d+(?=\.|$)", "", path)) in modules else None


def _module(output: str, modules: set[str]) -> str:
    """Return the module that an output is of: the longest path that its name starts with."""
    parts = output.split(".")
    paths = (_known(".".join(parts[:count]), modules) for count in range(len(parts), 0, -1))
    return next((path for path in paths if path), "")


def _modules_of(output: str, of_output: Mapping[str, str], foreign: Foreign, source: Source) -> set[str]:
    """Return the modules of an output, of what is fused into it, and of outputs with the same numbers."""
    tensor = source.tensors[output]
    same = [
        name
        for name in source.of_size(tensor.size)
        if np.isclose(tensor.spread, source.tensors[name].spread, rtol=1e-12, atol=0)
        and np.isclose(tensor.mean, source.tensors[name].mean, rtol=1e-9, atol=1e-12)
    ]
    return {of_output[name] for name in {output, *same, *foreign.with_partners(frozenset({output}))}}
