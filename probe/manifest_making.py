"""Probe -> manifest: what is known of a PyTorch model or an ONNX file, as the artifact's contract has it.

The hashes of an artifact's files are added where these are written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from runtime.artifact.errors import ExportError
from runtime.artifact.manifest import FORMAT_VERSION, Manifest, Preprocessing, Versions

if TYPE_CHECKING:
    from .onnx_model.probing import OnnxProbe
    from .probe import Probe

__all__ = ["making_manifest", "manifest_of"]


@contextmanager
def making_manifest(model: str) -> Iterator[None]:
    """Report a manifest that is made here and isn't valid.

    Args:
        model: its name, for the message.

    Raises:
        ExportError: the format doesn't allow what the model says of itself.
    """
    try:
        yield
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ExportError(
            f"{model} can't be described by an artifact: {reason}.\n"
            "artifacts/README.md lists what it can hold; change the model, or select other --outputs."
        ) from error


def manifest_of(
    probe: "Probe | OnnxProbe",
    name: str,
    preprocessing: Preprocessing | None,
    opset: int,
    torch: str | None = None,
    **more: Any,
) -> Manifest:
    """Return the manifest of a probe, without the hashes of its files.

    Args:
        probe: of a PyTorch model or of an ONNX file.
        name: the model's.
        preprocessing: how a photo becomes the input; None if the input isn't an image.
        opset: of the ONNX file.
        torch: the version that wrote it; None where none did.
        more: fields that only one kind of probe has.

    Raises:
        ExportError: as of `making_manifest`.
    """
    with making_manifest(name):
        return Manifest(
            format_version=FORMAT_VERSION,
            model=name,
            files={},
            inputs=probe.inputs,
            constants=dict(probe.constants),
            preprocessing=preprocessing,
            outputs=probe.outputs,
            results=probe.results,
            skipped=probe.skipped,
            capture=probe.capture,
            capture_reason=probe.capture_reason,
            versions=Versions(layerprobe=version("layerprobe"), torch=torch, onnx=version("onnx"), opset=opset),
            **more,
        )
