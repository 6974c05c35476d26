"""Text from files that anyone may have written, as it may be shown: nothing in it is obeyed by a terminal.

What a control character does is seen by no reader: an escape sequence can hide all that follows it, a line break can
forge a line, and an override of the direction lets a name read otherwise than it is.
"""

import re

__all__ = ["LONGEST_LINE", "is_utf8", "one_line", "paragraph", "say", "shown"]

LONGEST_LINE = 300
"""Characters of a name, a label or a reason; a longer one is cut."""

_OBEYED = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""C0 but for tab and line feed, DEL, C1, line and paragraph separators, and what sets the direction of writing."""
_LONE_SURROGATES = "\ud800-\udfff"
"""What Python reads a file name with that isn't UTF-8; no file can hold them."""
_NOT_SHOWN = re.compile(f"[{_OBEYED}]")
_NOT_IN_A_FILE = re.compile(f"[{_OBEYED}{_LONE_SURROGATES}]")
_NOT_ON_A_LINE = re.compile(f"[\t\n{_OBEYED}{_LONE_SURROGATES}]")


def shown(text: str) -> str:
    """Return a message without control characters, each of which is a `?`; line breaks stay."""
    return _NOT_SHOWN.sub("?", text)


def is_utf8(text: str) -> bool:
    """Return whether a file can hold a text; a path need not be UTF-8."""
    return re.search(f"[{_LONE_SURROGATES}]", text) is None


def paragraph(text: str) -> str:
    """Return a text without control characters as a file can hold it; line breaks stay."""
    return _NOT_IN_A_FILE.sub("?", text)


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Return a text without control characters and line breaks, each of which is a `?`, cut to `longest` characters."""
    plain = _NOT_ON_A_LINE.sub("?", text)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def say(text: str, *, err: bool = False) -> None:
    """Print a message, without control characters, to stdout or stderr."""
    import typer

    typer.echo(shown(text), err=err)
