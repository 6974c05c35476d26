"""A candidate and its source -> the candidate's artifact: its own file, with the source's names and truths.

Each output has the candidate's own layout; the truth is the source's in float64, brought into that layout.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from probe.manifest_making import making_manifest
from probe.onnx_model.reading import described, read_sound_model
from runtime.artifact.errors import ModelError
from runtime.artifact.folder import Artifact
from runtime.artifact.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    ONNX_FILE,
    REFERENCE_FILE,
    Candidate,
    Dimension,
    Manifest,
    Output,
    Versions,
)
from runtime.artifact.reference import Reference, save_references
from runtime.float64.graph import Float64Graph, Unknown

from ..artifact_files import LEFT_OUT_OF_ONNX, write_manifest, write_operations
from ..input_kinds import DRAWN, STRONG_NOISE
from ..kept_tensors import Keep
from ..onnx_artifact import write_onnx
from .marking import mark_candidate
from .matching import Match
from .real_outputs import with_real_outputs
from .search import Found, find_matches
from .source_nodes import source_nodes
from .source_values import SourceValues
from .truths import candidate_reference, check_source

__all__ = ["write_candidate"]


def write_candidate(
    file: Path,
    source: Artifact,
    folder: Path,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
    given: Sequence[Reference] = (),
) -> SourceValues:
    """Write the artifact of an ONNX file under the names of its source.

    Args:
        file: the candidate.
        source: an artifact with the full probe.
        folder: an empty or absent folder.
        on_phase: called with the name of each phase as it starts.
        given: inputs of the user's own and their truths, to be recorded in place of the source's.

    Returns:
        What gives the source's whole tensors in the candidate's layout.

    Raises:
        ModelError: the file isn't sound, or is of another model.
        InputError: it takes other inputs.
    """
    on_phase(f"reading {file}")
    sound = with_real_outputs(read_sound_model(file))
    on_phase("matching its tensors with the source's")
    references = source.references()
    found = find_matches(sound, source, references)
    outputs = _outputs(source.manifest, found)
    marked, inputs = mark_candidate(sound, found, outputs)
    with making_manifest(file.stem):
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            model=file.stem,
            files={},
            left_out=LEFT_OUT_OF_ONNX,
            inputs=inputs,
            preprocessing=None,
            outputs=outputs,
            results=_results(source.manifest, found, sound.returned),
            skipped=(),
            capture="onnx",
            capture_reason="; ".join(sound.notes) or None,
            candidate=_candidate(source.manifest, found),
            versions=Versions(
                layerprobe=version("layerprobe"), torch=None, onnx=version("onnx"), opset=sound.opsets.get("", 1)
            ),
        )
    folder.mkdir(parents=True, exist_ok=True)
    on_phase("writing the candidate's artifact")
    write_onnx(marked, manifest, folder / ONNX_FILE)
    names = dict(zip(found.inputs.names.values(), (each.name for each in inputs), strict=True))
    write_operations(source_nodes(source.onnx(), marked, manifest.output_names, names), folder)
    values = SourceValues(
        found.source.graph,
        {match.output: match.alignment for match in found.matches.by_value.values()},
        (*references, *given),
        found.inputs,
    )
    check_source(manifest, found, references[0])
    keep = Keep.beside((folder / ONNX_FILE).stat().st_size, len(outputs))
    recorded: list[Reference] = []
    for reference in given or references:
        if found.precision != "float32" and reference.name == STRONG_NOISE:
            continue  # far beyond what it is made for: a right file clips or overflows there
        on_phase(f"taking over {reference.name}")
        kept = keep.of_another(briefly=False) if recorded else keep
        moved = candidate_reference(reference, manifest, found, values, kept)
        if moved is not None:
            recorded.append(moved)
    if not recorded:
        which = "given" if given else f"that {source.manifest.model} was recorded on"
        raise ModelError(f"{file} can't take any of the inputs {which}.")
    if found.precision != "float32":
        graph = Float64Graph(folder / ONNX_FILE, manifest.output_names, real_values=True)
        recorded = [_as_exact_as(each, graph) for each in recorded]
        if found.precision == "integers":
            recorded = _made_for(recorded, graph, values)
    save_references(folder / REFERENCE_FILE, recorded)
    write_manifest(manifest, folder / MANIFEST_FILE)
    return values


def _results(manifest: Manifest, found: Found, returned: Mapping[str, str]) -> dict[str, str]:
    """Return the candidate's results by name; `returned` are their names in the file by its values.

    A file may return what is in between as well: then the source says which are the results.
    """
    matches = {old: found.matches.by_value.get(value) for value, old in returned.items()}
    named = {old: match.output for old, match in matches.items() if match is not None}
    results = (
        {old: output for old, output in named.items() if output in manifest.result_names}
        or named
        or {key: output for key, output in manifest.results.items() if output in found.matches.by_output}
    )
    return {"": next(iter(results.values()))} if len(results) == 1 else results


def _outputs(manifest: Manifest, found: Found) -> tuple[Output, ...]:
    """Return the source's outputs that the candidate computes, in its own order, layout and dtype."""
    specs = {output.name: output for output in manifest.outputs}
    outputs = []
    for value in found.values.all.values():
        match = found.matches.by_value.get(value.name)
        if match is None:
            continue
        spec = specs[match.output]
        aligned = match.alignment.apply(found.source.tensors[match.output].array)
        layout, shape = _layout(spec, match, aligned.shape, found)
        outputs.append(
            spec.model_copy(
                update={
                    "shape": shape,
                    "layout": layout,
                    "dtype": found.dtype(value.name),
                    "tokens": spec.tokens if layout == spec.layout else None,
                    "alias_of": None,
                    "computed_by": described(value.node),
                }
            )
        )
    return tuple(outputs)


