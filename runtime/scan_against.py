"""`scan --against`: opening what is compared, and judging it on the images on which it differs most.

Three kinds: two runners of the artifact; a file of the same model, matched as `verify FILE --against` does; another
model with outputs of the same names, of which nothing says which one is right.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .artifact.errors import InputError, ModelError, UsageError
from .artifact.file_reading import nothing_at
from .artifact.folder import Artifact, open_artifact
from .artifact.manifest import MANIFEST_FILE, ONNX_FILE
from .artifact.onnx_file import is_onnx
from .artifact.unfinished import scratch_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .runners.base import Runner
    from .scan.introduced_errors import Judged, JudgedImage
    from .scan.opening import Opening
    from .scan.other_model import OtherModel
    from .scan.shard_worker import Compared
    from .verdict.report import Report, RunnerReport

__all__ = ["Against", "judged_images", "judged_rows", "opened_against"]

_Inputs = Mapping[str, Mapping[str, "NDArray[Any]"]]
_Given = Mapping[str, "NDArray[Any]"]
_OnInput = Callable[["RunnerReport"], None]


@dataclass(frozen=True)
class Against:
    """Two models, or two runners of one, that are compared."""

    session: "Runner"
    other: "OtherModel"
    judge: Callable[[Path, _Inputs, "_OnInput"], "Report"] | None = None
    """From a folder of images' inputs, and what is in it, to the verdict, with the report on each of them on the way;
    None where nothing is right or wrong, as between two models."""
    command: str = ""
    """What shows the same verdict, up to the inputs."""
    note: str = ""
    elsewhere: Callable[[], "Compared"] | None = None
    """What another machine is sent of it."""


@contextmanager
def opened_against(
    artifact: Artifact, against: str, opening: "Opening", on_phase: Callable[[str], None]
) -> Iterator[Against]:
    """Yield what `--against` names, opened.

    Raises:
        UsageError: it is neither two runners nor a model; or it takes only a batch of several.
        InputError: there is no such file.
        LayerprobeError: it can't be read, or has nothing in common with the artifact.
    """
    path = Path(against)
    if path.is_dir() or (path.is_file() and (path.parent / MANIFEST_FILE).is_file()):
        with _of_artifact(artifact, path, opening, on_phase) as found:
            yield _checked(found)
    elif is_onnx(path):
        if not path.is_file():
            raise InputError(f"{nothing_at(path, 'file')} Check the path.")
        with _of_file(artifact, path, path, opening, on_phase) as found:
            yield _checked(found)
    else:
        yield _of_runners(artifact, against, opening)


def _of_runners(artifact: Artifact, against: str, opening: "Opening") -> Against:
    from .scan.other_model import OtherModel
    from .scan.shard_worker import Compared
    from .verdict.verification import verify

    one, equals, other = against.partition("=")
    if not equals:
        raise UsageError(
            f"--against {against} is no ONNX file, no artifact and no two runners.\n"
            "Give an ONNX file, another artifact (`layerprobe export MODEL -o DIR` makes one), or two runners, as in "
            "onnx-cpu=openvino."
        )
    if one == other:
        raise UsageError(
            f"--against {against} is one runner twice, so nothing would be compared.\n"
            "Give two, as in onnx-cpu=openvino."
        )
    session, second = opening.open_named(artifact, one), opening.open_named(artifact, other)

    def judge(folder: Path, inputs: _Inputs, on_input: _OnInput) -> "Report":
        # By their paths, as `verify --input` calls them.
        given = {str(folder / name): each for name, each in inputs.items()}
        return verify(artifact, (one, other), inputs=given, settings=opening.settings, on_input=on_input)

    command = shlex.join(["layerprobe", "verify", str(artifact.path), "--runner", one, "--runner", other])
    model = OtherModel(second.name, second)
    return Against(session, model, judge, command, elsewhere=lambda: Compared(model, scanned=one))


@contextmanager
def _of_file(
    artifact: Artifact, file: Path, shown: Path, opening: "Opening", on_phase: Callable[[str], None]
) -> Iterator[Against]:
    """Yield a file of the same model, under the artifact's names."""
    from .model_source import opened_candidate
    from .scan.other_model import OtherModel, hash_of_model
    from .scan.shard_worker import Compared, artifact_files
    from .verdict.verification import verify

    with opened_candidate(file, artifact, on_phase=on_phase) as (candidate, right_values):
        wanted = opening.outputs or artifact.manifest.output_names
        names = [name for name in candidate.manifest.output_names if name in set(wanted)]
        if not names:
            raise UsageError(f"{file} computes none of the outputs that are scanned.\nChoose others with --outputs.")
        inputs = [each.name for each in candidate.manifest.inputs]
        known = candidate.manifest.candidate
        other = OtherModel(
            str(shown),
            opening.open(candidate, names, "onnx"),
            hash_of_model(file),
            partial(_named, inputs, right_values.layouts.as_its_inputs),
            right_values.layouts.in_source_layout,
            is_exact=known is None or known.precision == "float32",
        )

        def judge(folder: Path, _inputs: _Inputs, on_input: _OnInput) -> "Report":
            with opened_candidate(file, artifact, [folder]) as (judged, right):
                return verify(judged, settings=opening.settings, right_values=right, on_input=on_input)

        note = f"{len(names)} of {len(wanted)} outputs were found in {shown}"
        yield Against(
            opening.open(artifact),
            other,
            judge,
            shlex.join(["layerprobe", "verify", str(file), "--against", str(artifact.path)]),
            note,
            lambda: Compared(other, artifact_files(candidate, "onnx"), "onnx"),
        )


