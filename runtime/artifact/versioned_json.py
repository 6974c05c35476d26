"""Reading a JSON document with a format version: a manifest, a report, the record of a run."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from .errors import ArtifactError

__all__ = ["read_versioned"]

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
        ArtifactError: it is no JSON, not such a document, or of another format version.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{source} is not {what}: it is not valid JSON ({error}).\n{remedy}") from error
    # The version is checked first: in another format, nothing else can be.
    found = content.get("format_version", 1) if isinstance(content, dict) else 1
    if isinstance(found, int) and found != 1:
        raise ArtifactError(
            f"{source} has format version {found}; this layerprobe reads 1.\nUpdate layerprobe, or write it again."
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "document"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ArtifactError(f"{source} is not {what}: {place}: {first['msg']}{more}.\n{remedy}") from error
