"""The MODEL of the command line -> a module, and what it is called with."""

import importlib
import importlib.util
import inspect
import keyword
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runtime.artifact.errors import ModelError, first_line
from runtime.artifact.file_reading import nothing_at

from . import variants
from .check import checked_model
from .example import Example, bind_example
from .source_places import place_of
from .submodule_calls import record_call
from .surroundings import random_state_kept

__all__ = ["ImageInput", "LoadedModel", "load_model", "loaded_module"]

_VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "cnn11": variants.CNN11,
    "cnn2": variants.CNN2,
    "cnn3": variants.CNN3,
}
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_FORMS = "cnn11, cnn2, cnn3, torchvision:resnet18, timm:NAME, path/to/file.py:factory or package.module:factory"

_SHOWN = 5


@dataclass(frozen=True)
class ImageInput:
    """How a photo becomes a model's input: torchvision's Resize, CenterCrop (to the example's size) and Normalize."""

    resize: int
    """The size that the shorter side is resized to, in pixels."""
    mean: tuple[float, ...]
    """Per channel, for pixels in 0 to 1."""
    std: tuple[float, ...]
    interpolation: str


_IMAGENET = ImageInput(256, _IMAGENET_MEAN, _IMAGENET_STD, "bilinear")
_IMAGE = (3, 224, 224)
"""What `_IMAGENET` describes, C H W."""


@dataclass(frozen=True)
class LoadedModel:
    """A model with fresh weights, and what it is called with: `module(*example, **kwargs)`."""

    name: str
    module: nn.Module
    example: tuple[Any, ...]
    """The positional arguments, as `build_probe` takes them."""
    kwargs: dict[str, Any]
    image: ImageInput | None
    """None unless the only tensor that the model is called with is an image, of one or three channels."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of its weights."""
    assumed_size: bool = False
    """Whether neither the model nor the user says how large its images are."""

    @property
    def call(self) -> Example:
        """The example bound to the module's signature.

        Raises:
            ModelError: it doesn't fit, or an argument is nothing that a probe takes.
        """
        return bind_example(self.module, self.example, self.kwargs)

    @contextmanager
    def telling_size(self) -> Iterator[None]:
        """Capture it in the block: where it fails on an image whose size was assumed, the error says so.

        Raises:
            ModelError: it fails.
        """
        try:
            yield
        except ModelError as error:
            if error.fails_on_input and self.assumed_size:
                size = " x ".join(map(str, self.example[0].shape[2:]))
                told = (
                    f"Images of {size} were assumed: --input-size (input_size=) says how large they are. For other "
                    "inputs, give `export` --input F.npy, or let the factory return the module and an example of them."
                )
                raise ModelError(f"{error}\n{told}") from error
            raise

    def called_with(self, example: Sequence[torch.Tensor] | Mapping[str, torch.Tensor]) -> "LoadedModel":
        """Return the model with another example: positional arguments, or arguments by keyword.

        Raises:
            ModelError: it doesn't fit the module's signature.
        """
        args, kwargs = ((), dict(example)) if isinstance(example, Mapping) else (tuple(example), {})
        return replace(_called_with(self.name, self.module, args, kwargs), notes=self.notes)

    def submodule(self, path: str) -> "LoadedModel":
        """Return the part of the model at `path`, and what the model calls it with.

        Raises:
            ModelError: there is no such part, it isn't called, or not with what a probe takes.
        """
        whole = self.call
        part, call = record_call(self.module, path, whole)
        same_input = [(tensor.shape, tensor.dtype) for tensor in call.tensors] == [
            (tensor.shape, tensor.dtype) for tensor in whole.tensors
        ]
        args, kwargs = call.arguments(call.tensors)
        return LoadedModel(f"{self.name}/{path}", part, args, kwargs, self.image if same_input else None)


