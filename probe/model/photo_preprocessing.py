"""A PyTorch model -> how a photo becomes its input, with the options `--mean` and `--std` of the command line."""

from collections.abc import Sequence

from pydantic import ValidationError

from runtime.artifact.errors import UsageError
from runtime.artifact.manifest import Preprocessing

from .loading import LoadedModel

__all__ = ["preprocessing_of"]


def preprocessing_of(
    loaded: LoadedModel, means: Sequence[float] | None = None, stds: Sequence[float] | None = None
) -> Preprocessing | None:
    """Return how a photo becomes the model's input, or None if its input isn't an image.

    Args:
        loaded: the model.
        means: per channel, for pixels in 0 to 1; the model's own by default.
        stds: likewise.

    Raises:
        UsageError: they don't fit the model.
    """
    image = loaded.image
    if image is None:
        if means or stds:
            raise UsageError(f"{loaded.name} isn't called with a single image: omit --mean and --std.")
        return None
    try:
        preprocessing = Preprocessing.model_validate(
            {
                "resize": image.resize,
                "crop": tuple(loaded.call.tensors[0].shape[2:]),
                "mean": means or image.mean,
                "std": stds or image.std,
                "interpolation": image.interpolation,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        where, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise UsageError(f"--mean and --std: {f'{where}: ' if where else ''}{what}.") from error
    if preprocessing.depth != len(image.mean):
        raise UsageError(
            f"{loaded.name} takes {len(image.mean)} channels: pass that many numbers for --mean and --std."
        )
    return preprocessing
