"""lp.show: a model and a photo -> the picture of its feature maps, in one step."""

from collections.abc import Sequence
from typing import Any

from .artifact.manifest import Preprocessing
from .drawn_model import opened_to_draw
from .maps.grid_style import DEFAULT_STYLE, GridStyle
from .maps.picture import Picture
from .runs.photo_input import photo_name
from .runs.photo_maps import PhotoRun
from .runs.photo_pages import Selection, photo_pages, picture_title

__all__ = ["show"]

_OF_MODELS = ("weights", "seed", "submodule", "capture", "leaf", "mean", "std")
"""The choices that are none of `GridStyle`."""


def show(
    model: Any,
    photo: Any,
    outputs: str | Sequence[str] = (),
    *,
    operations: str | Sequence[str] = (),
    depth: int | None = None,
    channels: str | None = None,
    top: int | None = None,
    page: int | None = None,
    show_photo: bool = True,
    title: str | None = None,
    input_size: int | Sequence[int] = (),
    preprocessing: Preprocessing | None = None,
    style: GridStyle = DEFAULT_STYLE,
    **choices: Any,
) -> Picture:
    """Draw the feature maps of a photo in a model, as `layerprobe grid` does; a notebook shows the picture.

        lp.show(torchvision.models.resnet18(weights="DEFAULT"), "photo.jpg", depth=2).save("maps.png")

    Args:
        model: a `torch.nn.Module`, which stays untouched, its probe, an artifact or its path, an ONNX file, or a
            model's name: `torchvision:resnet18`, `net.py:make`.
        photo: an image file, a picture of Pillow's, pixels (uint8, H W, H W C or C H W), a tensor that is preprocessed
            already (N C H W, of which the first image is drawn), or a model's inputs by name.
        outputs: names, module paths, or globs of both; all if empty.
        operations: labels, or globs of them; any if empty.
        depth: only the last output of each block, of the modules so deep.
        channels: an output, of which every channel is drawn instead.
        top: of its channels those that vary most over the image.
        page: which of the picture's `pages`, from 1 on; by default, of more tiles than a page holds, those of blocks.
        show_photo: whether the first tile is the photo as the model sees it.
        title: a line above the grid; by default the model and the photo.
        input_size: height and width in pixels; by default the model's own, or 224.
        preprocessing: how the photo becomes a PyTorch model's input; by default as for `layerprobe export`, and
            for a module as for ImageNet.
        style: how it is to look.
        choices: fields of `GridStyle` by name, as `reduce="pca"`; and of a PyTorch model `weights`, `seed` and
            `submodule` for a name, `capture` and `leaf` as of the command.

    Raises:
        LayerprobeError: the model can't be captured or run, the photo can't be read, or a choice doesn't exist.
    """
    made = {name: choices.pop(name) for name in _OF_MODELS if name in choices}
    style = style.but(**choices)
    patterns, labels = ([each] if isinstance(each, str) else list(each) for each in (outputs, operations))
    selection = Selection(patterns, labels, depth, channels, top, show_photo, overview=page is None)
    selection.check(style)
    size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
    with opened_to_draw(model, photo, size=size, preprocessing=preprocessing, choices=made) as drawn:
        if title is None:
            title = picture_title(drawn.artifact.manifest, photo_name(photo, ""), made.get("weights"))
        run = PhotoRun(drawn.artifact, photo, drawn.open_runner, drawn.size)
        pages = photo_pages(run, selection, style, title)
    return pages.picture(page or 1)
