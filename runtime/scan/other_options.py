"""What tells one scan from another, in the words of the command line: `without --keep`, `with --keep relu`."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["fact_words", "told_apart"]

_OPTIONS = {
    "input_size": "--input-size",
    "batch": "--batch",
    "shard": "--shard",
    "sample": "--sample",
    "seed": "--seed",
    "classes": "--classes",
    "keep": "--keep",
    "keep_dtype": "--keep-dtype",
    "against": "--against",
}
_WORDS = {"model": "on the model", "images_below": "on the images below", "runner": "by"}
_SHOWN = 3
"""Values of an option that may be repeated."""


def told_apart(field: str, one: Any, other: Any) -> tuple[str, str]:
    """Return what a field of the record says of either of two scans in which it differs."""
    if isinstance(one, Mapping):
        where = " for --against" if field.startswith("against") else ""
        key = next(key for key in (*one, *other) if one.get(key) != other.get(key))
        return f"with {fact_words(one, key)}{where}", f"with {fact_words(other, key)}{where}"
    if field == "outputs":
        return _outputs(one, other)
    return _one(field, one), _one(field, other)


def fact_words(facts: Mapping[str, Any], key: str) -> str:
    """Return one of a runner's facts as it is said."""
    words = key.replace("_", " ")
    return f"{words} {facts[key]}" if key in facts else f"no {words}"


def _outputs(one: Sequence[str], other: Sequence[str]) -> tuple[str, str]:
    if len(one) != len(other):
        return f"on {len(one)} outputs", f"on {len(other)}"
    name = next((name for name in one if name not in other), None)
    return (f"on the output {name}", "without it") if name is not None else ("on them in one order", "in another")


def _one(field: str, value: Any) -> str:
    if field in _WORDS:
        return f"{_WORDS[field]} {value}"
    option = _OPTIONS[field]
    if value is True:
        return f"with {option}"
    if value is None or value is False or value == ():
        return f"without {option}"
    if field == "input_size":
        return f"with {option} {'x'.join(map(str, value))}"
    if isinstance(value, tuple):
        more = f" and {len(value) - _SHOWN} more" if len(value) > _SHOWN else ""
        return f"with {' '.join(f'{option} {each}' for each in value[:_SHOWN])}{more}"
    # Of two runners, the one that the other is compared with.
    return f"against {value}" if field == "against" else f"with {option} {value}"
