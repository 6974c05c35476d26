"""A hook of mkdocs: pages that are elsewhere in the repository, and lists that are made from the code's own tables.

In a page, the line `<!-- list: verdicts -->` is replaced by what `LISTS` has under that name. A page that would load
anything from another host is an error.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

__all__ = ["LISTS", "on_files", "on_page_markdown", "on_post_page"]

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the packages of this clone, whichever is installed

from command_help import commands_as_markdown  # noqa: E402
from runtime import RUNNERS, Verdict  # noqa: E402

_ELSEWHERE = (
    "artifacts/*.md",
    "artifacts/report.schema.json",
    "artifacts/gallery/*",
    "runtime/cpp/README.md",
    "tests/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
"""Pages, and what they link to, under the paths that they have in the repository, so that their links hold."""
_LOADED = re.compile(
    r'<(?:script|img|iframe|link rel="(?:stylesheet|icon|preload)")[^>]*(?:src|href)="?(?:https?:)?//[^">]*'
)
_FIELDS = "    options:\n      show_if_no_docstring: true\n"
_OPTIONS = {
    "RUNNERS": "    options:\n      show_attribute_values: false\n",
    **dict.fromkeys(["Preprocessing", "Manifest", "Input", "Output"], _FIELDS),
}
"""Of mkdocstrings, by the name: a table is shown elsewhere, and most fields of a manifest say enough by their names."""
_DEVICES = {"cuda": "cuda", "tensorrt": "tensorrt"}
"""The extra by which ONNX Runtime works on a device."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is not in docs/, where it is."""
    for pattern in _ELSEWHERE:
        for source in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, source.relative_to(ROOT).as_posix(), abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Replace the markers of a page by the lists that they name; long tables of results are not searched."""
    if page.file.src_uri.startswith("artifacts/") and page.file.name != "index":
        page.meta["search"] = {"exclude": True}
    if page.file.src_dir:  # of docs/, from where the rest of the repository is one folder up, and here it isn't
        markdown = markdown.replace("](../", "](")
    return re.sub(r"^<!-- list: (\w+) -->$", lambda found: LISTS[found[1]](), markdown, flags=re.MULTILINE)


def on_post_page(output: str, **_: Any) -> str:
    """Refuse what a reader's browser would load from another host.

    Raises:
        PluginError: the page has such a script, style, picture or frame.
    """
    if found := _LOADED.search(output):
        raise PluginError(f"A page loads something from another host: {found[0]}")
    return output


def _names() -> str:
    """For mkdocstrings: every name of `layerprobe`, under the headings that its table of contents has as comments."""
    source = (ROOT / "layerprobe.py").read_text(encoding="utf-8")
    contents = source.partition("__all__ = [")[2].partition("\n]")[0]
    lines = []
    for heading, name in re.findall(r'^    # (.+)$|"(\w+)"', contents, re.MULTILINE):
        if heading:
            lines.append(f"## {heading[0].upper()}{heading[1:]}\n".replace("->", "→"))
        else:
            lines.append(f"::: layerprobe.{name}\n{_OPTIONS.get(name, '')}")
    return "\n".join(lines)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])


def _verdicts() -> str:
    rows = [[each.sign, f"`{each}`", each.words, "yes" if each.fails else "no"] for each in Verdict]
    return _table(["", "verdict", "the output", "fails"], rows)


def _runners() -> str:
    rows = []
    for name, row in RUNNERS.items():
        extra = row.package.extra if row.package else _DEVICES.get(row.target)
        needs = f"Node and `{row.npm}`: `make install-web`" if row.npm else "nothing more"
        rows.append(
            [
                f"`{name}`",
                f"`{row.file}`" if row.file else "the live model",
                f"`pip install '.[{extra}]'`" if extra else needs,
                "only by its name, or with `--trust`" if row.program else "whoever made it",
            ]
        )
    return _table(["runner", "runs", "needs", "runs an artifact"], rows)


LISTS: dict[str, Callable[[], str]] = {
    "commands": commands_as_markdown,
    "names": _names,
    "runners": _runners,
    "verdicts": _verdicts,
}
"""By the name in a page's marker."""
