"""Reading a JSON document with a format version: a manifest, a report, the record of a run."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from .errors import ArtifactError
from .file_reading import LARGEST_DOCUMENT_BYTES
from .plain_text import one_line, paragraph

__all__ = ["Line", "Paragraph", "read_versioned"]

Line = Annotated[str, AfterValidator(one_line)]
"""The type of a text in a document: made plain as it enters, so that every use of it is."""

Paragraph = Annotated[str, AfterValidator(paragraph)]
"""Likewise, of a text that may have line breaks."""

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def read_versioned(kind: type[AnyModel], text: str | bytes, source: Path, what: str, remedy: str) -> AnyModel:
    """Return the document in `text`.

    Args:
        kind: its type; the field `format_version` is 1.
        text: JSON.
        source: the file that it is from, for messages.
        what: `a manifest`, for messages.
        remedy: what the user can do, as a sentence.

    Raises:
        ArtifactError: it is no JSON, not such a document, of another format version, or far too large.
    """
    if len(text) > LARGEST_DOCUMENT_BYTES:
        raise ArtifactError(f"{source} is not {what}: it has more than {LARGEST_DOCUMENT_BYTES:,} bytes.\n{remedy}")
    try:
        content = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{source} is not {what}: it is not valid JSON ({error}).\n{remedy}") from error
    # The version is checked first: in another format, nothing else can be.
    found = content.get("format_version", 1) if isinstance(content, dict) else 1
    if isinstance(found, int) and found != 1:
        raise ArtifactError(
            f"{source} has format version {one_line(repr(found), 20)}; this layerprobe reads 1.\n"
            "Update layerprobe, or write it again."
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = one_line(".".join(map(str, first["loc"])), 100) or "document"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        reason = one_line(first["msg"], 200)
        raise ArtifactError(f"{source} is not {what}: {place}: {reason}{more}.\n{remedy}") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; which of two values of a name counts is not defined, so another reader may take the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has {one_line(double, 100)!r} twice")
    return found
