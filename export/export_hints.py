"""What can be exported of a model that can't be exported as a whole, as options of the command line."""

from collections import Counter

from probe import Probe

__all__ = ["output_patterns", "parts_without"]

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
