"""What can be exported of a model that can't be exported as a whole, as options of the command line."""

import re
from collections import Counter
from collections.abc import Iterator

from probe import Probe
from runtime.artifact.manifest import Origin

__all__ = ["named_in", "output_patterns", "parts_without", "steps_before", "way_around"]

_SHOWN = 3


def output_patterns(wanted: list[str], others: set[str]) -> list[str]:
    """Return up to three names or globs that match wanted outputs and no others, those that match the most first."""
    found: Counter[str] = Counter()
    for name in wanted:
        parts = name.split(".")
        prefixes = (".".join(parts[:count]) for count in range(1, len(parts)))
        whole = next(
            (prefix for prefix in prefixes if not any(other.startswith(f"{prefix}.") for other in others)), None
        )
        found[f"'{whole}.*'" if whole else name] += 1
    return [pattern for pattern, _ in found.most_common(_SHOWN)]


def parts_without(probe: Probe, places: set[str]) -> str:
    """Return which submodules can be exported: the largest that contain none of `places` (module paths)."""
    steps: Counter[str] = Counter()
    for origin in probe.traced.origins.values():
        path = origin.module_path
        while path:
            steps[path] += 1
            path = path.rpartition(".")[0]
    sound = {path for path in steps if not any(f"{place}.".startswith(f"{path}.") for place in places)}
    outermost = [path for path in steps if path in sound and not any(path.startswith(f"{each}.") for each in sound)]
    largest = set(sorted(outermost, key=lambda path: -steps[path])[:_SHOWN])
    shown = [path for path in outermost if path in largest]
    if not places:
        return "--submodule exports one part of the model; `layerprobe nodes` lists the parts."
    if not shown:
        return f"No submodule of {probe.model_name} works without it: replace it in the model."
    return f"Export only a part that works without it: {' or '.join(f'--submodule {path}' for path in shown)}"


def way_around(probe: Probe, wrong: set[str]) -> str:
    """Return what can be exported without the outputs that are wrong and all that depend on them."""
    lost = wrong | _following(probe, wrong)
    if lost and not lost.intersection(probe.results.values()):
        kept = output_patterns([spec.name for spec in probe.outputs if spec.name not in lost], lost)
        if kept:
            return f"Export the outputs that work without it: {' '.join(f'--outputs {pattern}' for pattern in kept)}"
    return parts_without(probe, {spec.module_path for spec in probe.outputs if spec.name in wrong})


def steps_before(probe: Probe, name: str) -> Iterator[Origin]:
    """Yield the model's steps that an output is computed from, last first."""
    needed = {probe.nodes[name]}
    for node in reversed(probe.traced.module.graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
            if node is not probe.nodes[name] and node in probe.traced.origins:
                yield probe.traced.origins[node]


def named_in(message: str, probe: Probe) -> set[str]:
    """Return the output whose step a message of ONNX Runtime or onnx.checker names, if any: nodes are named after them.

    They write `Name:'layer1.conv'` and `node name: layer1.attn/MatMul::17`.
    """
    found = re.search(r"Name:'(?P<runtime>[^']*)'|node name: (?P<checker>[^)]*)\)", message)
    node = (found["runtime"] or found["checker"] or "") if found else ""
    step = re.fullmatch(r"(?:size::)?(.*?)(?:/\w+)?(?:::\d+)?", node)
    return {spec.name for spec in probe.outputs if step and spec.name == step[1]}


def _following(probe: Probe, names: set[str]) -> set[str]:
    reached = {probe.nodes[name] for name in names}
    for node in probe.traced.module.graph.nodes:
        if not reached.isdisjoint(node.all_input_nodes):
            reached.add(node)
    return {name for name, node in probe.nodes.items() if node in reached}
