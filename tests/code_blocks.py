"""The code blocks of a document, run in the order of reading, and held against what the document says they print."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import ROOT
from runtime.runners.node_support import find_chromium, node_modules, why_no_browser, why_no_package

__all__ = ["QUICKLY", "WHY_MISSING", "Block", "Reader", "blocks_of", "commands_of"]

_BLOCK = re.compile(
    r"(?:<!-- test: (?P<mark>[^>]+) -->\n)?"
    r'```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)```',
    re.DOTALL,
)
_INLINE = re.compile(r"`(layerprobe [^`\n]+)`")

QUICKLY = {
    r"layerprobe (export|grid) +torchvision:\w+": r"\g<0> --input-size 64",
    r"224, 224\)": "64, 64)",
    r"resize=256": "resize=73",
    r"--repeats \d+": "--repeats 2",
}
"""On small images, which what is shown doesn't depend on, and measured a few times only."""

WHY_MISSING: dict[str, Callable[[], str | None]] = {
    "node": lambda: why_no_package("onnxruntime-node", "onnxruntime-web", "sharp"),
    "g++": lambda: None if shutil.which("g++") else "g++ is not installed",
    "browser": lambda: why_no_package("onnxruntime-web") or why_no_browser(),
}
"""What not every machine has, by the name in a mark: the reason why a block that needs it can't be run, or None."""

_VARIES = r"All pass\. .*? may lose\.|largest drift .*|by .* times float32.*|\.py:\d+|\d+\.\d+(e[+-]\d+)?|\d+e[+-]\d+"
"""Measured numbers and their place, which differ by machine."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    place: str
    mark: str | None
    """Of the comment above it: `<!-- test: slow -->`, which isn't run here (`make cpp-examples` runs those of C++);
    `<!-- test: exit 1 -->`; `<!-- test: needs node -->`, a row of `WHY_MISSING`.
    """
    language: str
    title: str | None
    """The file that it is, if it is one."""
    code: str


def blocks_of(document: Path) -> list[Block]:
    """Return the blocks of a Markdown file."""
    text = document.read_text(encoding="utf-8")
    found = []
    for each in _BLOCK.finditer(text):
        line = text.count("\n", 0, each.start("language")) + 1
        found.append(Block(f"{document.relative_to(ROOT)}:{line}", **each.groupdict()))
    return found


def commands_of(document: Path) -> Iterator[str]:
    """Yield each command line of `layerprobe` in a Markdown file, in a block or within a sentence."""
    for block in blocks_of(document):
        if block.language == "bash":
            yield from (line for line in block.code.splitlines() if line.startswith("layerprobe "))
    yield from _INLINE.findall(_BLOCK.sub("", document.read_text(encoding="utf-8")))


@dataclass
class Reader:
    """Somebody who types in what documents show, in the current folder, each line once."""

    layerprobe: Callable[..., Any]
    """Runs the command line in this process, where torch is loaded already."""
    printed: list[str] = field(default_factory=list)
    """By the last bash block."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What this machine lacks, by the name in a mark: why the blocks that need it were not run."""
    names: dict[str, Any] = field(default_factory=dict)
    """Of the Python blocks of the document: a later one goes on where an earlier one ended."""
    _done: dict[str, str] = field(default_factory=dict)

    def read(self, document: Path) -> None:
        """Do what the blocks of a document say; fail if one doesn't work, or prints something else."""
        self.names = {"__name__": "block"}
        for block in blocks_of(document):
            self._follow(block)

    def _follow(self, block: Block) -> None:
        code = block.code
        for shown, quicker in QUICKLY.items():
            code = re.sub(shown, quicker, code)
        if block.language in ("text", "output"):
            self._assert_printed(block)
        elif block.title is not None:
            Path(block.title).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile(code, block.place, "exec"), self.names)
        elif block.mark != "slow" and not self._lacks(block.mark):
            expected = int(re.sub(r"\D", "", block.mark or "") or 0)
            printed = [self._run(line, expected, block.place) for line in code.splitlines()]
            self.printed = "\n".join(printed).splitlines()

    def _lacks(self, mark: str | None) -> bool:
        name = (mark or "").removeprefix("needs ")
        why = WHY_MISSING[name]() if name != (mark or "") else None
        if why:
            self.left_out[name] = why
        return why is not None

    def _run(self, line: str, expected: int, place: str) -> str:
        words = " ".join(line.partition("  #")[0].split())
        if words not in self._done:
            self._done[words] = self._run_anew(words, expected, place)
        return self._done[words]

    def _run_anew(self, line: str, expected: int, place: str) -> str:
        line = re.sub(r"\$\((.*?)\)", lambda inner: self._run(inner[1], 0, place).strip(), line)
        words = shlex.split(line)
        if words[0] == "layerprobe":
            outcome = self.layerprobe(*words[1:])
            assert outcome.code == expected, f"{place}: {line}\n{outcome.out[-2000:]}\n{outcome.err}"
            if words[1] == "page" and not WHY_MISSING["browser"]():
                _visit(Path(words[words.index("-o") + 1]))
            return str(outcome.out)
        if words[0] == "make":
            # Not really made: `make test` is what runs this. That its targets are there is checked.
            subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, check=True)
            return ""
        if words[:2] == ["npm", "install"]:
            # What the JavaScript package is tested with is there already.
            _link_packages([word for word in words[2:] if not word.startswith("-")])
            return ""
        # A clone is what a reader is in.
        line = line.replace(" runtime/cpp ", f" {shlex.quote(str(ROOT / 'runtime' / 'cpp'))} ")
        return subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=True).stdout

    def _assert_printed(self, block: Block) -> None:
        """Each line shown is one that was printed, in order."""
        rest = iter(_masked(line) for line in self.printed)
        for line in block.code.splitlines():
            shown = _masked(line)
            assert line == "..." or shown in rest, f"{block.place}: {line!r} is not printed, or not there"


def _visit(site: Path) -> None:
    """Open a page, give it the photo, and save its tensors beside it, as a reader would."""
    given = {
        "modules": str(node_modules()),
        "chromium": str(find_chromium()),
        "testing": str(ROOT / "runtime" / "javascript" / "testing"),
        "site": str(site.absolute()),
        "photo": str(Path("photo.jpg").absolute()),
        "tensors": str(Path("page.safetensors").absolute()),
    }
    script = ROOT / "tests" / "runtime" / "page" / "saving_visit.mjs"
    subprocess.run(["node", script, json.dumps(given)], check=True, timeout=300)


def _link_packages(packages: Sequence[str]) -> None:
    """Make packages of npm, or our own by its path, resolvable in the current folder."""
    target, found = Path("node_modules"), node_modules()
    target.mkdir(exist_ok=True)
    for package in packages:
        own = package.endswith("runtime/javascript")
        source = ROOT / "runtime" / "javascript" if own else found / package
        (target / ("layerprobe" if own else package)).symlink_to(source)


def _masked(line: str) -> str:
    return re.sub(_VARIES, "#", line.rstrip())
