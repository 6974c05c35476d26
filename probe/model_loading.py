"""The MODEL of the command line -> a module, with what is known of the images it wants."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import variants
from .errors import ModelError, first_line

__all__ = ["LoadedModel", "load_model"]

_VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "cnn11": variants.CNN11,
    "cnn2": variants.CNN2,
    "cnn3": variants.CNN3,
}
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_FORMS = "cnn11, cnn2, cnn3, torchvision:resnet18, timm:NAME, path/to/file.py:factory or package.module:factory"


@dataclass(frozen=True)
class LoadedModel:
    """A model with fresh weights, and the images it was made for."""

    name: str
    module: nn.Module
    input_size: int
    """Height and width of the input, in pixels."""
    resize: int
    """Pixels that a photo's shorter side is resized to before the crop to `input_size`."""
    mean: tuple[float, ...]
    """Per channel, of pixels in 0 to 1."""
    std: tuple[float, ...]
    interpolation: str


def load_model(name: str, seed: int = 0) -> LoadedModel:
    """Return the model called `name`, its fresh weights drawn from `seed` (torch's global generator stays as it was).

    Args:
        name: `cnn11`, `cnn2`, `cnn3`, `torchvision:NAME`, `timm:NAME`, `path/to/file.py:factory` or
            `package.module:factory`, where the factory takes no arguments and returns a module. Nothing is downloaded.
        seed: of the fresh weights.

    Raises:
        ModelError: there is no such model, or making it fails.
    """
    source, _, rest = name.rpartition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name in _VARIANTS:
            size = variants.IMAGE_SIZE
            return LoadedModel(name, _VARIANTS[name](), size, size, _IMAGENET_MEAN, _IMAGENET_STD, "bilinear")
        if source == "torchvision":
            return _from_torchvision(rest)
        if source == "timm":
            return _from_timm(rest)
        if source and rest.isidentifier():
            module = _call_factory(name, _find_factory(source, rest))
            return LoadedModel(name, module, 224, 256, _IMAGENET_MEAN, _IMAGENET_STD, "bilinear")
    near = get_close_matches(name, [*_VARIANTS, "torchvision:", "timm:"], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ModelError(f"There is no model {name!r}.{hint}\nA model is {_FORMS}.")


def _from_torchvision(name: str) -> LoadedModel:
    models = _import_zoo("torchvision.models", "torchvision")
    if name not in models.list_models():
        raise _unknown("torchvision", name, models.list_models())
    options: dict[str, Any] = {"weights": None}
    if "weights_backbone" in str(models.get_model_builder(name).__doc__):
        options["weights_backbone"] = None
    module = _call_factory(f"torchvision:{name}", lambda: models.get_model(name, **options))
    transforms = models.get_model_weights(name).DEFAULT.transforms()
    crop = getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None) or [224]
    resize = getattr(transforms, "resize_size", None) or crop
    return LoadedModel(
        f"torchvision:{name}",
        module,
        crop[0],
        resize[0],
        tuple(getattr(transforms, "mean", _IMAGENET_MEAN)),
        tuple(getattr(transforms, "std", _IMAGENET_STD)),
        transforms.interpolation.value if hasattr(transforms, "interpolation") else "bilinear",
    )


def _from_timm(name: str) -> LoadedModel:
    timm = _import_zoo("timm", "timm")
    if not timm.is_model(name):
        raise _unknown("timm", name, timm.list_models())
    module = _call_factory(f"timm:{name}", lambda: timm.create_model(name, pretrained=False))
    config = timm.data.resolve_data_config({}, model=module)
    size = config["input_size"][-1]
    resize = round(size / config["crop_pct"])
    return LoadedModel(
        f"timm:{name}",
        module,
        size,
        resize,
        tuple(config["mean"]),
        tuple(config["std"]),
        config["interpolation"],
    )


def _import_zoo(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(f"{package} can't be imported ({error}): pip install {package}") from error


def _unknown(zoo: str, name: str, known: list[str]) -> ModelError:
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"The nearest: {', '.join(near)}." if near else f"It has {len(known)}, such as {known[0]}."
    return ModelError(f"{zoo} has no model {name!r}. {hint}")


def _find_factory(source: str, factory: str) -> Callable[[], object]:
    try:
        module = _import_file(Path(source)) if source.endswith(".py") else _import_package(source)
    except ModelError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{source} can't be imported: {type(error).__name__}: {first_line(error)}") from error
    if not hasattr(module, factory):
        callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        near = get_close_matches(factory, callables, n=3, cutoff=0.3) or callables[:3]
        raise ModelError(f"{source} has no {factory!r}. It has: {', '.join(near) or 'nothing that can be called'}.")
    found = getattr(module, factory)
    if not callable(found):
        raise ModelError(f"{source}:{factory} is a {type(found).__name__}, not a function that returns a model.")
    return found  # type: ignore[no-any-return]


def _import_file(file: Path) -> Any:
    if not file.is_file():
        raise ModelError(f"There is no file {file}.")
    # The file may import its neighbours, as it could when run as a script.
    sys.path.insert(0, str(file.parent.resolve()))
    # A name of its own: the file may be called like a module that is there already.
    name = file.stem if file.stem not in sys.modules else f"{file.stem} of {file.parent}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered, for what looks its own module up (dataclasses, pickle).
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import_package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(f"There is no module {name!r} ({error}).\nA model is {_FORMS}.") from error


def _call_factory(name: str, factory: Callable[[], object]) -> nn.Module:
    try:
        module = factory()
    except (Exception, SystemExit) as error:
        raise ModelError(f"Making {name} failed: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{name} returned a {type(module).__name__}, not a torch.nn.Module.")
    return module
