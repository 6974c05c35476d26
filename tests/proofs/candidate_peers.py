"""What others say of the same faulty files: Polygraphy and torch.onnx.verification, given the model's own export.

Both compare by names, which these files have lost. Polygraphy then compares by position; torch.onnx is made for its
own program object, so the file is put into one.
"""

import contextlib
import importlib.util
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

from proofs.candidate_makers import Made
from proofs.foreign_files import Foreign

__all__ = ["ask_peers", "has_polygraphy"]

Answer = tuple[bool, str | None]
"""Whether it says that the result differs, and the first value inside that it calls wrong."""


def has_polygraphy() -> bool:
    return importlib.util.find_spec("polygraphy") is not None


def ask_peers(file: Path, right: Foreign, expected: Sequence[frozenset[str]], made: Made) -> dict[str, Any]:
    """Return what each says: whether a result differs, the first value that it calls wrong, and whether that is it.

    Args:
        file: the faulty file.
        right: the file without the fault.
        expected: by fault, the outputs one of which is to be named.
        made: the model.
    """
    program = torch.onnx.export(made.module, (made.image,), dynamo=True, external_data=False, verbose=False)
    assert program is not None
    own = onnx.load_model_from_string(program.model_proto.SerializeToString())
    theirs = onnx.load(file)
    image = right.recorded[theirs.graph.input[0].name]
    # The names of inputs are given it.
    _rename_input(theirs, own.graph.input[0].name)
    outputs = frozenset[str]().union(*expected)
    answers = {"torch.onnx.verification": _torch(program, theirs, image)}
    if has_polygraphy():
        answers["Polygraphy"] = _polygraphy(own, theirs, image, marked=False)
        answers["Polygraphy, all outputs"] = _polygraphy(own, theirs, image, marked=True)
    return {name: [differs, first, _is_of(first, outputs, own)] for name, (differs, first) in answers.items()}


def _is_of(value: str | None, expected: Collection[str], own: onnx.ModelProto) -> bool:
    """Return whether a value of the model's own export is of the module of an expected output."""
    node = next((node for node in own.graph.node if value in node.output), None)
    scopes = next((each.value for each in node.metadata_props if each.key.endswith("name_scopes")), "") if node else ""
    return any(f"'{output}'" in scopes or value == output for output in expected)


def _rename_input(model: onnx.ModelProto, name: str) -> None:
    old = model.graph.input[0].name
    model.graph.input[0].name = name
    for node in model.graph.node:
        node.input[:] = [name if each == old else each for each in node.input]


def _torch(program: torch.onnx.ONNXProgram, theirs: onnx.ModelProto, image: Any) -> Answer:
    """`verify_onnx_program`, and the differences of which its own comparison of intermediates warns."""
    import onnx_ir
    from torch.onnx.verification import verify_onnx_program

    theirs_program = torch.onnx.ONNXProgram(onnx_ir.serde.deserialize_model(theirs), program.exported_program)
    example = (torch.from_numpy(image),)
    try:
        wrong = [
            [info.name for info in infos if info.max_abs_diff > 0.01 or info.max_rel_diff > 0.1]
            for infos in (
                verify_onnx_program(theirs_program, example),
                verify_onnx_program(theirs_program, example, compare_intermediates=True),
            )
        ]
    except Exception:  # of another shape, for example
        return True, None
    return bool(wrong[0]), next(iter(wrong[1]), None)


def _polygraphy(own: onnx.ModelProto, theirs: onnx.ModelProto, image: Any, *, marked: bool) -> Answer:
    """`polygraphy run --onnxrt` of both with its default tolerances; `marked` is `--onnx-outputs mark all`."""
    from polygraphy import constants
    from polygraphy.backend.onnx import BytesFromOnnx, ModifyOutputs
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.comparator import Comparator, CompareFunc
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    models = [ModifyOutputs(each, outputs=constants.MARK_ALL) if marked else each for each in (own, theirs)]
    runners = [
        OnnxrtRunner(SessionFromOnnx(BytesFromOnnx(model)), name=name)
        for name, model in zip(("own", "theirs"), models, strict=True)
    ]
    results = Comparator.run(runners, data_loader=[{own.graph.input[0].name: image}])
    with contextlib.redirect_stdout(io.StringIO()):
        accuracy = Comparator.compare_accuracy(results, compare_func=CompareFunc.simple(check_shapes=True))
    (compared,) = next(iter(accuracy[0].values()))
    wrong = [name for name, match in compared.items() if not match]
    return bool(wrong), wrong[0] if wrong and marked else None
