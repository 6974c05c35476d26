"""Protobuf messages on the wire, split and assembled without reading their large fields.

A message is a sequence of fields, each a key (number and type), a length, and the content.
"""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Content", "Field", "enum_in", "field", "field_start", "fields", "number_field"]

Content = bytes | mmap.mmap
"""A message, or a memory-mapped file that holds one."""

_LENGTH_OF_KIND = {1: 8, 5: 4}
_NUMBER, _WITH_LENGTH = 0, 2
_LONGEST_NUMBER = 10
"""Bytes: 64 bits, seven in each. An endless one would take quadratic time."""
_ENUM = 2**32 - 1


class Field(NamedTuple):
    """Where a field is: its key starts at `start`, its content reaches from `content` to `end`."""

    number: int
    start: int
    content: int
    end: int


def fields(message: Content, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message between `start` and `end`.

    Raises:
        ValueError: it is not a message, or is truncated.
    """
    at = start
    while at < end:
        first = at
        key, at = _number_at(message, at, end)
        kind = key & 7
        if kind == _WITH_LENGTH:
            length, at = _number_at(message, at, end)
        elif kind == _NUMBER:
            length = _number_at(message, at, end)[1] - at
        elif kind in _LENGTH_OF_KIND:
            length = _LENGTH_OF_KIND[kind]
        else:
            raise ValueError("it is not a protobuf message")
        if at + length > end:
            raise ValueError("it is truncated")
        yield Field(key >> 3, first, at, at + length)
        at += length


def enum_in(message: Content, part: Field) -> int | None:
    """Return the value of an enum as protobuf does, by the lower 32 bits of its number; None if it holds no number."""
    kind = _number_at(message, part.start, part.end)[0] & 7
    return _number_at(message, part.content, part.end)[0] & _ENUM if kind == _NUMBER else None


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field: a message, a string or bytes."""
    return field_start(number, len(content)) + content


def field_start(number: int, length: int) -> bytes:
    """Return what precedes the content of a length-delimited field."""
    return _as_bytes(number << 3 | _WITH_LENGTH) + _as_bytes(length)


def number_field(number: int, value: int) -> bytes:
    """Return a varint field of a number that is not negative."""
    return _as_bytes(number << 3 | _NUMBER) + _as_bytes(value)


def _number_at(message: Content, at: int, end: int) -> tuple[int, int]:
    """Return the varint that starts at `at`, seven bits per byte, and where it ends."""
    number = 0
    for place, position in enumerate(range(at, min(end, at + _LONGEST_NUMBER))):
        byte = message[position]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, position + 1
    raise ValueError("it is truncated" if end - at < _LONGEST_NUMBER else "it is not a protobuf message")


def _as_bytes(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
