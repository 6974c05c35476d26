"""The page of `make candidate-faults`, made of its rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["as_page", "failures"]

Row = Mapping[str, Any]


def failures(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if "error" in row or not row["right"]]


def as_page(rows: Sequence[Row], missing: int) -> str:
    return "\n".join(str(row) for row in rows)
