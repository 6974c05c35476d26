"""Runs an artifact's ONNX model on OpenVINO, on the CPU: arrays in, every output by name out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, ExecutionError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE, Manifest
from ..artifact.selection import known_outputs
from .input_check import check_inputs, refuse_bfloat16
from .machine import Facts
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["OpenVinoRunner"]

_DEVICE = "CPU"


class OpenVinoRunner:
    """A model compiled by OpenVINO for the CPU, which computes in float32.

    Attributes:
        name: `openvino`.
        file: the artifact's file that it executes.
        providers: the devices it runs on.
        misplaced: always empty; OpenVINO runs everything on the one device.
        facts: what may explain a drift, read back from the compiled model.
    """

    name = "openvino"
    file = ONNX_FILE

    def __init__(
        self, artifact: Artifact, settings: Settings = DEFAULT_SETTINGS, outputs: Sequence[str] | None = None
    ) -> None:
        """Open the artifact's ONNX file.

        Args:
            artifact: what `open_artifact` gave.
            settings: how to run; of them, OpenVINO has the threads.
            outputs: names of the outputs that the model is cut to; None for all.

        Raises:
            RunnerUnavailable: OpenVINO can't run this model: an operation it lacks, or float64.
            ArtifactError: the file is missing, altered, or has other outputs than the manifest lists.
            UsageError: one of `outputs` is not the model's.
        """
        self._manifest = artifact.manifest
        refuse_bfloat16(self._manifest, self.name)
        if "float64" in self._manifest.dtypes:
            raise RunnerUnavailable(
                f"openvino can't run {self._manifest.model}, which computes in float64: on the CPU it has float32 at "
                "most.\nUse --runner torchscript."
            )
        self._names = known_outputs(self._manifest, outputs)
        file = artifact.file(ONNX_FILE)
        core = openvino.Core()
        # Of its own accord OpenVINO computes in bfloat16 on a processor that has it.
        config: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
        if settings.threads:
            config["INFERENCE_NUM_THREADS"] = settings.threads
        try:
            # By its path, not from memory: only so does OpenVINO find weights that lie in a file beside.
            model = _cut(core.read_model(file), self._manifest, self._names)
            self._compiled = core.compile_model(model, _DEVICE, config)
        except ArtifactError:
            raise
        except Exception as error:
            raise RunnerUnavailable(
                f"openvino can't run {self._manifest.model}: {_reason(error)}\nUse --runner onnx-cpu."
            ) from error
        self.providers: list[str] = list(self._compiled.get_property("EXECUTION_DEVICES"))
        self.misplaced: list[str] = []
        self.facts: Facts = {
            "runtime": "OpenVINO",
            "version": openvino.get_version(),
            "device": core.get_property(_DEVICE, "FULL_DEVICE_NAME").strip(),
            "precision": self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
            "execution_mode": self._compiled.get_property("EXECUTION_MODE_HINT").name.lower(),
            "threads": self._compiled.get_property("INFERENCE_NUM_THREADS"),
            "streams": int(self._compiled.get_property("NUM_STREAMS")),
        }

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, in the manifest's order, for inputs by name (N C H W for an image batch).

        Raises:
            InputError: an input is missing, or its shape or dtype isn't the manifest's.
            ExecutionError: OpenVINO failed: out of memory, or sizes that it can't do.
        """
        checked = check_inputs(self._manifest, inputs)
        try:
            # The results share memory with the request, which the next run writes to.
            found = self._compiled.create_infer_request().infer(checked, share_inputs=True)
            arrays = [np.array(found[index]) for index in range(len(self._names))]
        except Exception as error:
            raise ExecutionError(f"OpenVINO failed to run {self._manifest.model}: {_reason(error)}") from error
        return dict(zip(self._names, arrays, strict=True))


def _cut(model: openvino.Model, manifest: Manifest, names: Sequence[str]) -> openvino.Model:
    """Return the model with those results alone, in that order; what nothing leads to any more is not compiled."""
    results = model.get_results()
    named = [result.input_value(0).get_names() for result in results]
    listed = manifest.output_names
    # Several names may stand for one tensor, where a copy was taken out.
    if len(results) != len(listed) or any(name not in found for name, found in zip(listed, named, strict=True)):
        raise ArtifactError(f"{ONNX_FILE} has other outputs than the manifest lists.\nExport the artifact again.")
    chosen = [result for name, result in zip(listed, results, strict=True) if name in names]
    return model if len(chosen) == len(results) else openvino.Model(chosen, model.get_parameters(), manifest.model)


def _reason(error: BaseException) -> str:
    """Return what is wrong: OpenVINO's messages begin with lines of its own source files."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return told[0] if told else first_line(error)
