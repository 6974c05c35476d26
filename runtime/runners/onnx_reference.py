"""Runs an artifact's ONNX model in ONNX's own reference evaluator: slow, and what the standard says, operation by
operation, in NumPy. A drift in a fast runtime that this one shares was in the model file before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from ..artifact.errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.selection import known_outputs
from .input_check import check_inputs, refuse_bfloat16
from .machine import Facts, cpu_name
from .onnx_cut import cut_onnx
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["OnnxReferenceRunner"]


class OnnxReferenceRunner:
    """ONNX's reference evaluator, unmodified.

    Attributes:
        name: `onnx-reference`.
        file: the artifact's file that it executes.
        providers: `cpu`.
        misplaced: always empty.
        facts: what may explain a drift.
    """

    name = "onnx-reference"
    file = ONNX_FILE

    def __init__(
        self,
        artifact: Artifact,
        settings: Settings = DEFAULT_SETTINGS,  # noqa: ARG002 - all runners open alike; NumPy's evaluator has none
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Open the artifact's ONNX file.

        Args:
            artifact: what `open_artifact` gave.
            settings: none of them applies.
            outputs: names of the outputs that the model is cut to; None for all.

        Raises:
            RunnerUnavailable: the evaluator lacks an operation of this model.
            ArtifactError: the file is missing, altered, no ONNX model, or has other outputs than the manifest lists.
            UsageError: one of `outputs` is not the model's.
        """
        self._manifest = artifact.manifest
        refuse_bfloat16(self._manifest, self.name)
        self._names = known_outputs(self._manifest, outputs)
        cut = cut_onnx(artifact, self._names)
        model = cut.model()
        if [output.name for output in model.graph.output] != self._names:
            raise ArtifactError(f"{ONNX_FILE} has other outputs than the manifest lists.\nExport the artifact again.")
        try:
            onnx.load_external_data_for_model(model, str(cut.folder))
            self._evaluator = ReferenceEvaluator(model)
        except Exception as error:
            raise RunnerUnavailable(
                f"onnx-reference can't run {self._manifest.model}: {first_line(error)}\nUse --runner onnx-cpu."
            ) from error
        self.providers: list[str] = ["cpu"]
        self.misplaced: list[str] = []
        self.facts: Facts = {
            "runtime": "ONNX reference evaluator",
            "version": onnx.__version__,
            "numpy": np.__version__,
            "device": cpu_name(),
        }

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the manifest's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: the evaluator failed: out of memory, or a case that it doesn't cover.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            found = self._evaluator.run(self._names, checked)
        except Exception as error:
            raise ExecutionError(
                f"ONNX's reference evaluator failed to run {self._manifest.model}: {first_line(error)}"
            ) from error
        return {name: np.asarray(array) for name, array in zip(self._names, found, strict=True)}
