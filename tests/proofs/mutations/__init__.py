"""What may happen to a file: a table of mutations by the file's form, each a function of its path and of chance."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

import onnx
from altered_artifacts import alter_everywhere

from proofs.mutations.any_bytes import AT_PATH, OF_BYTES
from proofs.mutations.containers import OF_NUMPY, OF_PNG, OF_SAFETENSORS, OF_ZIP
from proofs.mutations.json_fields import OF_JSON, mutate_field
from proofs.mutations.onnx_parts import OF_ONNX

__all__ = ["BY_FORM", "mutate"]

Change = Callable[[Path, Random], None]


def _bytes(change: Callable[[bytearray, Random], None]) -> Change:
    def apply(file: Path, random: Random) -> None:
        content = bytearray(file.read_bytes())
        change(content, random)
        file.write_bytes(content)

    return apply


def _whole(change: Callable[[bytes, Random], bytes]) -> Change:
    return lambda file, random: file.write_bytes(change(file.read_bytes(), random)) and None


def _json(change: Callable[[str, Random], str]) -> Change:
    return _whole(lambda content, random: change(content.decode(), random).encode("utf-8", "surrogatepass"))


def _onnx(change: Callable[[onnx.ModelProto, Random], None]) -> Change:
    def apply(content: bytes, random: Random) -> bytes:
        model = onnx.load_model_from_string(content)
        change(model, random)
        for _ in range(random.choice((0, 0, 0, 1, 3))):
            with suppress(IndexError, ValueError):  # of what the first one has emptied
                change(model, random)
        return model.SerializeToString()

    return _whole(apply)


def _everywhere(file: Path, random: Random) -> None:
    """Change a field of a manifest, and its copy in the ONNX file beside it."""
    alter_everywhere(file.parent, lambda content: mutate_field(content, random))


BY_FORM: Mapping[str, Mapping[str, Change]] = {
    "path": AT_PATH,
    "bytes": {name: _bytes(change) for name, change in OF_BYTES.items()},
    "json": {name: _json(change) for name, change in OF_JSON.items()},
    "manifest": {"a field, and in the copy": _everywhere},
    "onnx": {name: _onnx(change) for name, change in OF_ONNX.items()},
    "safetensors": {name: _whole(change) for name, change in OF_SAFETENSORS.items()},
    "zip": {name: _whole(change) for name, change in OF_ZIP.items()},
    "numpy": {name: _whole(change) for name, change in OF_NUMPY.items()},
    "png": {name: _whole(change) for name, change in OF_PNG.items()},
}
_STRUCTURE_SHARE, _PATH_SHARE = 0.65, 0.04


def mutate(file: Path, form: str, random: Random) -> str:
    """Change a file of a form, mostly in what that form has, and return the mutation's name."""
    chance = random.random()
    chosen = "path" if chance < _PATH_SHARE else form if chance < _PATH_SHARE + _STRUCTURE_SHARE else "bytes"
    name = random.choice(list(BY_FORM[chosen]))
    if chosen == "json" and random.random() < 0.6:
        name = "a field"  # which has the most places
    try:
        BY_FORM[chosen][name](file, random)
    except (ArithmeticError, IndexError, ValueError):  # the file has nothing of the kind
        name = "bits flipped"
        BY_FORM["bytes"][name](file, random)
    return name
