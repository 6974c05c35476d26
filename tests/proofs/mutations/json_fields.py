"""Mutations of one field of a JSON document, by its structure."""

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

__all__ = ["OF_JSON", "hostile_value", "mutate_field"]

_VALUES: tuple[Any, ...] = (
    *(None, True, {}, [], [[]], "", " ", "0", "object", "NaN", "N*99999999999", "a\x1b]0;b\x07\nAll pass.\r", "\ud800"),
    *("A" * 100_000, "../home/kept", "/etc/passwd", "/dev/zero", "\u202eevil", "N", "HW?", "float32", "[red]x[/]"),
    *(-1, 0, 1, 2**31, 2**40, 2**63, 10**30, 1e301, -1e301, 1e-320, float("nan"), float("inf"), [0] * 5000),
    *({"a": {"a": {"a": []}}}, [None, None], ["N", 3, 10**6, 10**6], {"": ""}, [-1, -1, -1, -1]),
)


def hostile_value(random: Random) -> Any:
    """Return what a field may not be prepared for."""
    return copy.deepcopy(random.choice(_VALUES))


def mutate_field(content: Any, random: Random) -> None:
    """Change a field somewhere in the document: its value, its name, whether it is there, or how often."""
    holder, key = random.choice(list(_places(content)))
    old = holder[key]
    what = random.randrange(6)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[random.choice(("", "other", "a\x1b[2Jb", "__class__", "../x", "A" * 5000))] = holder.pop(key)
    elif what == 2 and isinstance(holder, list):
        holder.extend(copy.deepcopy([old] * random.choice((1, 50))))
    elif what == 3 and isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = random.choice((-old, old + 1, old * 1000, old - 1, float(old), str(old)))
    elif what == 4:
        other, its_key = random.choice(list(_places(content)))
        holder[key] = copy.deepcopy(other[its_key])
    else:
        holder[key] = hostile_value(random)


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else []
    for key in keys:
        yield content, key
        yield from _places(content[key])


def _field(text: str, random: Random) -> str:
    content = json.loads(text)
    for _ in range(random.choice((1, 1, 1, 3))):
        mutate_field(content, random)
    return json.dumps(content)


def _twice(text: str, random: Random) -> str:
    """Give a name twice in an object."""
    content = json.loads(text)
    key = random.choice(list(content))
    return f"{{{json.dumps(key)}: {json.dumps(hostile_value(random))}, {text.lstrip().removeprefix('{')}"


def _nested(text: str, random: Random) -> str:
    content = json.loads(text)
    depth = random.choice((100, 5_000, 200_000))
    value = random.choice(("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth))
    content[random.choice(list(content))] = "placeholder"
    return json.dumps(content).replace('"placeholder"', value)


def _long_number(text: str, random: Random) -> str:
    content = json.loads(text)
    content[random.choice(list(content))] = "placeholder"
    return json.dumps(content).replace(
        '"placeholder"', random.choice(("9" * 10_000, "1e999", "-" + "9" * 400, "1e-9999"))
    )


def _another_document(text: str, random: Random) -> str:
    return random.choice(
        ("", "null", "[]", "{}", "0", '"text"', "[" * 100_000, "\ufeff" + text, "NaN", "{,}", "// " + text)
    )


OF_JSON: dict[str, Callable[[str, Random], str]] = {
    "a field": _field,
    "a name twice": _twice,
    "nested without end": _nested,
    "a number without end": _long_number,
    "another document": _another_document,
}
