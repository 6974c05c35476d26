"""A PyTorch model -> how a photo becomes its input, with the options `--mean` and `--std` of the command line."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from probe import LoadedModel
    from runtime.artifact.manifest import Preprocessing

__all__ = ["preprocessing_of"]


def preprocessing_of(
    loaded: "LoadedModel", means: list[float] | None = None, stds: list[float] | None = None
) -> "Preprocessing | None":
    """Return how a photo becomes the model's input, or None if its input isn't an image.

    Args:
        loaded: the model.
        means: per channel, for pixels in 0 to 1; the model's own by default.
        stds: likewise.

    Raises:
        BadParameter: they don't fit the model.
    """
    from pydantic import ValidationError

    from runtime.artifact.manifest import Preprocessing

    image = loaded.image
    if image is None:
        if means or stds:
            raise typer.BadParameter(f"{loaded.name} isn't called with a single image: omit --mean and --std")
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
        raise typer.BadParameter(f"{where}: {what}" if where else what) from error
    if len(preprocessing.mean) != len(image.mean):
        raise typer.BadParameter(f"{loaded.name} takes {len(image.mean)} channels: pass that many numbers for each")
    return preprocessing
