"""The help texts of the command line as Markdown: each option a definition, under the headings of `--help`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

__all__ = ["commands_as_markdown"]


def commands_as_markdown() -> str:
    """Return a section for each command, in the order of `--help`."""
    from runtime.commands import app

    group: Any = typer.main.get_command(app)
    context = group.make_context("layerprobe", [], resilient_parsing=True)
    sections = [_paragraphs(group.help)]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        sections.append(_command(command, command.make_context(name, [], parent=context, resilient_parsing=True)))
    return "\n".join(line for section in sections for line in section)


def _command(command: Any, context: Any) -> list[str]:
    text, *examples = command.help.split("Example: ")
    usage = " ".join(["layerprobe", command.name, *command.collect_usage_pieces(context)])
    lines = [f"## {command.name}", "", "```text", usage, "```", "", *_paragraphs(text)]
    lines += ["```bash", *(" ".join(example.split()) for example in examples), "```", ""] if examples else []
    options = _Options()
    command.format_options(context, options)
    return lines + options.lines


class _Options:
    """What our commands use of Click's formatter of help texts."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def section(self, heading: str) -> Iterator[None]:
        self.lines += [f"**{heading}**", "", '<div class="options" markdown>', ""]
        yield
        self.lines += ["</div>", ""]

    def write_dl(self, records: list[tuple[str, str]]) -> None:
        for option, text in records:
            self.lines += [f"`{option}`", f":   {_as_markdown(text)}", ""]


def _paragraphs(text: str) -> list[str]:
    return [line for paragraph in text.split("\n\n") for line in (_as_markdown(paragraph), "")]


def _as_markdown(text: str) -> str:
    """Options, and what is in backticks, as code; the rest as it is."""
    parts = re.split(r"`([^`]*)`|((?<![\w-])--?[a-z][\w-]*)", " ".join(text.split()))
    code = [f"`{quoted or option}`" for quoted, option in zip(parts[1::3], parts[2::3], strict=True)]
    plain = [re.sub(r"([\\*_<>\[\]|#])", r"\\\1", part) for part in parts[0::3]]
    return "".join(text for pair in zip(plain, [*code, ""], strict=True) for text in pair)
