"""Files of models as other tools make them, without their names, and what each of their tensors computes."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch
from candidate_files import nameless
from torch import nn

from export import export_artifact
from export.candidate.search import find_matches
from export.sources import write_candidate_of
from probe import build_probe
from probe.onnx_model.reading import read_sound_model
from proofs.candidate_makers import MAKERS, Made, Maker
from proofs.foreign_faults.networks import FOREIGN_NETWORKS
from proofs.verdict_models import sound_model, train_batch_norms
from runtime import Artifact, Report, open_artifact
from runtime.artifact.errors import LayerprobeError
from runtime.verdict.drift import FILE_RUNNER
from runtime.verdict.verification import verify

__all__ = ["FLOAT_MAKERS", "Foreign", "Workshop", "judge"]

FLOAT_MAKERS: Mapping[str, Maker] = {
    name: make for name, make in MAKERS.items() if name.startswith(("torch.onnx", "onnxs", "ONNX Runtime"))
}
"""The makers of files in float32 that the faults are planted into, in turn."""


@dataclass(frozen=True)
class Foreign:
    """A right file of a maker, without names."""

    model: str
    maker: str
    file: Path
    source: Artifact
    ends: Mapping[str, str]
    """By value, the source's output that it computes."""
    fused: Mapping[str, str]
    """Outputs of the source that the file doesn't compute, each with the one that it is fused into."""

    @property
    def named(self) -> Path:
        """The file as the maker wrote it."""
        return self.file.with_name(self.file.name.replace("-nameless", ""))

    @cached_property
    def recorded(self) -> dict[str, np.ndarray]:
        """The first recorded input, under the file's own name."""
        names = [value.name for value in onnx.load(self.file).graph.input]
        return dict(zip(names, self.source.reference().inputs.values(), strict=True))

    def with_partners(self, outputs: frozenset[str]) -> frozenset[str]:
        """Return these outputs, those that are fused into them, and those that only pass on the same."""
        passed_on = {each.name: each.alias_of for each in self.source.manifest.outputs}
        fused = outputs | {name for name, into in self.fused.items() if into in outputs}
        return fused | {name for name, of in passed_on.items() if of in outputs and _is_copy(self.source, name)}


class Workshop:
    """A folder, with models' artifacts and files: each is made once, and found again in a folder that is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[str, tuple[Made, Artifact]] = {}
        self._files: dict[tuple[str, str], Foreign | None] = {}

    def emptied(self, name: str) -> Path:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.folder / name

    def model(self, name: str) -> tuple[Made, Artifact]:
        """Return a model and its artifact."""
        if name not in self._made:
            folder = self.folder / name.replace(":", "-")
            module, example = foreign_model(name)
            if not folder.exists():
                export_artifact(build_probe(module, *example), folder / "artifact", name=name)
            self._made[name] = Made(module, example[0], folder), open_artifact(folder / "artifact")
        return self._made[name]

    def file(self, model: str, maker: str) -> Foreign | None:
        """Return a right file; None if the maker can't make it."""
        if (model, maker) not in self._files:
            self._files[model, maker] = self._make(model, maker)
        return self._files[model, maker]

    def _make(self, model: str, maker: str) -> Foreign | None:
        made, artifact = self.model(model)
        file = made.folder / f"{list(FLOAT_MAKERS).index(maker)}.onnx"
        kept = file.with_suffix(".json")
        if not kept.exists():
            nameless_file = self.make_file(made, maker, file)
            kept.write_text(json.dumps(nameless_file and _what_it_computes(nameless_file, artifact)))
        known = json.loads(kept.read_text())
        return known and Foreign(model, maker, _without_names(file), artifact, **known)

    @staticmethod
    def make_file(made: Made, maker: str, file: Path) -> Path | None:
        """Make a file without names; None if the maker can't."""
        try:
            FLOAT_MAKERS[maker](made, file)
        except Exception:  # of any type, as the tools are many
            return None
        return nameless(file, _without_names(file))


def _is_copy(source: Artifact, name: str) -> bool:
    """Return whether an output is another one to the last element, in the same order of axes."""
    output = next(each for each in source.manifest.outputs if each.name == name)
    return output.operation.rpartition(".")[2] in ("contiguous", "Dropout", "dropout", "Identity", "clone", "detach")


def _what_it_computes(file: Path, source: Artifact) -> dict[str, dict[str, str]]:
    """Return the fields of `Foreign` that say so."""
    found = find_matches(read_sound_model(file), source, source.references())
    ends = {value: match.output for value, match in found.matches.by_value.items()}
    users: dict[str, list[str]] = {}
    for name, inputs in found.source.inputs_of.items():
        for each in inputs:
            users.setdefault(each, []).append(name)
    fused = {}
    for name in found.source.outputs:
        waiting = [] if name in found.matches.by_output else [name]
        for each in waiting:
            waiting += users.get(each, [])
            if each in found.matches.by_output:
                fused[name] = each
                break
    return {"ends": ends, "fused": fused}


def _without_names(file: Path) -> Path:
    return file.with_name(f"{file.stem}-nameless.onnx")


def foreign_model(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return a model and its example, with batch norms that look trained."""
    if name not in FOREIGN_NETWORKS:
        return sound_model(name)
    make, size = FOREIGN_NETWORKS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make().eval()
    train_batch_norms(model)
    return model, (torch.zeros(1, 3, size, size),)


def judge(file: Path, source: Artifact, folder: Path) -> Report | str:
    """Return the report on a file, or why it was refused."""
    try:
        right_values = write_candidate_of(file, source, folder, lambda phase: None)
        return verify(open_artifact(folder), [FILE_RUNNER, "onnx-cpu"], right_values=right_values)
    except LayerprobeError as error:
        return str(error).splitlines()[0]
