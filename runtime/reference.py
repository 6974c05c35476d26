"""The reference inside an artifact: a recorded input, the float64 truth of each output, and its noise floor.

Both sides of the format stand here, `export` calls the writing half. What is compared with it is `comparison.py`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveFloat, TypeAdapter

from .errors import ArtifactError, first_line

__all__ = ["SAMPLE_LIMIT", "Reference", "Truth", "load_reference", "sample", "save_reference"]

SAMPLE_LIMIT = 65_536
"""Elements kept of an output; a smaller output is kept whole."""


@dataclass(frozen=True)
class Truth:
    """What is known of one output for the recorded input."""

    sample: NDArray[np.float64]
    """`sample(tensor)` of the float64 result."""
    shape: tuple[int, ...]
    """Of the whole tensor."""
    scale: float
    """The largest absolute value of the whole float64 tensor (1 if that is 0)."""
    noise_floor: float
    """Eager float32's largest absolute error on the sample, divided by `scale`."""
    nonfinite: int
    """How many elements of eager float32's whole tensor are NaN or infinite."""


@dataclass(frozen=True)
class Reference:
    """What eager PyTorch computes for a recorded input."""

    inputs: dict[str, NDArray[np.float32]]
    truths: dict[str, Truth]


class _Facts(BaseModel):
    """A `Truth` less its sample, as it stands in the file's metadata."""

    model_config = ConfigDict(allow_inf_nan=False)

    shape: tuple[NonNegativeInt, ...]
    scale: PositiveFloat
    noise_floor: NonNegativeFloat
    nonfinite: NonNegativeInt


_FACTS = TypeAdapter(dict[str, _Facts])


def sample(tensor: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return at most `SAMPLE_LIMIT` elements of the tensor, flat, always from the same positions.

    One element is taken from each of `SAMPLE_LIMIT` equal stretches, at a place in it that follows the golden ratio:
    every channel and row is met, and no period of the layout is hit or missed throughout, as with a fixed stride.
    """
    flat = tensor.reshape(-1)
    if flat.size <= SAMPLE_LIMIT:
        return flat
    stretch = np.arange(SAMPLE_LIMIT, dtype=np.float64)
    positions = (stretch + (stretch * 0.6180339887498949) % 1.0) * (flat.size / SAMPLE_LIMIT)
    return flat[positions.astype(np.int64)]


def save_reference(file: Path, reference: Reference) -> None:
    """Write a reference as safetensors: `input:NAME` and `truth:NAME` tensors, the numbers in the metadata."""
    # save() writes the arrays' memory as it stands, hence contiguous; save_file() would make the file private (0600).
    from safetensors.numpy import save

    tensors: dict[str, NDArray[np.generic]] = {
        f"input:{name}": np.ascontiguousarray(array) for name, array in reference.inputs.items()
    }
    facts = {}
    for name, truth in reference.truths.items():
        tensors[f"truth:{name}"] = np.ascontiguousarray(truth.sample)
        facts[name] = _Facts(
            shape=truth.shape, scale=truth.scale, noise_floor=truth.noise_floor, nonfinite=truth.nonfinite
        )
    file.write_bytes(save(tensors, metadata={"layerprobe.reference": _FACTS.dump_json(facts).decode()}))


def load_reference(file: Path) -> Reference:
    """Read what `save_reference` wrote.

    Raises:
        ArtifactError: the file isn't a reference.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as opened:
            facts = _FACTS.validate_json(opened.metadata()["layerprobe.reference"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - it can't be iterated
        inputs = {key.removeprefix("input:"): tensor for key, tensor in tensors.items() if key.startswith("input:")}
        truths = {name: Truth(sample=tensors[f"truth:{name}"], **vars(fact)) for name, fact in facts.items()}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file} is not a reference: {first_line(error)}.\nExport the artifact again.") from error
    for name, truth in truths.items():
        if truth.sample.shape != (min(math.prod(truth.shape), SAMPLE_LIMIT),):
            raise ArtifactError(f"{file} is not a reference: the truth of {name} has another size than its shape says.")
    return Reference(inputs, truths)