def load_model(
    name: str, seed: int = 0, input_size: Sequence[int] = (), default_size: Sequence[int] = ()
) -> LoadedModel:
    """Return the model called `name`, its fresh weights drawn from `seed` (the global generators are unaffected).

    Args:
        name: `cnn11`, `cnn2`, `cnn3`, `torchvision:NAME`, `timm:NAME`, `path/to/file.py:factory` or
            `package.module:factory`. The factory takes no arguments and returns a module, or a module and what it is
            called with: one argument, a tuple of arguments, or a dictionary of them by keyword (see `build_probe`; a
            list is one argument). It may also be a module itself. Nothing is downloaded.
        seed: of the fresh weights.
        input_size: height and width of the input, in pixels, or channels, height and width; by default those that the
            model was made for.
        default_size: likewise, where neither `input_size` nor the factory's own example says it.

    Raises:
        ModelError: there is no such model, or building it fails.
    """
    source, _, rest = name.rpartition(":")
    wanted = input_size or default_size
    with random_state_kept():
        torch.manual_seed(seed)
        if name in _VARIANTS:
            size = variants.IMAGE_SIZE
            image = ImageInput(size, _IMAGENET_MEAN, _IMAGENET_STD, "bilinear")
            return _with_image(name, _VARIANTS[name]().eval(), (3, size, size), image, wanted)
        if source == "torchvision":
            return _from_torchvision(rest, wanted)
        if source == "timm":
            return _from_timm(rest, wanted)
        if source and rest.isidentifier():
            return _from_factory(name, _find_factory(source, rest), input_size, default_size)
        if name.rstrip(":").endswith(".py"):
            raise _without_factory(name.rstrip(":"))
    if (Path(name) / "manifest.json").is_file():
        told = f"{name} is an artifact, not a model: `run`, `grid` and `verify` take it."
        raise ModelError(f"{told}\nA model is {_FORMS}.")
    near = get_close_matches(name, [*_VARIANTS, "torchvision:", "timm:"], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ModelError(f"There is no model {name!r}.{hint}\nA model is {_FORMS}.")


def _with_image(
    name: str, module: nn.Module, shape: tuple[int, int, int], image: ImageInput, input_size: Sequence[int]
) -> LoadedModel:
    """Return the model with an image of `input_size`, or of `shape` (C H W), the one that `image` describes."""
    channels, height, width = (*shape[: 3 - len(input_size)], *input_size)
    example = _blank(1, channels, height, width)
    # With another input size the photo keeps its margin around the crop, scaled by the longer side, so that the resized
    # photo covers a crop in portrait and in landscape.
    resize = round(image.resize * max(height, width) / max(shape[1:]))
    if channels not in (1, 3):
        return LoadedModel(name, module, (example,), {}, None)
    if channels != len(image.mean):
        # A grey image stays in 0 to 1, and so does a colour image for a model made for grey ones.
        image = replace(image, mean=(0.0,) * channels, std=(1.0,) * channels)
    return LoadedModel(name, module, (example,), {}, replace(image, resize=resize))


def _blank(*shape: int) -> torch.Tensor:
    try:
        return torch.zeros(shape)
    except (RuntimeError, TypeError, OverflowError) as error:
        # torch's own messages are about its allocator, or the line of C++ that a number was too large for.
        sizes = " x ".join(str(size) if size < 10**9 else f"{size:.0e}" if size < 10**300 else "..." for size in shape)
        raise ModelError(f"An input of {sizes} doesn't fit into memory: choose a smaller --input-size.") from error


def _from_torchvision(name: str, input_size: Sequence[int]) -> LoadedModel:
    models = _import_zoo("torchvision.models", "torchvision")
    if name not in models.list_models():
        raise _unknown("torchvision", name, models.list_models())
    builder = models.get_model_builder(name)
    options: dict[str, Any] = {"weights": None}
    if "weights_backbone" in str(builder.__doc__):
        options["weights_backbone"] = None
    transforms = models.get_model_weights(name).DEFAULT.transforms()
    crop = getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None) or [224]
    if "vision_transformer" in builder.__module__:
        # Made for one size; the default is not always that of the weights (vit_h_14: 518).
        options["image_size"] = (input_size or crop)[-1]
    full_name = f"torchvision:{name}"
    module = _call_factory(full_name, lambda: models.get_model(name, **options))
    if "optical_flow" in builder.__module__:
        frames = _blank(2, 1, 3, *(input_size or (128, 128))[-2:])
        return LoadedModel(full_name, module, tuple(frames), {}, None)
    if "video" in builder.__module__:
        return LoadedModel(full_name, module, (_blank(1, 3, 16, *(input_size or (crop[0], crop[-1]))[-2:]),), {}, None)
    image = ImageInput(
        (getattr(transforms, "resize_size", None) or crop)[0],
        tuple(getattr(transforms, "mean", _IMAGENET_MEAN)),
        tuple(getattr(transforms, "std", _IMAGENET_STD)),
        transforms.interpolation.value if hasattr(transforms, "interpolation") else "bilinear",
    )
    return _with_image(full_name, module, (3, crop[0], crop[0]), image, input_size)


