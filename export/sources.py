"""A model of any kind -> an artifact folder: what `runtime/model_source.py` makes one with for the moment."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli import model_at_work
from runtime.artifact.folder import Artifact
from runtime.artifact.onnx_file import is_onnx

if TYPE_CHECKING:
    from runtime.artifact.reference import Reference

    from .candidate.source_values import SourceValues

__all__ = ["write_artifact", "write_candidate_of", "write_onnx_probe"]


def write_artifact(
    model: str,
    folder: Path,
    *,
    inputs: Sequence[Path] = (),
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
    size: Sequence[int] = (),
    like: Path | None = None,
    weights: Path | None = None,
    seed: int = 0,
) -> None:
    """Write the artifact of a model, for `verify`.

    Args:
        model: an ONNX file, or a PyTorch model as `layerprobe export` takes it.
        folder: where it is written.
        inputs: files with the user's own inputs, recorded in place of those that are drawn.
        on_phase: called with the name of each phase as it starts.
        size: of the input image: none, height and width, or channels, height and width.
        like: an ONNX file, whose images' size is taken where nothing else says it.
        weights: a PyTorch model's weights file.
        seed: of its fresh weights.

    Raises:
        LayerprobeError: it can't be loaded, captured or written.
    """
    default_size: tuple[int, ...] = ()
    if like is not None:
        from probe.onnx_model.example import image_size
        from probe.onnx_model.reading import read_sound_model

        default_size = image_size(read_sound_model(like).model.graph)
    if is_onnx(model):
        from probe.onnx_model.loading import load_onnx

        from .onnx_artifact import export_onnx

        on_phase(f"reading {model}")
        loaded = load_onnx(model, inputs=inputs, size=size, default_size=default_size)
        export_onnx(
            loaded.probe,
            folder,
            preprocessing=loaded.preprocessing,
            reference_inputs=loaded.given,
            on_phase=on_phase,
        )
        return
    _write_model(model, folder, inputs, on_phase, size, default_size, weights=weights, seed=seed)


def write_onnx_probe(
    model: str | Path,
    file: Path,
    size: Sequence[int] = (),
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> tuple[str, ...]:
    """Write somebody's ONNX file with every value marked and its manifest inside, alone: for a picture.

    Args:
        model: the ONNX file.
        file: where it is written.
        size: of its images, where it leaves them open.
        mean: per channel, for photos.
        std: likewise.

    Returns:
        What had to be put right in the file.

    Raises:
        LayerprobeError: it can't be read, evaluated or written.
    """
    from probe.manifest_making import manifest_of
    from probe.onnx_model.loading import load_onnx

    from .onnx_artifact import write_onnx

    loaded = load_onnx(model, size=size, mean=mean, std=std)
    probe = loaded.probe
    write_onnx(probe.file, manifest_of(probe, probe.name, loaded.preprocessing, probe.opset), file)
    return tuple(f"{probe.name}: {note}" for note in probe.notes)


def write_candidate_of(
    file: Path,
    source: Artifact,
    folder: Path,
    on_phase: Callable[[str], None],
    given: "Sequence[Reference]" = (),
) -> "SourceValues":
    """Write the artifact of an ONNX file under the names of its source (`candidate/candidate_artifact.py`).

    Returns:
        What gives the source's whole tensors in the candidate's layout.

    Raises:
        LayerprobeError: it can't be read, or is of another model.
    """
    from .candidate.candidate_artifact import write_candidate

    return write_candidate(file, source, folder, on_phase, given)


def _write_model(
    model: str,
    folder: Path,
    inputs: Sequence[Path],
    on_phase: Callable[[str], None],
    size: Sequence[int],
    default_size: Sequence[int],
    *,
    weights: Path | None,
    seed: int,
) -> None:
    """Write a PyTorch model's artifact."""
    with model_at_work(quiet=True):
        # Imported here: PyTorch takes seconds, and ONNX files don't need it.
        from probe import build_probe
        from probe.model.chosen_model import load_chosen
        from probe.model.photo_preprocessing import preprocessing_of

        from . import export_artifact
        from .input_file import read_input_tensors

        loaded = load_chosen(model, seed=seed, input_size=size, default_size=default_size, weights=weights)
        with loaded.telling_size():
            probe = build_probe(loaded.module, *loaded.example, kwargs=loaded.kwargs)
        preprocessing = preprocessing_of(loaded)
        export_artifact(
            probe,
            folder,
            name=loaded.name,
            preprocessing=preprocessing,
            reference_inputs=read_input_tensors(inputs, probe, preprocessing),
            on_phase=on_phase,
        )