def _layout(spec: Output, match: Match, shape: tuple[int, ...], found: Found) -> tuple[str, tuple[Dimension, ...]]:
    order = match.alignment.order or range(len(spec.shape))
    if match.alignment.shape is None and len(spec.layout) == len(spec.shape):
        layout = "".join(spec.layout[axis] for axis in order)
        symbolic = tuple(spec.shape[axis] for axis in order)
    else:
        first = spec.shape[:1] if match.alignment.shape and match.alignment.shape[0] == -1 else ()
        layout = ("N" if first else "") + "?" * (len(shape) - len(first))
        symbolic = (*first, *shape[len(first) :])
    held = tuple(each if found.is_open(each) else size for each, size in zip(symbolic, shape, strict=True))
    return layout, held


def _candidate(manifest: Manifest, found: Found) -> Candidate:
    """Return what became of the source's outputs in the candidate, and of its tensors in the source."""
    by_output = found.matches.by_output
    users: dict[str, list[str]] = {}
    aliases = {output.name: output.alias_of for output in manifest.outputs}
    for name, inputs in found.source.inputs_of.items():
        for each in inputs:
            users.setdefault(each, []).append(name)
    fused, unmatched = {}, []
    for output in manifest.output_names:
        if output in by_output:
            continue
        into = _nearest(output, users, by_output) or _same(output, aliases, by_output)
        if into is None:
            unmatched.append(output)
        else:
            fused[output] = into
    return Candidate(
        source=manifest.model,
        precision=found.precision,
        matched=len(by_output),
        fused=fused,
        unmatched=tuple(unmatched),
        extra=tuple(found.matches.pending),
        lacks=tuple(
            name for name in manifest.result_names if name not in by_output and not _same(name, aliases, by_output)
        ),
        returns=tuple(
            described(value.node)
            for name in found.values.returned
            if name not in found.matches.by_value and (value := found.values.all[name]).rests_on == "data"
        ),
        given=found.inputs.change.described if found.inputs.change else None,
    )


def _same(output: str, aliases: Mapping[str, str | None], by_output: Mapping[str, Match]) -> str | None:
    """Return the output that was found and that this one only passes on, as dropout does."""
    name = aliases[output]
    while name is not None and name not in by_output:
        name = aliases.get(name)
    return name


def _nearest(output: str, users: Mapping[str, list[str]], by_output: Mapping[str, Match]) -> str | None:
    waiting, seen = [output], {output}
    for name in waiting:
        for user in users.get(name, ()):
            if user in by_output:
                return user
            if user not in seen:
                seen.add(user)
                waiting.append(user)
    return None


def _as_exact_as(reference: Reference, graph: Float64Graph) -> Reference:
    """Return a reference whose noise is what the file itself, in lower precision, is off: no runtime can be nearer."""
    truths = dict(reference.truths)
    for name, value in graph.walk(reference.inputs):
        truth = truths[name]
        if isinstance(value, Unknown) or value.shape != truth.shape:
            continue
        with np.errstate(invalid="ignore", over="ignore"):
            off = np.abs(truth.sampled(value).astype(np.float64) - truth.sample)
        error = float(np.max(off, initial=0.0, where=np.isfinite(off)))
        channels = truth.channels
        if channels is not None:
            channels = np.vstack([channels[:-1], np.maximum(channels[-1:], error)])
        truths[name] = replace(truth, noise_floor=max(truth.noise_floor, error / truth.scale), channels=channels)
    return replace(reference, truths=truths)


def _made_for(recorded: Sequence[Reference], graph: Float64Graph, values: SourceValues) -> list[Reference]:
    """Return the inputs that the ranges of a quantized file were chosen for: all, if they are the user's own.

    Of those that were drawn it is the one of which most is left: a file that was calibrated on photos clips noise, and
    one that was calibrated on noise clips photos. A wrong range, scale or zero point shows on either.
    """
    drawn = [each for each in recorded if each.name in DRAWN]
    if not drawn:
        return list(recorded)

    def kept(reference: Reference) -> float:
        right = values.of(reference.name, list(reference.truths))
        lost = [
            float(np.mean(np.square(value - right[name]))) / max(float(np.mean(np.square(right[name]))), _TINY)
            for name, value in graph.walk(reference.inputs, right)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        ]
        # The median, which no single fault moves.
        return -float(np.median(lost)) if lost else 0.0

    return [max(drawn, key=kept)]


_TINY = float(np.finfo(np.float32).tiny)