def _from_timm(name: str, input_size: Sequence[int]) -> LoadedModel:
    timm = _import_zoo("timm", "timm")
    if not timm.is_model(name):
        raise _unknown("timm", name, timm.list_models())
    module = _call_factory(f"timm:{name}", lambda: timm.create_model(name, pretrained=False))
    return _with_image(f"timm:{name}", module, *_image_of_timm(module), input_size)


def _image_of_timm(module: nn.Module) -> tuple[tuple[int, int, int], ImageInput]:
    config = _import_zoo("timm.data", "timm").resolve_data_config({}, model=module)
    channels, height, width = config["input_size"]
    resize = round(max(height, width) / config["crop_pct"])
    image = ImageInput(resize, tuple(config["mean"]), tuple(config["std"]), config["interpolation"])
    return (channels, height, width), image


def _from_factory(
    name: str, factory: Callable[[], object], input_size: Sequence[int], default_size: Sequence[int]
) -> LoadedModel:
    made = _call(name, factory)
    if isinstance(made, tuple | list) and made and isinstance(made[0], nn.Module):
        if len(made) != 2:
            raise ModelError(
                f"{name} returned a module and {len(made) - 1} other values: return (model, (argument, argument)), or "
                'by keyword (model, {"name": argument}).'
            )
        module, given = made
    else:
        module, given = made, None
    if not isinstance(module, nn.Module):
        raise _no_module(name, module)
    module = checked_model(module)
    if given is None:
        return loaded_module(name, module, input_size or default_size)
    if input_size:
        raise ModelError(f"{name} brings its own example input: omit --input-size.")
    # A named tuple is one argument, as a list is.
    args, kwargs = ((), given) if isinstance(given, dict) else (given if type(given) is tuple else (given,), {})
    return _called_with(name, module, args, kwargs)


