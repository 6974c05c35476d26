"""Mutations within files that hold others or arrays: safetensors, zip archives, NumPy's arrays, PNG."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import numpy as np

from proofs.mutations.json_fields import OF_JSON, mutate_field

__all__ = ["OF_NUMPY", "OF_PNG", "OF_SAFETENSORS", "OF_ZIP"]

_PICKLE = b"cos\nsystem\n(S'touch ran'\ntR."


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a safetensors file's header and what follows it."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: str, tensors: bytes) -> bytes:
    text = header.encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + tensors


def _header_field(content: bytes, random: Random) -> bytes:
    header, tensors = _split(content)
    mutate_field(header, random)
    return _joined(json.dumps(header), tensors)


def _tensor_entry(content: bytes, random: Random) -> bytes:
    """One tensor of another type, shape or place."""
    header, tensors = _split(content)
    name = random.choice([key for key in header if key != "__metadata__"])
    entry = header[name]
    what = random.randrange(6)
    if what == 0:
        entry["dtype"] = random.choice(("F16", "BF16", "F64", "I8", "BOOL", "U64", "F8_E4M3", "C64", "X", ""))
    elif what == 1:
        entry["shape"] = random.choice(([], [-1], [0], [2**40], [2**63, 2], entry["shape"][::-1], [*entry["shape"], 1]))
    elif what == 2:
        begin, end = entry["data_offsets"]
        entry["data_offsets"] = random.choice(([end, begin], [0, end], [begin, 2**62], [begin, end + 4], [-4, end - 4]))
    elif what == 3:
        header[random.choice(("", "../x", "a\x1b]0;b", "input:", "A" * 10_000))] = header.pop(name)
    elif what == 4:
        del header[name]
    else:
        other = random.choice([key for key in header if key != "__metadata__"])
        header[name], header[other] = header[other], header[name]
    return _joined(json.dumps(header), tensors)


def _metadata(content: bytes, random: Random) -> bytes:
    """What the metadata hold is JSON itself, where layerprobe wrote it."""
    header, tensors = _split(content)
    metadata = header.get("__metadata__") or {"layerprobe.samples": "{}"}
    key = random.choice(list(metadata))
    try:
        json.loads(metadata[key])[0 if metadata[key].startswith("[") else next(iter(json.loads(metadata[key])))]
        metadata[key] = random.choice(list(OF_JSON.values()))(metadata[key], random)
    except (ValueError, TypeError, KeyError, IndexError, StopIteration):
        metadata[key] = random.choice(("", "-1", "9" * 5000, "{}", "[]", "\x1b]0;x", "null", '{"a": 1}', "NaN"))
    header["__metadata__"] = metadata
    return _joined(json.dumps(header), tensors)


def _header_length(content: bytes, random: Random) -> bytes:
    length = int.from_bytes(content[:8], "little")
    said = random.choice((0, 1, length - 1, length + 1, length * 2, 2**26, 2**26 + 1, 2**32, 2**63, 2**64 - 1))
    return said.to_bytes(8, "little") + content[8:]


def _header_document(content: bytes, random: Random) -> bytes:
    header, tensors = _split(content)
    return _joined(random.choice(list(OF_JSON.values()))(json.dumps(header), random), tensors)


def _values(content: bytes, random: Random) -> bytes:
    """Numbers at their limits in place of the tensors'."""
    header, tensors = _split(content)
    pattern = random.choice((b"\xff\xff\xff\xff", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\x01\x00\x00\x00"))
    begin = random.choice((0, len(tensors) // 2 // 8 * 8))
    spoilt = tensors[:begin] + (pattern * (len(tensors) // 4 + 1))[: len(tensors) - begin]
    return _joined(json.dumps(header), spoilt)


OF_SAFETENSORS: dict[str, Callable[[bytes, Random], bytes]] = {
    "a field of the header": _header_field,
    "a tensor's entry": _tensor_entry,
    "metadata": _metadata,
    "the header's length": _header_length,
    "the header's form": _header_document,
    "numbers at their limits": _values,
}


def _zip(
    change: Callable[[dict[str, bytes], Random], None], *, compressed: bool = False
) -> Callable[[bytes, Random], bytes]:
    def changed(content: bytes, random: Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(members, random)
        written = io.BytesIO()
        kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        with zipfile.ZipFile(written, "w", kind) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name), data, kind)  # without the time, so that it can be repeated
        return written.getvalue()

    return changed


def _member_bytes(members: dict[str, bytes], random: Random) -> None:
    """Its checksum is right, other than after a change of the archive's bytes."""
    name = random.choice([name for name, data in members.items() if data] or list(members))
    data = bytearray(members[name] or b"0")
    for _ in range(random.choice((1, 4, 40))):
        data[random.randrange(len(data))] = random.randrange(256)
    members[name] = bytes(data)


def _member_json(members: dict[str, bytes], random: Random) -> None:
    names = [name for name in members if name.endswith("json")]
    if names:
        name = random.choice(names)
        members[name] = random.choice(list(OF_JSON.values()))(members[name].decode(), random).encode(
            "utf-8", "surrogatepass"
        )
    else:
        _member_bytes(members, random)


def _member_gone(members: dict[str, bytes], random: Random) -> None:
    del members[random.choice(list(members))]


def _member_name(members: dict[str, bytes], random: Random) -> None:
    name = random.choice(list(members))
    members[random.choice(("../home/kept", "/tmp/x", "a\x1bb", "x", name.upper(), f"{name}/"))] = members.pop(name)


def _member_length(members: dict[str, bytes], random: Random) -> None:
    name = random.choice(list(members))
    members[name] = random.choice((b"", members[name][:-1], members[name] * 3, members[name] + b"\0", _PICKLE))


def _members_exchanged(members: dict[str, bytes], random: Random) -> None:
    one, other = random.choice(list(members)), random.choice(list(members))
    members[one], members[other] = members[other], members[one]


def _member_bomb(members: dict[str, bytes], random: Random) -> None:
    name = random.choice(list(members))
    members[name] += bytes(2 ** random.choice((20, 26)))


OF_ZIP: dict[str, Callable[[bytes, Random], bytes]] = {
    "bytes of a member": _zip(_member_bytes),
    "JSON of a member": _zip(_member_json),
    "a member gone": _zip(_member_gone),
    "a member's name": _zip(_member_name),
    "a member's length": _zip(_member_length),
    "members exchanged": _zip(_members_exchanged),
    "a member that unpacks to much": _zip(_member_bomb, compressed=True),
}


def _array_header(content: bytes, random: Random) -> bytes:
    """Another dtype, order or shape in the header of an array."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (1, 3, 16, 16)}
    values: dict[str, tuple[Any, ...]] = {
        "descr": ("|O", "<f8", "<U4", ">f4", "|V7", "", "<M8[s]", "<c8", [("a", "<f4")], "<f2", "|S0", "|b1", None),
        "fortran_order": (True, 0, None, "x"),
        "shape": ((), (0,), (-1,), (2**40,), (2**63,), (16, 16), (768,), "x", (1, 3, 16, 2**31), (10**30,), (1.5,)),
    }
    key = random.choice(list(values))
    text = repr({**header, key: random.choice(values[key])})
    if random.random() < 0.2:
        text = random.choice(("{" * 5000, "(" * 90_000, "__import__('os')", "'a' * 10**9", "", "-" * 9000 + "1"))
    begin = content.index(b"\n", 10) + 1
    encoded = text.encode()[:65_500] + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + content[begin:]


def _pickled(content: bytes, random: Random) -> bytes:
    written = io.BytesIO()
    np.save(written, np.array([{"a": 1}, None], dtype=object))
    return random.choice((_PICKLE, written.getvalue(), b"\x80\x04N."))


def _array_numbers(content: bytes, random: Random) -> bytes:
    begin = content.index(b"\n", 10) + 1
    pattern = random.choice((b"\xff\xff\xff\xff", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\x01\x00\x00\x00"))
    return content[:begin] + (pattern * len(content))[: len(content) - begin]


OF_NUMPY: dict[str, Callable[[bytes, Random], bytes]] = {
    "an array's header": _array_header,
    "a pickle": _pickled,
    "numbers at their limits": _array_numbers,
}


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, place = list[tuple[bytes, bytes]](), 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


@cache
def _bomb() -> bytes:
    return b"a\0\0" + zlib.compress(bytes(2**26))


def _png_chunk(content: bytes, random: Random) -> bytes:
    """Chunks changed, with the right checksums."""
    chunks = _chunks(content)
    number = random.randrange(len(chunks))
    kind, data = chunks[number]
    what = random.randrange(5)
    if what == 0:
        width, height = (random.choice((0, 1, 15, 2**16, 2**31 - 1, 2**31, 9460)) for _ in range(2))
        chunks[0] = (b"IHDR", struct.pack(">II", width, height) + chunks[0][1][8:])
    elif what == 1:
        header = bytearray(chunks[0][1])
        header[random.randrange(8, 13)] = random.choice((0, 1, 2, 3, 4, 6, 7, 8, 16, 255))
        chunks[0] = (b"IHDR", bytes(header))
    elif what == 2:
        chunks.insert(number, random.choice((*chunks, (b"tRNS", b"\0" * 7), (b"PLTE", b"\1"), (b"acTL", b"\xff" * 8))))
    elif what == 3:
        chunks[number] = (kind, random.choice((b"", data[:-1], data + b"\0" * 9, bytes(len(data)))))
    else:
        bomb = zlib.compress(bytes(2**26))
        chunks.insert(
            1, random.choice(((b"zTXt", b"a\0\0" + bomb), (b"iCCP", b"a\0\0" + bomb), (b"eXIf", b"MM\0*\xff")))
        )
    parts = [
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    ]
    return content[:8] + b"".join(parts)


OF_PNG: dict[str, Callable[[bytes, Random], bytes]] = {"a chunk": _png_chunk}
