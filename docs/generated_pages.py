"""A hook of mkdocs: pages that are elsewhere in the repository, and lists that are made from the code's own tables.

In a page, the line `<!-- list: verdicts -->` is replaced by what `LISTS` has under that name. A page that would load
anything from another host is an error.
"""

import re
import shlex
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from PIL import Image

__all__ = ["LISTS", "gallery", "gallery_file", "on_files", "on_page_markdown", "on_post_page"]

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the packages of this clone, whichever is installed

from command_help import commands_as_markdown  # noqa: E402
from runtime import RUNNERS, Verdict  # noqa: E402

_ELSEWHERE = (
    "artifacts/*.md",
    "artifacts/report.schema.json",
    "artifacts/gallery/*",
    "tests/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
"""Pages, and what they link to, under the paths that they have in the repository, so that their links hold."""
_LOADED = re.compile(
    r'<(?:script|img|iframe|link rel="(?:stylesheet|icon|preload)")[^>]*(?:src|href)="?(?:https?:)?//[^">]*'
)
_DEVICES = {"cuda": "cuda", "tensorrt": "tensorrt"}
"""The extra by which ONNX Runtime works on a device."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is not in docs/, where it is."""
    for pattern in _ELSEWHERE:
        for source in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, source.relative_to(ROOT).as_posix(), abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of a page by the lists that they name."""
    return re.sub(r"^<!-- list: (\w+) -->$", lambda found: LISTS[found[1]](), markdown, flags=re.MULTILINE)


def on_post_page(output: str, **_: Any) -> str:
    """Refuse what a reader's browser would load from another host.

    Raises:
        PluginError: the page has such a script, style, picture or frame.
    """
    if found := _LOADED.search(output):
        raise PluginError(f"A page loads something from another host: {found[0]}")
    return output


def gallery() -> dict[str, Any]:
    """Return gallery.toml: the commands that `prepare`, and each `picture`'s title, text and command."""
    with (ROOT / "docs" / "gallery.toml").open("rb") as table:
        return tomllib.load(table)


def gallery_file(picture: dict[str, Any]) -> tuple[str, str]:
    """Return the file that a picture's command writes, and the picture's own in docs/gallery/."""
    words = shlex.split(picture["command"])
    option = next(each for each in ("-o", "--html", "--picture") if each in words)
    written = words[words.index(option) + 1]
    return written, Path(written).with_suffix(".webp").name


def _gallery() -> str:
    sections = []
    for each in gallery()["picture"]:
        path = f"gallery/{gallery_file(each)[1]}"
        with Image.open(ROOT / "docs" / path) as image:
            size = f"width={image.width} height={image.height}"
        picture = f"[![{each['title']}]({path}){{ loading=lazy {size} }}]({path})"
        sections.append(f"## {each['title']}\n\n{each['text']}\n\n```bash\n{each['command']}\n```\n\n{picture}\n")
    return "\n".join(sections)


def _gallery_models() -> str:
    blocks = [f"```bash\n{'\n'.join(gallery()['prepare'])}\n```"]
    for file in ("trained.py", "others.py"):
        code = (ROOT / "docs" / "gallery" / file).read_text(encoding="utf-8")
        blocks.append(f'```python title="{file}"\n{code}```')
    return "\n\n".join(blocks)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])


def _verdicts() -> str:
    rows = [[each.sign, f"`{each}`", each.words, "yes" if each.fails else "no"] for each in Verdict]
    return _table(["", "verdict", "the output", "fails"], rows)


def _runners() -> str:
    rows = []
    for name, row in RUNNERS.items():
        extra = row.package.extra if row.package else _DEVICES.get(row.target)
        rows.append(
            [
                f"`{name}`",
                f"`{row.file}`" if row.file else "the live model",
                f"`pip install '.[{extra}]'`" if extra else "nothing more",
                "only by its name, or with `--trust`" if row.program else "whoever made it",
            ]
        )
    return _table(["runner", "runs", "needs", "runs an artifact"], rows)


LISTS: dict[str, Callable[[], str]] = {
    "commands": commands_as_markdown,
    "gallery": _gallery,
    "gallery_models": _gallery_models,
    "runners": _runners,
    "verdicts": _verdicts,
}
"""By the name in a page's marker."""
