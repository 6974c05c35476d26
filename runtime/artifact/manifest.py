"""The artifact's contract, format version 1: what `export` writes and `runtime` relies on.

Only the format's data types are here. Reading and checking the files is in `folder.py`.
"""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from .consistency import check_inputs_listed, check_outputs_listed, check_results_listed
from .errors import ArtifactError, UsageError
from .showing import ShowsOutputs, shape_words
from .versioned_json import Line, read_versioned

__all__ = [
    "AVERAGED_FILES",
    "AVERAGED_MANIFEST_FILE",
    "CHANNEL_AXIS",
    "FORMAT_VERSION",
    "MANIFEST_FILE",
    "METADATA_KEY",
    "NODE_STEP_KEY",
    "ONNX_FILE",
    "OPERATIONS_FILE",
    "REFERENCE_FILE",
    "SIZE_NODE_PREFIX",
    "TEST_PHOTO_FILE",
    "TEST_VECTORS_FILE",
    "TORCHSCRIPT_FILE",
    "TORCH_EXPORT_FILE",
    "Candidate",
    "Constant",
    "Dimension",
    "Input",
    "Interpolation",
    "Manifest",
    "Normalisation",
    "Origin",
    "Output",
    "Preprocessing",
    "Recipe",
    "Skipped",
    "TokenGrid",
    "Versions",
    "fixed_batch",
    "has_map",
    "is_library_model",
    "leading_input",
    "parse_manifest",
]

FORMAT_VERSION: Final = 1
MANIFEST_FILE = "manifest.json"
ONNX_FILE = "model.onnx"
TORCH_EXPORT_FILE = "model.pt2"
TORCHSCRIPT_FILE = "model.torchscript.pt"
REFERENCE_FILE = "reference.safetensors"
OPERATIONS_FILE = "operations.json"
"""What the ONNX nodes of each output were when they were exported (`onnx_nodes.py`). The averaged probe has no such
record: between its outputs lies the whole model."""
TEST_PHOTO_FILE = "test_photo.png"
TEST_VECTORS_FILE = "test_vectors.safetensors"
"""What the test photo's pixels must become, so that preprocessing in another language can be checked."""
AVERAGED_MANIFEST_FILE = "averaged.json"
"""The averaged probe's own manifest, beside that of the full one."""
AVERAGED_FILES = {
    ONNX_FILE: "averaged.onnx",
    TORCHSCRIPT_FILE: "averaged.torchscript.pt",
    REFERENCE_FILE: "averaged.safetensors",
}
"""The averaged probe's file names, by the full probe's."""
SIZE_NODE_PREFIX = "size::"
"""Prefix in the name of each ONNX node whose results are integers or booleans: it computes on sizes."""
NODE_STEP_KEY = "layerprobe.name"
"""Key of the model's step in each ONNX node's `metadata_props`; a node that another tool inserted has none."""
METADATA_KEY = "layerprobe.manifest"
"""Key of the manifest (less its hashes) in the ONNX file's `metadata_props`."""

Dimension = NonNegativeInt | str
"""A size, or a symbol such as `N` (batch), which stands for any size."""
Constant = bool | int | float | Line | None
"""An argument of the model that is no tensor."""
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
"""Pillow's filters, by torchvision's names."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Pixels = Annotated[int, Field(ge=1, le=2**20)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=200)]
"""A file in the folder itself: no path points outside an artifact."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Input(_Entry):
    """One tensor that the model is called with."""

    name: Line
    shape: tuple[Dimension, ...]
    """`("N", 3, 64, 64)`: a symbol where any size fits; `()` for a scalar."""
    dtype: Line
    """NumPy's name, `float32`, or `bfloat16`, which NumPy doesn't have."""

    @property
    def described(self) -> str:
        """`x (N x 3 x 64 x 64, float32)`."""
        return f"{self.name} ({shape_words(self.shape)}, {self.dtype})"


def leading_input(shapes: Sequence[Sequence[Dimension]]) -> int | None:
    """Return which input's first axis is the batch: the first input of three or more axes, an image or a feature, else
    the first that has an axis; None if none has.
    """
    ranked = [(len(shape) < 3, index) for index, shape in enumerate(shapes) if len(shape)]
    return min(ranked)[1] if ranked else None


