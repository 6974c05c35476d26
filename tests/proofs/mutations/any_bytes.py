"""Mutations of the bytes of any file, and of what lies at its path."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

__all__ = ["AT_PATH", "OF_BYTES"]

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**64 - 1)
_NOTED = (b"\x1b]0;evil\x07", b"\r\nAll pass.\n", b"\xff\xfe", b"\x00" * 16, b"{" * 64, b"../../../canary", b"%n%s")


def _flip_bits(content: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def _flip_bits_at_the_start(content: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 2, 4))):
        content[random.randrange(min(256, len(content)))] ^= 1 << random.randrange(8)


def _number(content: bytearray, random: Random) -> None:
    """Write a number at its limits over a place that may hold a size."""
    width, order = random.choice((2, 4, 8)), random.choice(("little", "big"))
    place = random.randrange(min(len(content), random.choice((64, 512, len(content)))))
    content[place : place + width] = (random.choice(_NUMBERS) % 256**width).to_bytes(width, order)  # type: ignore[arg-type]


def _truncate(content: bytearray, random: Random) -> None:
    del content[random.choice((0, 1, 7, 8, len(content) - 1, random.randrange(len(content)))) :]


def _zero(content: bytearray, random: Random) -> None:
    begin, end = _stretch(content, random)
    content[begin:end] = bytes(end - begin)


def _noise(content: bytearray, random: Random) -> None:
    begin, end = _stretch(content, random)
    content[begin:end] = random.randbytes(end - begin)


def _insert(content: bytearray, random: Random) -> None:
    place = random.randrange(len(content) + 1)
    content[place:place] = random.choice((*_NOTED, random.randbytes(random.choice((1, 4, 300)))))


def _duplicate(content: bytearray, random: Random) -> None:
    begin, end = _stretch(content, random)
    place = random.randrange(len(content) + 1)
    content[place:place] = content[begin:end] * random.choice((1, 1, 20))


def _remove(content: bytearray, random: Random) -> None:
    begin, end = _stretch(content, random)
    del content[begin:end]


def _shuffle(content: bytearray, random: Random) -> None:
    """Exchange two blocks."""
    size = max(1, len(content) // 16)
    one, other = (random.randrange(len(content)) // size * size for _ in range(2))
    first, second = content[one : one + size], content[other : other + size]
    content[one : one + len(second)] = second
    content[other : other + len(first)] = first


def _lengthen(content: bytearray, random: Random) -> None:
    content += random.choice((b"\0" * 100_000, bytes(content), b"\n", random.randbytes(100)))


def _stretch(content: bytearray, random: Random) -> tuple[int, int]:
    begin = random.randrange(len(content))
    return begin, min(len(content), begin + random.choice((1, 4, 64, 1000, len(content) // 2 + 1)))


OF_BYTES: dict[str, Callable[[bytearray, Random], None]] = {
    "bits flipped": _flip_bits,
    "bits flipped at the start": _flip_bits_at_the_start,
    "a number at its limits": _number,
    "truncated": _truncate,
    "a block of zeros": _zero,
    "a block of noise": _noise,
    "a run inserted": _insert,
    "a run duplicated": _duplicate,
    "a run removed": _remove,
    "blocks exchanged": _shuffle,
    "lengthened": _lengthen,
}


def _make_pipe(file: Path, random: Random) -> None:
    file.unlink()
    os.mkfifo(file)


def _make_folder(file: Path, random: Random) -> None:
    file.unlink()
    file.mkdir()
    if random.random() < 0.5:
        (file / "within.png").write_bytes(b"nothing")


def _make_link(file: Path, random: Random) -> None:
    file.unlink()
    file.symlink_to(random.choice(("/dev/zero", "/dev/full", "/proc/self/mem", file.name, "/nowhere", "/")))


def _make_huge(file: Path, random: Random) -> None:
    """Lengthen it with a hole, which takes no place on the disk."""
    with file.open("r+b") as stream:
        stream.truncate(2 ** random.choice((33, 38, 42)))


def _make_missing(file: Path, random: Random) -> None:
    file.unlink()


AT_PATH: dict[str, Callable[[Path, Random], None]] = {
    "a pipe": _make_pipe,
    "a folder": _make_folder,
    "a link to what never ends": _make_link,
    "a hole of terabytes": _make_huge,
    "missing": _make_missing,
}
