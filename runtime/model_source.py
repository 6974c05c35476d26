"""A model of any kind -> an open artifact: the one that it is, or one that is made of it for the moment.

`runtime` imports no package that makes artifacts, unless one has to be made here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact.by_name import load
from .artifact.folder import Artifact, open_artifact
from .artifact.manifest import MANIFEST_FILE, METADATA_KEY
from .artifact.onnx_file import is_onnx, read_metadata
from .artifact.unfinished import scratch_folder
from .runners.settings import DEFAULT_SETTINGS, Settings

if TYPE_CHECKING:
    from .artifact.reference import Reference
    from .verdict.file_values import RightValues
    from .verdict.report import Report

__all__ = ["is_artifact", "opened_candidate", "opened_source", "verify_candidate"]

_WRITE_ARTIFACT, _WRITE_CANDIDATE = "export.sources:write_artifact", "export.sources:write_candidate_of"


def verify_candidate(
    file: str | Path,
    source: Artifact | str | Path,
    runners: Sequence[str] = (),
    *,
    inputs: Sequence[str | Path] = (),
    input_size: Sequence[int] = (),
    weights: str | Path | None = None,
    seed: int = 0,
    goal: str | None = None,
    settings: Settings = DEFAULT_SETTINGS,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> "Report":
    """Judge somebody's ONNX file against what it was made of, as `layerprobe verify FILE --against SOURCE` does.

    A module in memory becomes a source by `export_artifact(build_probe(module, example), folder)`.

    Args:
        file: the candidate.
        source: an artifact, an ONNX file, or a PyTorch model as `load_model` takes it.
        runners: as of `verify`.
        inputs: photos, `.npy`, `.npz` and `.safetensors` files, and folders of them, in place of those that the source
            is recorded on.
        input_size: of the source's images; by default the candidate's.
        weights: a file with a PyTorch model's weights.
        seed: of its fresh weights.
        goal: what the results have to reach, too: `30 dB` or `top1 0.99`.
        settings: how to run.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: the goal is none.
        LayerprobeError: one of the two can't be read or made, or the file is of another model.
    """
    # Imported here: whoever only opens a source doesn't verify.
    from .verdict.goal import parse_goal
    from .verdict.verification import verify

    wanted = parse_goal(goal) if goal is not None else None
    given, options = [Path(each) for each in inputs], {"size": input_size, "weights": weights, "seed": seed}
    with opened_candidate(Path(file), source, given, on_phase, **options) as (candidate, right_values):
        return verify(candidate, runners, settings=settings, right_values=right_values, goal=wanted, on_phase=on_phase)


def is_artifact(model: str | Path) -> bool:
    """Return whether it is an artifact or a file of one, and not a model's name or somebody's ONNX file."""
    path = Path(model)
    if is_onnx(path) and path.is_file():
        return (path.parent / MANIFEST_FILE).is_file() or METADATA_KEY in read_metadata(path)
    return path.exists() and path.suffix != ".py"


@contextmanager
def opened_source(
    model: Artifact | str | Path,
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
    if isinstance(model, Artifact) or is_artifact(model):
        yield open_artifact(model)
        return
    write = load(_WRITE_ARTIFACT)
    with scratch_folder() as place:
        folder = place / "artifact"
        write(str(model), folder, inputs=inputs, on_phase=on_phase, **options)
        yield open_artifact(folder)


@contextmanager
def opened_candidate(
    file: Path,
    source: Artifact | str | Path,
    inputs: Sequence[Path] = (),
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
    **options: Any,
) -> Iterator[tuple[Artifact, "RightValues"]]:
    """Yield the artifact of somebody's ONNX file under the names of its source, and what gives the source's tensors.

    Args:
        file: the candidate.
        source: as of `opened_source`, like the rest.
        inputs: files with the user's own inputs, in place of those that the source is recorded on. Of an artifact, its
            ONNX file in float64 stands for the model on them.
        on_phase: called with the name of each phase as it starts.
        options: for a source that is no artifact.

    Raises:
        LayerprobeError: one of the two can't be read, or the file is of another model.
    """
    recorded = isinstance(source, Artifact) or is_artifact(source)
    write = load(_WRITE_CANDIDATE)
    with (
        opened_source(source, inputs, on_phase, like=file, **options) as opened,
        scratch_folder() as place,
    ):
        folder = place / "artifact"
        truths = _truths(opened, inputs, on_phase) if recorded and inputs else ()
        right_values: RightValues = write(file, opened, folder, on_phase, truths)
        yield open_artifact(folder), right_values


def _truths(source: Artifact, inputs: Sequence[Path], on_phase: Callable[[str], None]) -> "list[Reference]":
    """Return what an artifact's ONNX file means for inputs that it was not recorded on."""
    from .runs.input_files import read_inputs
    from .verdict.given_inputs import references_of_file

    manifest = source.manifest
    given = read_inputs(inputs, manifest.inputs, manifest.preprocessing, manifest.model)
    on_phase("evaluating the source's ONNX file in float64")
    return references_of_file(source, given)
