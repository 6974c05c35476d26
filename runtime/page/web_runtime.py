"""ONNX Runtime Web's files, of one version, each of the content that is known here: whoever provides them.

They come from a folder of the user's, from where the runners find npm packages, or by npm into a cache.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..artifact.errors import RunnerUnavailable, first_line
from ..artifact.file_hash import file_hash
from ..artifact.unfinished import scratch_folder, unfinished
from ..runners.node_support import MODULES_VARIABLE, installed_package

__all__ = ["BACKENDS", "PACKAGE", "VERSION", "web_runtime_files"]

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
BACKENDS: Mapping[str, Mapping[str, str]] = {
    "wasm": {
        "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
        "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
        "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    },
    "webgpu": {
        "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
        "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
        "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
    },
}
"""What each way to compute in a browser loads: file name to SHA-256, of `dist/` in the package at this version."""

_LARGEST_BYTES = 2**26
"""Of one file in the package; the largest of them has 27 MB."""


def web_runtime_files(backends: Iterable[str], folder: Path | None = None) -> dict[str, Path]:
    """Return the files of some backends by name.

    Args:
        backends: rows of `BACKENDS`.
        folder: where the user has them; else they are searched for, and fetched by npm if they are nowhere.

    Raises:
        RunnerUnavailable: they can't be had, or have other contents.
    """
    hashes = {name: digest for backend in backends for name, digest in BACKENDS[backend].items()}
    if folder is not None:
        for place in (folder, folder / "dist", folder / "package" / "dist"):
            if all((place / name).is_file() for name in hashes):
                return _checked(place, hashes)
        missing = next(name for name in hashes if not (folder / name).is_file())
        raise RunnerUnavailable(
            f"{folder} has no {missing} of {PACKAGE} {VERSION}.\n"
            f"`npm pack {PACKAGE}@{VERSION}` on a machine with Node makes an archive that has it, in package/dist."
        )
    installed = installed_package(PACKAGE)
    for place in (*([installed / "dist"] if installed else []), _cache()):
        if _has_all(place, hashes):
            return {name: place / name for name in hashes}
    _fetch(_cache())
    return _checked(_cache(), hashes)


def _has_all(place: Path, hashes: Mapping[str, str]) -> bool:
    return all((place / name).is_file() and file_hash(place / name) == digest for name, digest in hashes.items())


def _checked(place: Path, hashes: Mapping[str, str]) -> dict[str, Path]:
    other = next((name for name, digest in hashes.items() if file_hash(place / name) != digest), None)
    if other is not None:
        raise RunnerUnavailable(
            f"{place / other} is not the file of {PACKAGE} {VERSION}: its SHA-256 is another.\n"
            f"Give --runtime-files the files of that version, as `npm pack {PACKAGE}@{VERSION}` has them."
        )
    return {name: place / name for name in hashes}


def _cache() -> Path:
    """The user's folder for what can be fetched again, as the platform has it."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "layerprobe" / f"{PACKAGE}-{VERSION}"


def _fetch(cache: Path) -> None:
    """Let npm pack the version, and keep its files that are known here.

    Raises:
        RunnerUnavailable: npm is missing or fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RunnerUnavailable(
            f"The page needs the files of {PACKAGE} {VERSION}, and this machine has no npm to get them.\n"
            f"Install Node, or give --runtime-files DIR: package/dist of what `npm pack {PACKAGE}@{VERSION}` makes "
            f"elsewhere; {MODULES_VARIABLE} may name a node_modules folder that has it."
        )
    with scratch_folder() as scratch:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--pack-destination", str(scratch)]
        ran = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        archive = next(scratch.glob("*.tgz"), None)
        if ran.returncode or archive is None:
            why = next((line for line in ran.stderr.splitlines() if line.strip()), f"exit code {ran.returncode}")
            raise RunnerUnavailable(
                f"npm can't get {PACKAGE} {VERSION}: {first_line(OSError(why))}\n"
                f"Try `npm pack {PACKAGE}@{VERSION}`, and give --runtime-files the folder package/dist of its archive."
            )
        cache.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(cache.parent, folder=True) as partial:
            _unpack(archive, partial)
            shutil.rmtree(cache, ignore_errors=True)
            partial.rename(cache)


def _unpack(archive: Path, target: Path) -> None:
    names = {f"package/dist/{name}": name for files in BACKENDS.values() for name in files}
    with tarfile.open(archive) as packed:
        for member in packed:
            name = names.get(member.name)
            content = packed.extractfile(member) if name and member.isreg() and member.size <= _LARGEST_BYTES else None
            if name and content is not None:
                (target / name).write_bytes(content.read())