def fixed_batch(inputs: Sequence[Input]) -> int | None:
    """Return the only batch that a model takes; None if it is open."""
    # If any is open, another's fixed first axis is no batch: it may be a table's, or hold one factor per channel.
    if any(each.shape[:1] == ("N",) for each in inputs):
        return None
    leading = leading_input([each.shape for each in inputs])
    batch = 1 if leading is None else inputs[leading].shape[0]
    return batch if isinstance(batch, int) else None


class Normalisation(_Entry):
    """What makes numbers around 0 of pixels: (pixel / 255 - mean) / std."""

    mean: list[Annotated[float, Field(ge=-1e6, le=1e6)]]
    """Per channel, in units of the scaled image (0 to 1)."""
    std: list[Annotated[float, Field(gt=1e-7, le=1e6)]]

    @model_validator(mode="after")
    def _channels_agree(self) -> Self:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ValueError(f"mean has {len(self.mean)} channels and std {len(self.std)}: both need 1 or 3")
        return self


class Preprocessing(_Entry):
    """How a photo becomes the input: torchvision's Resize, CenterCrop, ToTensor, Normalize, in this order."""

    resize: Pixels
    """Pixels that the shorter side is resized to."""
    crop: tuple[Pixels, Pixels]
    """Height and width of the centre crop."""
    mean: list[Annotated[float, Field(ge=-1e6, le=1e6)]] | None
    """As of `Normalisation`; None where the model itself normalises: its input is the cropped pixels, uint8."""
    std: list[Annotated[float, Field(gt=1e-7, le=1e6)]] | None
    interpolation: Interpolation = "bilinear"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Where the model's input has its channels."""
    in_model: Normalisation | None = None
    """What the model itself does, where `mean` and `std` are None."""

    @model_validator(mode="after")
    def _normalised_once(self) -> Self:
        if (self.mean is None, self.std is None) != (self.in_model is not None,) * 2:
            raise ValueError("mean and std are given, or else in_model has them")
        if self.mean is not None and self.std is not None:
            Normalisation(mean=self.mean, std=self.std)
        return self

    @property
    def normalisation(self) -> Normalisation:
        """The mean and std, whether or not the model applies them itself."""
        return self.in_model or Normalisation(mean=self.mean or [], std=self.std or [])

    def on_pixels(self) -> "Preprocessing":
        """Return what is left to do for the model that normalises by itself."""
        steps = {"mean": None, "std": None, "layout": "NHWC", "in_model": self.normalisation}
        return self.model_copy(update=steps)

    @property
    def depth(self) -> int:
        """How many channels the pixels have: 1 is grey, 3 is RGB."""
        return len(self.normalisation.mean)


@pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TokenGrid:
    """How the tokens of an N L C tensor lie in the image: L = before + height * width + after."""

    before: Count
    """Tokens ahead of the patches: class and register tokens."""
    height: Positive
    """Patches, row by row."""
    width: Positive
    after: Count

    @property
    def count(self) -> int:
        """The length L."""
        return self.before + self.height * self.width + self.after


CHANNEL_AXIS = {"NCHW": 1, "NHWC": 3, "NLC": 2}
"""The layouts with a map, a height and a width, each with the axis of its channels; NLC only with a `TokenGrid`."""


def has_map(layout: str, tokens: TokenGrid | None) -> bool:
    """Return whether a tensor has a height and a width: as axes, or as the known grid of its tokens."""
    return layout in CHANNEL_AXIS and (layout != "NLC" or tokens is not None)


class Origin(_Entry):
    """A step of the model: its name, its operation, and where in the source it is."""

    name: Line
    """As in `torchvision.models.feature_extraction.get_graph_node_names`: `layer1.0.conv1`, `layer1.0.add`. Blocks of
    `torchvision.ops`, which that function doesn't trace into by default, are named by the same rule."""
    label: Line
    """The operation's short name: `Conv2d`, `relu`, `add`."""
    operation: Line
    """Its full name: `torch.nn.modules.conv.Conv2d`, `torch.flatten`."""
    module_path: Line
    """The module it ran in (`layer1.0`), or the leaf module itself (`layer1.0.conv1`); empty for the model itself."""
    source_file: Line | None
    """Relative to its import path (`torchvision/models/resnet.py`), so that it is meaningful on another machine; None
    if no code of the model's own called the operation, as in a bare `nn.Sequential`."""
    source_line: Count | None

    @property
    def source(self) -> str | None:
        """`net.py:7`, if known."""
        return f"{self.source_file}:{self.source_line}" if self.source_file else None

    @property
    def located(self) -> str:
        """The name and the source line: `conv1 (net.py:7)`."""
        return f"{self.name} ({self.source})" if self.source else self.name


