"""The verdicts that `make verdicts` collects, as rows: on a sound model, on a planted fault, on a hostile network."""

import functools
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from torch.onnx._internal.exporter import _registration

from export import export_artifact
from probe import build_probe
from proofs.hostile_networks import draw_networks
from proofs.peers import alarmed, first_new
from proofs.planted_faults import jobs, plant
from proofs.verdict_models import SOUND_MODELS, export_model
from runtime import Artifact, open_artifact, open_runner, verify
from runtime.artifact.errors import ExportError, first_line
from runtime.verdict.report import Report, RunnerReport

__all__ = ["SECTIONS", "Row", "Workplace", "quiet_exports"]

Row = dict[str, Any]

HOSTILE_NETWORKS = 200
HOSTILE_RUNNERS = ("onnx-float64", "onnx-cpu", "torchscript", "openvino")


def quiet_exports() -> None:
    """Let torch.onnx export quickly and without warnings, as long as this process lives."""
    warnings.simplefilter("ignore")
    # torch.onnx reads the source of its 500 operators for every export.
    scripts = _registration.onnxscript_apis
    scripts.get_torchlib_ops = functools.cache(scripts.get_torchlib_ops)


class Workplace:
    """A folder, with the sound artifacts that faults are planted into: each is exported once."""

    def __init__(self, folder: Path) -> None:
        quiet_exports()
        self.folder = folder
        self._sound: dict[str, tuple[Artifact, dict[str, list[str]]]] = {}

    def emptied(self, name: str) -> Path:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.folder / name

    def sound(self, model: str) -> tuple[Artifact, dict[str, list[str]]]:
        """Return a model's artifact, and which of its outputs others call wrong."""
        if model not in self._sound:
            artifact = export_model(model, self.emptied(model.replace(":", "-")))
            self._sound[model] = artifact, _alarmed_by(artifact)
        return self._sound[model]


def _alarmed_by(artifact: Artifact) -> dict[str, list[str]]:
    """Return the outputs that others call wrong, of model.onnx in ONNX Runtime as it is, whatever the manifest says."""
    reference = artifact.reference()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(artifact.file("model.onnx"), options, providers=["CPUExecutionProvider"])
    names = list(reference.truths)
    arrays = dict(zip(names, session.run(names, dict(reference.inputs)), strict=True))
    return alarmed(arrays, reference.truths)


def judge_fault(job: str, work: Workplace) -> Iterator[Row]:
    """Plant a fault and return the verdict on it.

    Raises:
        ValueError: the model has no place for a fault of this kind.
    """
    kind, model, seed = _FAULTS[job]
    sound, before = work.sound(model)
    folder = shutil.copytree(sound.path, work.emptied("faulty"))
    fault = plant(folder, kind, seed)
    if fault is None:
        raise ValueError(f"{model} has no place for: {kind}.")
    report = verify(open_artifact(folder), ["onnx-float64", "onnx-cpu"])
    named, cause = _named(report)
    after = _alarmed_by(open_artifact(folder))
    first = {peer: first_new(names, before[peer]) for peer, names in after.items()}
    yield {
        "kind": kind,
        "model": model,
        "node": fault.node,
        "operator": fault.operator,
        "detail": fault.detail,
        "shown_by": fault.shown_by,
        "expected": sorted(fault.expected),
        "headline": report.headline,
        "found": not report.passed,
        "named": named if not report.passed else None,
        "right": not report.passed and named in fault.expected,
        "cause": cause,
        "drift": _largest_drift(report),
        "peers": {peer: [name is not None, name in fault.expected] for peer, name in first.items()},
    }


def _named(report: Report) -> tuple[str | None, str | None]:
    """Return the output that the report's first line names, and what is blamed."""
    culprits = [runner.culprit for runner in report.runners if runner.verdict.fails and runner.culprit]
    if culprits:
        worst = max(culprits, key=lambda culprit: np.inf if culprit.introduced is None else culprit.introduced)
        return worst.output, worst.cause
    # A file that can't be what the manifest says is refused before it runs.
    refused = re.search(r"the model has (\S+) \(", report.headline)
    return (refused[1], "refused") if refused else (None, None)


def judge_sound(job: str, work: Workplace) -> Iterator[Row]:
    artifact = export_model(job, work.emptied("sound"))
    reference = artifact.reference()
    for runner in verify(artifact, ["all"], trust=True).runners:
        row = {"model": job, "outputs": len(runner.outputs), **_verdict(runner)}
        if runner.name != "onnx-float64":
            arrays = open_runner(artifact, runner.name).run(reference.inputs)
            row["peers"] = {peer: len(names) for peer, names in alarmed(arrays, reference.truths).items()}
        yield row


def judge_hostile(job: str, work: Workplace) -> Iterator[Row]:
    network = _NETWORKS[job]
    model, example = network.make()
    try:
        folder = export_artifact(build_probe(model, example), work.emptied("hostile"), name="hostile")
    except ExportError as error:
        yield {"model": str(network), "runner": "export", "verdict": "not run", "reason": first_line(error)}
        return
    report = verify(folder, HOSTILE_RUNNERS)
    for name, why in {**report.unopened, **report.left_out}.items():
        reason = why if isinstance(why, str) else why.reason
        yield {"model": str(network), "runner": name, "verdict": "not run", "reason": reason}
    for runner in report.runners:
        yield {"model": str(network), "outputs": len(runner.outputs), "headline": report.headline, **_verdict(runner)}


def _verdict(runner: RunnerReport) -> Row:
    worst = max(runner.outputs, key=lambda output: np.inf if output.drift is None else output.drift)
    at, drift = worst.name, worst.drift
    if runner.culprit and runner.culprit.only_unprobed and runner.first_failing:
        at, drift = f"{runner.first_failing}, unprobed", runner.culprit.introduced
    culprit = runner.culprit.output if runner.verdict.fails and runner.culprit else None
    introduced = max((output.introduced or 0.0 for output in runner.outputs), default=0.0)
    return {
        "runner": runner.name,
        "verdict": runner.verdict.value,
        "drift": drift,
        "at": at,
        "introduced": introduced,
        "culprit": culprit,
    }


def _largest_drift(report: Report) -> float | None:
    """Return ONNX Runtime's largest drift; None if it did not run, or an output has no number, as for another shape."""
    drifts = [output.drift for runner in report.runners if runner.name == "onnx-cpu" for output in runner.outputs]
    return None if None in drifts else max(filter(None, drifts), default=None)


_FAULTS = {f"{kind} {model} {seed}": (kind, model, seed) for kind, model, seed in jobs()}
_NETWORKS = {str(network): network for network in draw_networks(HOSTILE_NETWORKS)}

SECTIONS: Mapping[str, tuple[tuple[str, ...], Callable[[str, Workplace], Iterator[Row]]]] = {
    "fault": (tuple(_FAULTS), judge_fault),
    "hostile": (tuple(_NETWORKS), judge_hostile),
    "sound": (tuple(SOUND_MODELS), judge_sound),
}
"""By section, its jobs and what does one. A row of the page is a row of a job."""
