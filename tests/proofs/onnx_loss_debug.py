"""What ONNX Runtime's own `qdq_loss_debug` says of a QDQ file: which tensor or weight loses most."""

import tempfile
from collections.abc import Collection
from pathlib import Path

from onnxruntime.quantization import qdq_loss_debug

from proofs.candidate_makers import Made
from proofs.quantized_makers import Images

__all__ = ["worst_of_onnx_runtime"]


def worst_of_onnx_runtime(right: Path, file: Path, made: Made, tensors: Collection[str]) -> bool | None:
    """Return whether what it measures as worst is one of these tensors; None where it can't measure the file.

    Args:
        right: the float file.
        file: the QDQ file made of it.
        made: the model, for inputs.
        tensors: activations and weights by their names in the float file.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = {}
            for name, each in (("float", right), ("qdq", file)):
                augmented = Path(folder) / f"{name}.onnx"
                qdq_loss_debug.modify_model_output_intermediate_tensors(each, augmented)
                images = Images(tuple(made.image.shape), "input")
                found[name] = qdq_loss_debug.collect_activations(str(augmented), images)
        matching = qdq_loss_debug.create_activation_matching(found["qdq"], found["float"])
        matching = {name: each for name, each in matching.items() if "float" in each}
        activations = {
            name: error["qdq_err"] for name, error in qdq_loss_debug.compute_activation_error(matching).items()
        }
        weights = qdq_loss_debug.compute_weight_error(qdq_loss_debug.create_weight_matching(str(right), str(file)))
    except Exception:  # of several types, for files with other names
        return None
    worst = {min(each, key=each.__getitem__) for each in (activations, weights) if each}
    return not worst.isdisjoint(tensors)
