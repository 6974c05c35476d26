"""ONNX file -> the same with the normalisation in it: it takes a photo's cropped pixels, uint8, N H W C.

As `probe/pixel_input.py` does it for a PyTorch model; the file's own values keep their names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from runtime.artifact.manifest import Normalisation, Preprocessing

from .reading import SoundModel
from .value_names import names_used, rename_values, unused_name

__all__ = ["on_pixels"]

_NAME = "normalised"
"""The value that the file's own nodes are given; those before it are called `normalised/...`."""


def on_pixels(sound: SoundModel, image: str, preprocessing: Preprocessing) -> SoundModel:
    """Return the model that normalises by itself.

    Args:
        sound: what was read of the file.
        image: its input that takes images.
        preprocessing: how a photo becomes that input.
    """
    model = ModelProto()
    model.CopyFrom(sound.model)
    graph = model.graph
    name = unused_name(_NAME, {each.partition("/")[0] for each in names_used(graph)})
    rename_values(graph, {image: name})
    (given,) = (value for value in graph.input if value.name == name)
    wanted = given.type.tensor_type.elem_type
    given.name = image
    _to_pixels(given, preprocessing)
    nodes = list(_nodes(image, name, preprocessing, wanted))
    constants = _constants(name, preprocessing)
    own = [*graph.node]
    del graph.node[:]
    graph.node.extend([*nodes, *own])
    graph.initializer.extend(constants)
    note = "mean and std were written into it: it takes a photo's cropped pixels"
    return replace(sound, model=model, notes=(*sound.notes, note))


def _to_pixels(given: ValueInfoProto, preprocessing: Preprocessing) -> None:
    """Make an input one of pixels, N H W C."""
    tensor = given.type.tensor_type
    tensor.elem_type = TensorProto.UINT8
    sizes = dict(zip(preprocessing.layout, tensor.shape.dim, strict=True))
    dims = [type(sizes["N"]).FromString(sizes[letter].SerializeToString()) for letter in "NHWC"]
    del tensor.shape.dim[:]
    tensor.shape.dim.extend(dims)


def _nodes(image: str, name: str, preprocessing: Preprocessing, wanted: int) -> Iterator[NodeProto]:
    """Yield the nodes that make the model's input of pixels, in the type that it wants."""
    steps: list[tuple[str, str, Sequence[str], dict[str, Any]]] = [("Cast", "float", (), {"to": TensorProto.FLOAT})]
    if preprocessing.layout == "NCHW":
        steps.append(("Transpose", "transposed", (), {"perm": [0, 3, 1, 2]}))
    steps += [
        ("Div", "scaled", (f"{name}/255",), {}),
        ("Sub", "centred", (f"{name}/mean",), {}),
        ("Div", "divided", (f"{name}/std",), {}),
    ]
    if wanted != TensorProto.FLOAT:
        steps.append(("Cast", "cast", (), {"to": wanted}))
    read = image
    for number, (operator, word, constants, attributes) in enumerate(steps, 1):
        made = name if number == len(steps) else f"{name}/{word}"
        yield helper.make_node(operator, [read, *constants], [made], f"/{name}/{word}", **attributes)
        read = made


def _constants(name: str, preprocessing: Preprocessing) -> list[TensorProto]:
    steps: Normalisation = preprocessing.normalisation
    shape = (-1, 1, 1) if preprocessing.layout == "NCHW" else (-1,)
    values = {"255": [255.0], "mean": steps.mean, "std": steps.std}
    return [
        numpy_helper.from_array(np.asarray(each, np.float32).reshape(shape), f"{name}/{word}")
        for word, each in values.items()
    ]