def _called_with(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LoadedModel:
    loaded = LoadedModel(name, module, args, kwargs, None)
    first, *others = loaded.call.tensors
    # Preprocessing turns an image into floats.
    if others or first.ndim != 4 or first.shape[1] not in (1, 3) or not first.is_floating_point():
        return loaded
    like_image = _with_image(name, module, _IMAGE, _IMAGENET, first.shape[1:])
    return replace(like_image, example=args, kwargs=kwargs)


def loaded_module(name: str, module: nn.Module, input_size: Sequence[int] = ()) -> LoadedModel:
    """Return a module that comes without an example, called with an image on its device and in its dtype.

    The image is what the module itself says (timm's models, torchvision's vision transformers), or as ImageNet's are.
    """
    convolutions = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    channels = next((part.in_channels for part in convolutions), 3)
    shape, image = (channels, *_IMAGE[1:]), _IMAGENET
    if isinstance(getattr(module, "pretrained_cfg", None), dict):
        shape, image = _image_of_timm(module)
    own = getattr(module, "image_size", None)
    size = input_size or ((own, own) if isinstance(own, int) else ())
    loaded = _with_image(name, module, shape, image, size)
    weight = next((each for each in module.parameters() if each.is_floating_point()), torch.empty(0))
    example = tuple(each.to(weight.device, weight.dtype) for each in loaded.example)
    return replace(loaded, example=example, assumed_size=not size and image is _IMAGENET)


def _import_zoo(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(f"{package} can't be imported ({error}): pip install {package}") from error


def _unknown(zoo: str, name: str, known: list[str]) -> ModelError:
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"The nearest: {', '.join(near)}." if near else f"It has {len(known)} models, such as {known[0]}."
    return ModelError(f"{zoo} has no model {name!r}. {hint}")


def _no_module(name: str, made: object) -> ModelError:
    return ModelError(f"{name} returned {_kind(made)}, not a torch.nn.Module.")


def _kind(value: object) -> str:
    """`an int`, `a Tensor`."""
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIO' else 'a'} {kind}"


def _without_factory(source: str) -> ModelError:
    names = _factories(_import_source(source))
    has = f"It has: {_examples(names)}." if names else "It has no functions and no module classes."
    example = f", for example {source}:{names[0]}" if names else ""
    return ModelError(f"{source} needs a factory: {source}:NAME{example}.\n{has}")


def _factories(module: Any) -> list[str]:
    """Return what can make a model or is one: a Python module's own functions first, then its classes and models."""
    found: tuple[list[str], list[str]] = ([], [])
    for name, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__
        if name.startswith("_"):
            continue
        if own and inspect.isfunction(value):
            found[0].append(name)
        elif isinstance(value, nn.Module) or (own and inspect.isclass(value) and issubclass(value, nn.Module)):
            found[1].append(name)
    return [*found[0], *found[1]]


def _examples(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _find_factory(source: str, factory: str) -> Callable[[], object]:
    module = _import_source(source)
    if not hasattr(module, factory):
        names = _factories(module)
        near = get_close_matches(factory, names, n=3, cutoff=0.5)
        hint = f"The nearest: {', '.join(near)}." if near else f"It has: {_examples(names) or 'none'}."
        raise ModelError(f"{source} has no factory {factory!r}. {hint}")
    found = getattr(module, factory)
    if isinstance(found, nn.Module):
        return lambda: found
    if not callable(found):
        raise ModelError(f"{source}:{factory} is {_kind(found)}: name a function that returns a model, or a model.")
    return found  # type: ignore[no-any-return]


def _import_source(source: str) -> Any:
    try:
        return _import_file(Path(source)) if source.endswith(".py") else _import_package(source)
    except ModelError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{source} can't be imported: {type(error).__name__}: {first_line(error)}") from error


def _import_file(file: Path) -> Any:
    if not file.is_file():
        raise ModelError(nothing_at(file, "file"))
    # The file may import its neighbours, as when run as a script.
    sys.path.insert(0, str(file.parent.resolve()))
    name = _module_name(file)
    spec = importlib.util.spec_from_file_location(name, file.absolute())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered for code that looks up its own module (dataclasses, pickle).
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_name(file: Path) -> str:
    """The name that a file is imported as: the same each time, and no other module's.

    It is an identifier whatever the file is called, since TorchScript writes it into its programs.
    """
    stem = re.sub(r"\W|^(?=\d)", "_", file.stem, flags=re.ASCII)
    names = (stem, *(f"{stem}_{number}" for number in range(2, len(sys.modules) + 2)))
    free = (name for name in names if name not in sys.modules and not keyword.iskeyword(name))
    again = (name for name in names if getattr(sys.modules.get(name), "__file__", None) == str(file.absolute()))
    return next(again, None) or next(free)


def _import_package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(f"There is no module {name!r} ({error}).\nA model is {_FORMS}.") from error


def _call_factory(name: str, factory: Callable[[], object]) -> nn.Module:
    module = _call(name, factory)
    if not isinstance(module, nn.Module):
        raise _no_module(name, module)
    return module.eval()


def _call(name: str, factory: Callable[[], object]) -> object:
    try:
        return factory()
    except (Exception, SystemExit) as error:
        place = place_of(error)
        raise ModelError(f"Building {name} failed{place}: {type(error).__name__}: {first_line(error)}") from error
