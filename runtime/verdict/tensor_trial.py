"""A file of tensors judged like a runner: one that ran elsewhere, on one recorded input, and of which not all is there.

How its tensors get the outputs' layouts is in `given_tensors.py`; runners that run here are in `runner_trial.py`.
"""

from collections.abc import Sequence

from ..artifact.errors import InputError
from ..artifact.manifest import ONNX_FILE, Manifest
from ..artifact.plain_text import one_line
from ..artifact.versioned_json import read_versioned
from ..runners.machine import Facts
from ..runs.recorded_run import RunRecord
from ..runs.tensor_file import FILE_KEY, RUN_KEY, TensorFile
from .drift_maps import DriftMaps
from .given_tensors import GivenTensors, read_given, recorded_input_of
from .judge import Judge, RunnerFacts
from .missing_tensors import partial_run
from .report import GivenReport, RunnerReport

__all__ = ["judge_tensors"]

_MOST_FACTS, _LONGEST = 20, 200


def judge_tensors(
    file: TensorFile, name: str, manifest: Manifest, judges: Sequence[Judge], maps: DriftMaps | None
) -> tuple[RunnerReport, Judge]:
    """Return the report on a file of tensors, and the judge of the recorded input from which they were computed.

    Args:
        file: the file.
        name: what the report calls it.
        manifest: of the model.
        judges: of each recorded input.
        maps: collects the averaged maps, if given.

    Raises:
        InputError: it can't be read, has none of the outputs, or is of another input.
        ArtifactError: what it says of itself is not what `layerprobe run` writes.
    """
    providers, facts = _facts(file, manifest)
    number = recorded_input_of(file, manifest, [judge.reference for judge in judges])
    judge = judges[number]
    given = read_given(file, manifest, judge.graph, judge.reference, number)
    runner = RunnerFacts(name, providers, facts=facts, reads_onnx=file.metadata.get(FILE_KEY) == ONNX_FILE)
    part = partial_run(judge.graph, judge.reference, given.whole, given.samples)
    report = judge.report_of(runner, given.whole, part)
    if maps is not None:
        maps.add(name, judge.graph, judge.reference, given.whole, judge.wrong_in_file)
    return report.model_copy(update={"given": _summary(given, manifest)}), judge


def _facts(file: TensorFile, manifest: Manifest) -> tuple[Sequence[str], Facts]:
    """Return the providers and what may explain a drift: as `layerprobe run` recorded it, else the file's metadata."""
    if RUN_KEY in file.metadata:
        record = read_versioned(
            RunRecord, file.metadata[RUN_KEY], file.path, "a valid recorded run", "Record it again."
        )
        if None not in (record.weights, manifest.weights) and record.weights != manifest.weights:
            raise InputError(
                f"{file.path} is a run of {record.model} with other weights than those of {manifest.model} here.\n"
                "Judge it by the artifact that it was recorded with."
            )
        return record.providers, {"runner": record.runner, **record.facts}
    own = [(key, text) for key, text in sorted(file.metadata.items()) if not key.startswith("layerprobe.")]
    return [], {one_line(key, _LONGEST): one_line(text, _LONGEST) for key, text in own[:_MOST_FACTS]}


def _summary(given: GivenTensors, manifest: Manifest) -> GivenReport:
    return GivenReport(
        absent=[name for name in manifest.output_names if name not in given.whole and name not in given.samples],
        sampled=list(given.samples),
        reordered=given.reordered,
        unknown=given.unknown,
    )
