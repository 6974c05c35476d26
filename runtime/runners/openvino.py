"""Runs an artifact's ONNX model on OpenVINO, on the CPU, in float32."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE, Manifest
from .base import Runner, refuse_bfloat16

__all__ = ["OpenVinoRunner"]

_DEVICE = "CPU"


class OpenVinoRunner(Runner):
    """A model compiled by OpenVINO for the CPU. Of the settings, only `threads` applies."""

    file = ONNX_FILE
    runtime = "OpenVINO"

    def _open(self, artifact: Artifact) -> None:
        refuse_bfloat16(self.manifest, self.name)
        if "float64" in self.manifest.dtypes:
            raise RunnerUnavailable(
                f"{self.name} can't run {self.manifest.model}, which computes in float64: on the CPU, it supports at "
                "most float32.\nUse --runner torchscript."
            )
        file = artifact.file(ONNX_FILE)
        core = openvino.Core()
        # By default, OpenVINO computes in bfloat16 on a processor that has it.
        config: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
        if self.settings.threads:
            config["INFERENCE_NUM_THREADS"] = self.settings.threads
        try:
            # By path, not from memory: otherwise OpenVINO doesn't find weights in a file beside it.
            model = _cut(core.read_model(file), self.manifest, self.names)
            self._compiled = core.compile_model(model, _DEVICE, config)
        except ArtifactError:
            raise
        except Exception as error:
            raise RunnerUnavailable(
                f"{self.name} can't run {self.manifest.model}: {self._reason(error)}\nUse --runner onnx-cpu."
            ) from error
        self.providers = list(self._compiled.get_property("EXECUTION_DEVICES"))
        self.facts = {
            "runtime": "OpenVINO",
            "version": openvino.get_version(),
            "device": core.get_property(_DEVICE, "FULL_DEVICE_NAME").strip(),
            "precision": self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
            "execution_mode": self._compiled.get_property("EXECUTION_MODE_HINT").name.lower(),
            "threads": self._compiled.get_property("INFERENCE_NUM_THREADS"),
            "streams": int(self._compiled.get_property("NUM_STREAMS")),
        }

    def _compute(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        # The results share memory with the request, which the next run writes to.
        found = self._compiled.create_infer_request().infer(dict(inputs), share_inputs=True)
        return {name: np.array(found[index]) for index, name in enumerate(self.names)}

    def _reason(self, error: Exception) -> str:
        """Return the reason: OpenVINO's messages begin with lines about its own source files."""
        lines = [line.strip() for line in str(error).splitlines()]
        messages = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
        return messages[0] if messages else first_line(error)


def _cut(model: openvino.Model, manifest: Manifest, names: Sequence[str]) -> openvino.Model:
    """Return the model with only those results, in that order; what they don't need is not compiled."""
    results = model.get_results()
    named = [result.input_value(0).get_names() for result in results]
    listed = manifest.output_names
    # One tensor may have several names, where a copy was eliminated.
    if len(results) != len(listed) or any(name not in found for name, found in zip(listed, named, strict=True)):
        raise ArtifactError(f"{ONNX_FILE} has other outputs than the manifest lists.\nExport the artifact again.")
    chosen = [result for name, result in zip(listed, results, strict=True) if name in names]
    return model if len(chosen) == len(results) else openvino.Model(chosen, model.get_parameters(), manifest.model)
