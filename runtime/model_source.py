"""A model of any kind -> an open artifact: the one that it is, or one that is made of it for the moment.

`runtime` imports no package that makes artifacts: the one that does is found by the entry point `artifact` in the group
`layerprobe.sources`, and imported only here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from .artifact.errors import RunnerUnavailable
from .artifact.folder import Artifact, open_artifact
from .artifact.manifest import MANIFEST_FILE, METADATA_KEY
from .artifact.onnx_file import read_metadata

if TYPE_CHECKING:
    from .verdict.file_values import RightValues

__all__ = ["is_artifact", "opened_candidate", "opened_source"]

_GROUP = "layerprobe.sources"


def is_artifact(model: str) -> bool:
    """Return whether it is an artifact or a file of one, and not a model's name or somebody's ONNX file."""
    path = Path(model)
    if path.suffix == ".onnx" and path.is_file():
        return (path.parent / MANIFEST_FILE).is_file() or METADATA_KEY in read_metadata(path)
    return path.exists() and path.suffix != ".py"


@contextmanager
def opened_source(
    model: str,
    inputs: Sequence[Path] = (),
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
    **options: Any,
) -> Iterator[Artifact]:
    """Yield the artifact of a model; one that was made for this is removed afterwards.

    Args:
        model: an artifact, an ONNX file, or a model as `layerprobe export` takes it.
        inputs: files with the user's own inputs, which are recorded in an artifact that is made here.
        on_phase: called with the name of each phase as it starts.
        options: as of `export.sources.write_artifact`.

    Raises:
        LayerprobeError: it can't be opened or made.
    """
    if is_artifact(model):
        yield open_artifact(model)
        return
    write = _maker("artifact")
    with TemporaryDirectory(prefix="layerprobe-") as place:
        folder = Path(place) / "artifact"
        write(model, folder, inputs=inputs, on_phase=on_phase, **options)
        yield open_artifact(folder)


@contextmanager
def opened_candidate(
    file: Path,
    source: Artifact,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Iterator[tuple[Artifact, "RightValues"]]:
    """Yield the artifact of somebody's ONNX file under the names of its source, and what gives the source's tensors.

    Raises:
        LayerprobeError: it can't be read, or is of another model.
    """
    write = _maker("candidate")
    with TemporaryDirectory(prefix="layerprobe-") as place:
        folder = Path(place) / "artifact"
        right_values: RightValues = write(file, source, folder, on_phase)
        yield open_artifact(folder), right_values


def _maker(name: str) -> Callable[..., Any]:
    entries = distribution("layerprobe").entry_points.select(group=_GROUP, name=name)
    if not entries:
        raise RunnerUnavailable("this layerprobe's entry points lack what makes artifacts: reinstall it.")
    made: Callable[..., Any] = next(iter(entries)).load()
    return made
