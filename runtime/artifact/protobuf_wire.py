"""The protobuf wire format: a message is a sequence of fields, each a key (number and type), a length, and the content.

Messages are split and assembled without reading their large fields.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

__all__ = ["Field", "field", "fields", "number_field"]

_LENGTH_OF_KIND = {1: 8, 5: 4}
_NUMBER, _WITH_LENGTH = 0, 2


class Content(Protocol):
    """Bytes, or a memory-mapped file."""

    def __getitem__(self, index: int, /) -> int: ...


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


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field: a message, a string or bytes."""
    return _as_bytes(number << 3 | _WITH_LENGTH) + _as_bytes(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """Return a varint field of a number that is not negative."""
    return _as_bytes(number << 3 | _NUMBER) + _as_bytes(value)


def _number_at(message: Content, at: int, end: int) -> tuple[int, int]:
    """Return the varint that starts at `at`, seven bits per byte, and where it ends."""
    number = shift = 0
    while at < end:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("it is truncated")


def _as_bytes(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
