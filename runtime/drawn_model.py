"""A model of any kind -> what can be drawn: an artifact, or a model that is captured for one photo, and what runs it.

Nothing is exported for a picture: neither a reference nor the files of other runtimes are made. A PyTorch model needs
another package, which is imported only where there is one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact.by_name import load
from .artifact.errors import UsageError
from .artifact.folder import Artifact, open_artifact
from .artifact.manifest import Preprocessing, is_library_model
from .artifact.onnx_file import is_onnx
from .artifact.unfinished import scratch_folder
from .model_source import is_artifact
from .runners.base import Runner
from .runners.registry import open_image_runner
from .runs.photo_input import photo_inputs

__all__ = ["DrawnModel", "opened_to_draw", "runs_source"]

_OPEN_LIVE, _WRITE_ONNX = "probe.live_model:open_live", "export.sources:write_onnx_probe"
_TRAINED = "probe.model.weights:trained_weights"
_LIVE_RUNNER = "runtime.runners.eager:LiveRunner"
_OF_FILES = frozenset({"mean", "std"})
"""The choices of a model that an ONNX file has, too."""


@dataclass(frozen=True)
class DrawnModel:
    """What is run for a picture."""

    artifact: Artifact
    """Of a model that was captured for this picture, without files."""
    open_runner: Callable[[Artifact, Sequence[str] | None], Runner]
    """Opens the artifact, or its averaged probe, for some outputs; for None, whole."""
    size: tuple[int, int] | None = None
    """Height and width of the photo, instead of the artifact's."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of how the model was captured."""


def runs_source(model: str | Path) -> bool:
    """Return whether it names a PyTorch model, whose source is run."""
    return _names_model(model) and not is_onnx(model)


def _names_model(model: str | Path) -> bool:
    """Return whether a text names a model, or an ONNX file of anybody's, and not an artifact: what exists wins."""
    text = str(model)
    source, _, factory = text.rpartition(":")
    of_source = text.endswith(".py") or (len(source) > 1 and bool(factory))  # C:folder is a drive's
    known = is_library_model(text) or of_source or (is_onnx(text) and Path(text).is_file())
    return known and not is_artifact(model)


@contextmanager
def opened_to_draw(
    model: Any,
    photo: Any,
    *,
    runner: str = "onnx",
    provider: str = "auto",
    size: Sequence[int] = (),
    preprocessing: Preprocessing | None = None,
    choices: Mapping[str, Any] | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,  # noqa: ARG005
) -> Iterator[DrawnModel]:
    """Yield what a photo is drawn by.

    Args:
        model: an artifact or its path, an ONNX file, a model's name as `layerprobe export` takes it, or, as
            `open_live` takes them, a module or a probe in memory.
        photo: as of `photo_inputs`: a model is captured for it.
        runner: what executes an artifact: onnx or torchscript.
        provider: on what: auto, cuda or cpu.
        size: height and width of the photo, or of a PyTorch model channels, height and width.
        preprocessing: how a photo becomes a PyTorch model's input.
        choices: of a PyTorch model, those that were made: its weights and seed, as of `open_live`.
        on_phase: called with the name of each phase as it starts.

    Raises:
        UsageError: something is chosen that this kind of model doesn't have.
        LayerprobeError: the model can't be opened or captured, or the photo can't be read.
    """
    made = dict(choices or {}) | ({"preprocessing": preprocessing} if preprocessing else {})
    named = isinstance(model, str | Path)
    if isinstance(model, Artifact) or (named and not _names_model(model)):
        _refuse(made, "a model", f"{model.path if isinstance(model, Artifact) else model} is an artifact")
        artifact = open_artifact(model)
        yield DrawnModel(artifact, _opener(runner, provider), _height_and_width(size))
    elif named and is_onnx(model):
        _refuse({name: made[name] for name in made.keys() - _OF_FILES}, "a PyTorch model", f"{model} is an ONNX file")
        if runner != "onnx":
            raise UsageError(f"{model} is an ONNX file, which runs in ONNX Runtime: omit --runner.")
        on_phase("reading the ONNX file")
        with scratch_folder() as place:
            notes = load(_WRITE_ONNX)(model, place / "model.onnx", size, **made)
            yield DrawnModel(open_artifact(place / "model.onnx"), _opener(runner, provider), notes=notes)
    else:
        if runner != "onnx" or provider != "auto":
            option = "--provider" if provider != "auto" else "--runner"
            raise UsageError(f"A PyTorch model runs in PyTorch itself: omit {option}, or export the model first.")
        on_phase("loading the model")
        example = photo if isinstance(photo, Mapping) and not named else None
        live = load(_OPEN_LIVE)(str(model) if named else model, example=example, input_size=size, **made)
        inputs = photo_inputs(photo, live.inputs, live.preprocessing, live.name)
        on_phase("tracing")
        captured = live.captured(inputs)
        artifact = Artifact(Path(live.name), captured.manifest)

        def open_live(artifact: Artifact, names: Sequence[str] | None) -> Runner:
            opened: Runner = load(_LIVE_RUNNER)(artifact, captured.only, captured.sources, captured.device, names)
            return opened

        recipe = captured.manifest.recipe
        trained = load(_TRAINED)(recipe.model) if recipe is not None and recipe.fresh_weights else ""
        hint = (f"Random weights. For trained ones, download {trained} and give --weights FILE.",) if trained else ()
        yield DrawnModel(artifact, open_live, notes=(*captured.notes, *hint))


def _opener(runner: str, provider: str) -> Callable[[Artifact, Sequence[str] | None], Runner]:
    return lambda artifact, names: open_image_runner(artifact, runner, provider, outputs=names)


def _refuse(made: Mapping[str, Any], whose: str, what: str) -> None:
    if made:
        name = next(iter(made))
        raise UsageError(f"--{name} ({name}=) is for {whose}, and {what}: omit it.")


def _height_and_width(size: Sequence[int]) -> tuple[int, int] | None:
    if len(size) > 2:
        raise UsageError("An artifact has its channels: give height and width.")
    return (size[0], size[1]) if size else None
