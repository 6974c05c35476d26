"""Runs an artifact's ONNX model in ONNX's own reference evaluator: slow, but to the standard, operation by operation,
in NumPy. If a fast runtime and this one show the same drift, it comes from the model file.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from ..artifact.errors import ArtifactError, RunnerUnavailable
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.onnx_weights import load_weights
from .base import Runner, refuse_bfloat16
from .machine import cpu_name

__all__ = ["OnnxReferenceRunner"]


class OnnxReferenceRunner(Runner):
    """ONNX's reference evaluator, unmodified; no setting applies to it."""

    file = ONNX_FILE
    runtime = "ONNX's reference evaluator"

    def _open(self, artifact: Artifact) -> None:
        refuse_bfloat16(self.manifest, self.name)
        cut = artifact.onnx(self.names)
        model = cut.model()
        if [output.name for output in model.graph.output] != self.names:
            raise ArtifactError(f"{ONNX_FILE} has other outputs than the manifest lists.\nExport the artifact again.")
        try:
            load_weights(model, cut.folder)
            self._evaluator = ReferenceEvaluator(model)
        except Exception as error:
            raise RunnerUnavailable(
                f"{self.name} can't run {self.manifest.model}: {self._reason(error)}\nUse --runner onnx-cpu."
            ) from error
        self.facts = {
            "runtime": "ONNX reference evaluator",
            "version": onnx.__version__,
            "numpy": np.__version__,
            "device": cpu_name(),
        }

    def _compute(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        found = self._evaluator.run(self.names, dict(inputs))
        return {name: np.asarray(array) for name, array in zip(self.names, found, strict=True)}