class Output(Origin):
    """One named tensor of the probe."""

    shape: tuple[Dimension, ...]
    """`("N", 64, 32, 32)`: a symbol where the size follows the batch."""
    dtype: Line
    """NumPy's name, `float32`, or `bfloat16`, which NumPy doesn't have."""
    layout: Line
    """One letter per axis: `NCHW`, `NHWC`, `NLC`, `NC`; `?` for an unknown axis."""
    tokens: TokenGrid | None = None
    """How the tokens lie in the image, if the axis L holds its patches."""
    averaged: Positive | None = None
    """Of how many channels it is the mean, N 1 H W, in an averaged probe; None for a tensor itself."""
    alias_of: Line | None
    """An earlier output, or input, whose memory holds all of this one, with no write in between (views, dropout in
    eval mode)."""
    computed_by: Line | None = None
    """In a candidate: the node that computes it there, `Conv 'stem/conv'`."""

    @property
    def has_map(self) -> bool:
        """Whether it has a height and a width: as axes, or by its tokens' known positions in the image."""
        return has_map(self.layout, self.tokens)


class Skipped(_Entry):
    """A step of the model that is not an output, and why."""

    name: Line
    reason: Line


class Candidate(_Entry):
    """What is known of an ONNX file that is judged against another model, its source, whose names the outputs have."""

    source: Line
    """The source's model."""
    precision: Literal["float32", "float16", "bfloat16", "integers"] = "float32"
    """What it computes in; `integers` of 8 bits, wholly or in parts. Only float32 is judged by float32's rule."""
    matched: Count
    """How many of the source's outputs the file computes."""
    fused: dict[Line, Line] = {}
    """The source's outputs that the file doesn't compute by themselves (a convolution in its batch norm, dropout), each
    with the nearest one after it that it does."""
    unmatched: tuple[Line, ...] = ()
    """The source's outputs that were not found, and aren't fused into any that was."""
    extra: tuple[Line, ...] = ()
    """The file's tensors that are none of the source's."""
    lacks: tuple[Line, ...] = ()
    """The source's results that the file doesn't compute, where it ends earlier or in something else."""
    returns: tuple[Line, ...] = ()
    """The nodes of the file whose results it returns, though they are none of the source's outputs."""
    given: Line | None = None
    """What the file is given in place of the source's input, if not the same."""


class Versions(_Entry):
    """The versions that wrote the artifact."""

    layerprobe: Line
    torch: Line | None
    """None where the model is an ONNX file."""
    onnx: Line
    opset: Count


def is_library_model(name: str) -> bool:
    """Return whether a model's name means one of torchvision, timm or layerprobe, not code of the user's."""
    return name in ("cnn11", "cnn2", "cnn3") or name.startswith(("torchvision:", "timm:"))


class Recipe(_Entry):
    """How `layerprobe export` built the model, so that it can be rebuilt where its source is available."""

    model: Line
    """As given: `torchvision:resnet18`."""
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    """Of the fresh weights."""
    weights_file: bool = False
    """Whether the weights came from a file, which the artifact doesn't name."""
    submodule: Line | None = None
    input_size: list[Pixels] = []
    """As given: none, height and width, or channels, height and width."""
    leaf_modules: list[Line] = []
    """The classes whose modules stay whole, as given."""

    @property
    def fresh_weights(self) -> bool:
        """Whether the weights are known to be random, from `seed`: a factory may have loaded trained ones."""
        return is_library_model(self.model) and not self.weights_file


