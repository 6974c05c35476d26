"""The page of benchmarks: each program that `make bench` runs writes its own section and leaves the others as they are.

Imports nothing large: a process that measures the memory of others must be small itself.
"""

import contextlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path

__all__ = ["describe_machine", "write_section"]


def write_section(file: Path, section: str) -> None:
    """Replace the section of the same title (its first line, `# Title`), or append it."""
    title = section.partition("\n")[0]
    old = re.split(r"^(?=# )", file.read_text(encoding="utf-8"), flags=re.MULTILINE) if file.exists() else []
    parts = [part.strip() for part in old if part.strip()]
    titles = [part.partition("\n")[0] for part in parts]
    place = titles.index(title) if title in titles else len(parts)
    parts[place : place + 1] = [section.strip()]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def describe_machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor(),
    )
    packages = ("torch", "torchvision", "onnxruntime-gpu", "onnxruntime", "onnx", "matplotlib", "pillow", "numpy")
    versions = []
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, {', '.join(versions)}"


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
