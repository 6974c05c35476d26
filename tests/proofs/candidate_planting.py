"""Plants faults into a file of another tool, and says which outputs of the source may be named for each."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from candidate_files import nameless

from proofs.candidate_makers import Made
from proofs.foreign_faults import KINDS, LARGE, MODULE_FAULTS, MODULE_MODELS
from proofs.foreign_faults.folded import misread
from proofs.foreign_faults.model import ForeignModel
from proofs.foreign_files import FLOAT_MAKERS, Foreign, Workshop
from proofs.planted_faults.difference import INPUTS

__all__ = ["Planted", "plant"]

_LEAST = 1e-5
"""Of a result's largest value: what a fault must change."""
_PLACES = 8
"""Places of a kind that are tried in a file."""


@dataclass(frozen=True)
class Planted:
    """A file with faults."""

    right: Foreign
    file: Path
    operators: list[str]
    details: list[str]
    expected: list[frozenset[str]]
    """By fault, the outputs one of which must be named."""
    shown_by: list[str]
    """By fault, the first kind of input that shows it in the file's results."""


def plant(faults: Sequence[tuple[str, int]], number: int, work: Workshop) -> Planted | None:
    """Plant faults into a file: of the first model and maker, in an order of this job's own, that have a place for all.

    Args:
        faults: kinds and seeds.
        number: of the job, by which the maker is chosen.
        work: where the files are.
    """
    makers = _rotated(list(FLOAT_MAKERS), number)
    for model in _models(faults, number):
        for maker in makers:
            foreign = work.file(model, maker)
            if foreign is None:
                continue
            kind, seed = faults[0]
            planted = (
                _in_module(kind, seed, foreign, work) if kind in MODULE_FAULTS else _in_file(faults, foreign, work)
            )
            if planted is not None:
                return planted
    return None


def _models(faults: Sequence[tuple[str, int]], number: int) -> list[str]:
    kind, seed = faults[0]
    if len(faults) > 1:
        return _rotated(LARGE, number)
    return _rotated(MODULE_MODELS if kind in MODULE_FAULTS else KINDS[kind].models, seed)


def _rotated(names: Sequence[str], by: int) -> list[str]:
    by %= len(names)
    return [*names[by:], *names[:by]]


def _in_module(kind: str, seed: int, right: Foreign, work: Workshop) -> Planted | None:
    """Plant a fault into the module, from which the file is made again."""
    made, _ = work.model(right.model)
    folder = work.emptied("misread")
    folder.mkdir()
    with misread(made.module, kind, seed) as path:
        file = path and work.make_file(Made(made.module, made.image, folder), right.maker, folder / "faulty.onnx")
    if not path or not file:
        return None
    shown = _shown_by(right, file)
    expected = right.with_partners(frozenset({path, right.fused.get(path, path)}))
    return Planted(right, file, ["BatchNorm2d"], [path], [expected], [shown]) if shown else None


def _in_file(faults: Sequence[tuple[str, int]], right: Foreign, work: Workshop) -> Planted | None:
    file, planted = right.file, Planted(right, work.folder / "faulty.onnx", [], [], [], [])
    for step, (kind, seed) in enumerate(faults):
        changed = work.folder / f"faulty{step}.onnx"
        if not _one_in_file(kind, seed, file, changed, planted):
            return None
        file = changed
    # What was added has names that tell.
    nameless(file, planted.file)
    return planted


def _one_in_file(kind: str, seed: int, before: Path, after: Path, planted: Planted) -> bool:
    """Plant one fault more."""
    right = planted.right

    # The same in every process, unlike hash().
    own = int(hashlib.sha256(f"{kind} {seed} {right.maker}".encode()).hexdigest()[:8], 16)
    order: list[int] = []
    for attempt in range(_PLACES):
        model, rng = ForeignModel(before, right.recorded, right.ends), np.random.default_rng(seed)
        places = list(KINDS[kind].places(model, rng))
        order = order or random.Random(own).sample(range(len(places)), len(places))
        if attempt >= len(order):
            break
        place = places[order[attempt]]
        faulty = [place.node, *place.also, *(node for node in model.graph.node if place.weight in node.input)]
        expected = right.with_partners(frozenset[str]().union(*map(model.nearest, faulty)))
        operator, detail = place.node.op_type, place.detail
        if not expected or any(not expected.isdisjoint(other) for other in planted.expected):
            continue
        place.change()
        onnx.save(model.proto, after)
        shown = _shown_by(right, after, before)
        if shown:
            planted.operators.append(operator)
            planted.details.append(detail)
            planted.expected.append(expected)
            planted.shown_by.append(shown)
            return True
    return False


def _shown_by(right: Foreign, wrong: Path, before: Path | None = None) -> str | None:
    """Return the first kind of input for which the results differ; None too if ONNX Runtime doesn't run the file."""
    try:
        sessions = [_session(file) for file in (before or right.file, wrong)]
        for kind in ("the recorded input", "values from 0 to 1", "strong noise"):
            inputs = {name: INPUTS[kind](array) for name, array in right.recorded.items()}
            names = [value.name for value in sessions[0].get_inputs()]
            results = [session.run(None, dict(zip(names, inputs.values(), strict=True))) for session in sessions]
            if any(_differ(*pair) for pair in zip(*results, strict=True)):
                return kind
    except Exception:  # ONNX Runtime has a class of its own for each reason
        return None
    return None


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _differ(right: np.ndarray, wrong: np.ndarray) -> bool:
    if right.shape != wrong.shape:
        return True
    largest = float(np.abs(right).max())
    return not np.isfinite(wrong).all() or float(np.abs(right - wrong).max()) > _LEAST * largest