class Manifest(ShowsOutputs, _Entry):
    """Everything that a runtime needs to know about an artifact, without the model's Python source."""

    format_version: Literal[1]
    model: Line
    files: dict[FileName, Sha256]
    """File to hash. Empty in the copies inside the model files."""
    left_out: dict[FileName, Line] = {}
    """Files that this model could not be exported to, each with the reason."""
    recipe: Recipe | None = None
    """None where the model was exported from Python."""
    weights: Sha256 | None = None
    """Of the weights: shows whether a live model is the one that was exported."""
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    constants: dict[Line, Constant] = {}
    """The arguments that are part of the model here, by name: None, flags, numbers, strings."""
    preprocessing: Preprocessing | None
    """None where the model's input isn't an image."""
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    results: Annotated[dict[Line, Line], Field(min_length=1)]
    """What the model itself returns: path in its return value (empty for a lone tensor) to the output's name."""
    skipped: tuple[Skipped, ...]
    capture: Literal["trace", "export", "onnx"]
    """How the graph was made: by symbolic tracing (torch.fx), by torch.export, or by the maker of the ONNX file that is
    the model."""
    candidate: Candidate | None = None
    """None unless it is of a file that is judged against another model."""
    capture_reason: Line | None = None
    """Why symbolic tracing wasn't used, if the choice was automatic; what had to be put right in an ONNX file."""
    versions: Versions

    @model_validator(mode="after")
    def _names_are_sound(self) -> "Manifest":
        check_inputs_listed(self.inputs)
        check_outputs_listed(self.outputs, [entry.name for entry in self.inputs])
        check_results_listed(self.results, self.output_names)
        return self

    @property
    def title(self) -> str:
        """What it is called where it is shown: of a factory in a file, without the file's folder."""
        file, _, factory = self.model.rpartition(":")
        return f"{PurePath(file).name}:{factory}" if file.endswith(".py") else self.model

    def image_input(self, size: tuple[int, int] | None = None) -> tuple[str, Preprocessing]:
        """Return the name of the input that takes images, and how a photo is preprocessed for it.

        Args:
            size: height and width in pixels, instead of those that the model was exported with.

        Raises:
            ArtifactError: the artifact isn't for images.
            UsageError: the model doesn't take images of this size.
        """
        if self.preprocessing is None or len(self.inputs) != 1:
            takes = ", ".join(each.described for each in self.inputs)
            given = ", ".join(f"{each.name}=array" for each in self.inputs)
            raise ArtifactError(
                f"{self.model} was not exported for images; it takes {takes}.\n"
                f'`layerprobe run` takes them from a file: numpy.savez("F.npz", {given}) writes one.'
            )
        steps, entry = self.preprocessing, self.inputs[0]
        if size and size != steps.crop:
            first = steps.layout.index("H")
            if not all(isinstance(each, str) for each in entry.shape[first : first + 2]):
                raise UsageError(
                    f"{self.model} takes images of {steps.crop[0]} x {steps.crop[1]} only, not {size[0]} x {size[1]}.\n"
                    "Export it with --dynamic-size, if the model allows that, or with another --input-size."
                )
            # By the longer side, so that the resized photo covers the crop in portrait and in landscape.
            resize = round(steps.resize * max(size) / max(steps.crop))
            steps = steps.model_copy(update={"crop": size, "resize": resize})
        return entry.name, steps

    def sizes(self, batch: int) -> dict[str, int]:
        """Return the values of the symbolic sizes for a batch of images of the size that was exported."""
        height, width = self.preprocessing.crop if self.preprocessing else (224, 224)
        return {"N": batch, "H": height, "W": width}

    @property
    def dtypes(self) -> set[str]:
        """The dtypes of inputs and outputs."""
        return {entry.dtype for entry in self.inputs} | {entry.dtype for entry in self.outputs}

    @property
    def output_names(self) -> list[str]:
        """The outputs' names in the order of execution."""
        return [output.name for output in self.outputs]

    @property
    def result_names(self) -> list[str]:
        """The names of the outputs that the model itself returns, each once."""
        return list(dict.fromkeys(self.results.values()))


def parse_manifest(text: str | bytes, source: Path) -> Manifest:
    """Return the manifest that is written in JSON; `source` is the file that it is from, for messages.

    Raises:
        ArtifactError: it is not a valid manifest, or of another format version.
    """
    return read_versioned(Manifest, text, source, "a valid manifest", "Export the artifact again.")
