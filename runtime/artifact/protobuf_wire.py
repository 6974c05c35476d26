"""Protobuf messages as they stand in a file: a row of fields, each a key (number and kind), a length, and the content.

With this a message is taken apart, and put together, without its large fields being read.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

__all__ = ["Field", "field", "fields", "number_field"]

_LENGTH_OF_KIND = {1: 8, 5: 4}
_NUMBER, _WITH_LENGTH = 0, 2


class Content(Protocol):
    """Bytes, or a file that is mapped into memory."""

    def __getitem__(self, index: int, /) -> int: ...


class Field(NamedTuple):
    """Where a field lies: from its key at `start`, with its content from there to `end`."""

    number: int
    start: int
    content: int
    end: int


def fields(message: Content, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message that lies between `start` and `end`.

    Raises:
        ValueError: it is no message, or cut short.
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
            raise ValueError("it is no protobuf message")
        if at + length > end:
            raise ValueError("it is cut short")
        yield Field(key >> 3, first, at, at + length)
        at += length


def field(number: int, content: bytes) -> bytes:
    """Return a field with a length: a message, a text or bytes."""
    return _as_bytes(number << 3 | _WITH_LENGTH) + _as_bytes(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """Return a field that is a number, not below 0."""
    return _as_bytes(number << 3 | _NUMBER) + _as_bytes(value)


def _number_at(message: Content, at: int, end: int) -> tuple[int, int]:
    """Return the number that begins there, seven bits a byte, and where it ends."""
    number = shift = 0
    while at < end:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("it is cut short")


def _as_bytes(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
