"""`layerprobe export` of an ONNX file. It needs no PyTorch."""

from collections.abc import Sequence
from pathlib import Path

from probe.cli import at_work, print_capture
from runtime.artifact.plain_text import say

__all__ = ["export_file"]


def export_file(
    file: str,
    folder: Path,
    *,
    inputs: Sequence[Path],
    size: Sequence[int],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    in_model: bool,
    outputs: Sequence[str],
    operations: Sequence[str],
    depth: int | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write an ONNX file's probe as an artifact; the arguments are the options of `layerprobe export`."""
    from probe.onnx_model.loading import load_onnx
    from runtime.artifact.folder import open_artifact
    from runtime.artifact.manifest import fixed_batch
    from runtime.artifact.selection import select_outputs

    from .onnx_artifact import export_onnx

    with at_work(quiet, "reading the ONNX file") as status:
        loaded = load_onnx(file, inputs=inputs, size=size, mean=mean, std=std, in_model=in_model)
        probe = loaded.probe
        if outputs or operations or depth:
            probe = probe.only(select_outputs(probe.outputs, outputs, operations, depth))
        export_onnx(
            probe,
            folder,
            preprocessing=loaded.preprocessing,
            reference_inputs=loaded.given,
            overwrite=overwrite,
            on_phase=status.update,
        )
    print_capture(probe, quiet)
    batch = fixed_batch(open_artifact(folder).manifest.inputs)
    fixed = "" if batch is None else f"; the batch is fixed at {batch}"
    say(f"{folder}: {probe.name} as ONNX, outputs: {len(probe.outputs)}{fixed}")