def _named(names: Sequence[str], given_as: Callable[[_Given], list["NDArray[Any]"]], inputs: _Given) -> _Given:
    """Return inputs by the names of the other model, to which they are given in its order."""
    return dict(zip(names, given_as(inputs), strict=True))


def _in_order(inputs: _Given) -> list["NDArray[Any]"]:
    return list(inputs.values())


@contextmanager
def _of_artifact(
    artifact: Artifact, path: Path, opening: "Opening", on_phase: Callable[[str], None]
) -> Iterator[Against]:
    """Yield another artifact: as a file of the same model, unless it has other weights."""
    opened = open_artifact(path)
    mine, theirs = artifact.manifest, opened.manifest
    outputs = [[(each.name, each.shape, each.dtype) for each in manifest.outputs] for manifest in (mine, theirs)]
    with ExitStack() as held:
        if mine.weights and theirs.weights and mine.weights != theirs.weights and outputs[0] == outputs[1]:
            yield _of_model(artifact, opened, path, opening)
            return
        try:
            found = held.enter_context(_of_file(artifact, opened.file(ONNX_FILE), path, opening, on_phase))
        except ModelError as error:
            found = _of_model(artifact, opened, path, opening, error)
        yield found


def _of_model(
    artifact: Artifact, opened: Artifact, path: Path, opening: "Opening", why_not: ModelError | None = None
) -> Against:
    """Return another model whose outputs have the same names and shapes.

    Raises:
        InputError: it takes other inputs.
        ModelError: `why_not`, the reason why it isn't the same model: no output has the same name.
    """
    from .artifact.file_hash import file_hash
    from .scan.other_model import OtherModel
    from .scan.shard_worker import Compared, artifact_files

    wanted = set(opening.outputs or artifact.manifest.output_names)
    shapes = {each.name: each.shape for each in artifact.manifest.outputs}
    names = [
        each.name for each in opened.manifest.outputs if each.name in wanted and each.shape == shapes.get(each.name)
    ]
    mine, theirs = (
        [(each.shape, each.dtype) for each in manifest.inputs] for manifest in (artifact.manifest, opened.manifest)
    )
    if mine != theirs:
        raise InputError(
            f"{opened.manifest.model} takes {', '.join(each.described for each in opened.manifest.inputs)}; "
            f"{artifact.manifest.model} takes {', '.join(each.described for each in artifact.manifest.inputs)}.\n"
            "Two models are compared on the same inputs: export one of them with the other's."
        ) from why_not
    if not names:
        raise why_not or UsageError(f"{path} has none of the outputs that are scanned.\nChoose others with --outputs.")
    inputs = [each.name for each in opened.manifest.inputs]
    other = OtherModel(
        str(path),
        opening.open(opened, names),
        file_hash(opened.path / MANIFEST_FILE),
        partial(_named, inputs, _in_order),
        is_exact=False,
        is_judged=False,
    )
    note = f"{path} has other weights: the {len(names)} outputs of the same names are compared, and nothing is judged"
    if opened.manifest.preprocessing != artifact.manifest.preprocessing:
        note += "; both are given the inputs that the scanned model's preprocessing makes"
    return Against(
        opening.open(artifact),
        other,
        note=note,
        elsewhere=lambda: Compared(other, artifact_files(opened, opening.runtime)),
    )


def _checked(found: Against) -> Against:
    batch = found.other.batch
    if batch is not None and batch > 1:
        raise UsageError(
            f"{found.other.name} takes only a batch of {batch}, so its images can't be told apart.\n"
            "Export it with one image, or an open batch."
        )
    return found


def judged_images(
    pair: Against, images: "Sequence[JudgedImage]", inputs: Sequence[Mapping[str, "NDArray[Any]"]]
) -> "list[Judged]":
    """Return what each operation introduced and inherited on some images, of which the inputs are given."""
    import numpy as np

    reports: list[RunnerReport] = []
    given = {f"{place:04}.npz": one for place, one in enumerate(inputs)}
    assert pair.judge is not None
    with scratch_folder() as folder:
        for name, one in given.items():
            np.savez(folder / name, **cast("dict[str, Any]", one))
        pair.judge(folder, given, reports.append)
    return judged_rows(reports, dict(zip(given, images, strict=True)))


def judged_rows(reports: "Sequence[RunnerReport]", images: "Mapping[str, JudgedImage]") -> "list[Judged]":
    """Return a row for each report's outputs; `images` are those judged, by the names of the files of their inputs."""
    from .scan.introduced_errors import Judged
    from .verdict.verdict_kinds import Verdict

    return [
        Judged(
            of=images[Path(report.recorded_input).name],
            runner=report.name,
            output=each.name,
            verdict=each.verdict.value,
            drift=each.drift,
            introduced=each.introduced,
            inherited=each.inherited,
            at_fault=each.failed and each.verdict is not Verdict.INHERITED,
        )
        for report in reports
        for each in report.outputs
    ]
