"""Which layer's channels are weighed: the deepest that still has a height and a width, or one that is asked for."""

from collections.abc import Container, Mapping, Sequence

from ..artifact.errors import UsageError
from ..artifact.manifest import Manifest, Output
from ..runners.memory_need import sizes_of
from .class_head import ClassGraph, LinearHead

__all__ = ["deepest_layer", "layers_with_maps"]


def layers_with_maps(outputs: Sequence[Output]) -> list[Output]:
    """Return those of the outputs that were asked for which can be drawn.

    Raises:
        UsageError: none can.
    """
    found = [each for each in outputs if each.has_map]
    if not found:
        named = ", ".join(each.name for each in outputs[:4])
        raise UsageError(
            f"{named}: no height and width, of which a map could be drawn.\n"
            "Choose an output before the head; `layerprobe nodes` and the manifest list the shapes."
        )
    return found


def deepest_layer(
    manifest: Manifest,
    sizes: Mapping[str, int],
    graph: ClassGraph | None,
    head: LinearHead | None,
    needed: Container[str] | None,
) -> Output:
    """Return the layer whose average the scores are, or else the last output of the smallest maps above 1 x 1 pixel.

    Args:
        manifest: of the full probe.
        sizes: what the symbols in the shapes stand for.
        graph: of the result, if there is an ONNX file and a result.
        head: its linear head, if it has one.
        needed: what the result is computed from, if that is known: another head's layers are none of it.

    Raises:
        UsageError: there is none, or the artifact was exported without the layers that are deeper.
    """
    by_name = {each.name: each for each in manifest.outputs}
    if head is not None:
        if head.layer not in by_name:
            raise _not_exported(manifest, head.step)
        if by_name[head.layer].has_map and _pixels(by_name[head.layer], sizes) > 1:
            return by_name[head.layer]
    mapped = [each for each in manifest.outputs if each.has_map]
    # Of a file all of whose layers are in whole steps, one of these: for score and eigen.
    able = [each for each in mapped if "float" in each.dtype] or mapped
    found = [
        (pixels, each)
        for each in able
        if (needed is None or each.name in needed) and (pixels := _pixels(each, sizes)) > 1
    ]
    if not found:
        raise UsageError(
            f"No output of {manifest.model} before its result has a height and a width of more than 1 x 1 pixel.\n"
            "Export it with all outputs, or with a larger --input-size."
        )
    fewest = min(pixels for pixels, _ in found)
    deepest = [each for pixels, each in found if pixels == fewest][-1]
    missing = [step for step in (graph.convolutions_after(deepest.name) if graph else ()) if step not in by_name]
    if missing:
        raise _not_exported(manifest, missing[-1])
    return deepest


def _not_exported(manifest: Manifest, step: str) -> UsageError:
    return UsageError(
        f"The layer to draw, {step} of {manifest.model}, is not among the artifact's outputs.\n"
        f"Export it with --outputs {step}, too, or choose one of its layers with --outputs."
    )


def _pixels(output: Output, sizes: Mapping[str, int]) -> int:
    if output.tokens is not None:
        return output.tokens.height * output.tokens.width
    shape = sizes_of(output, sizes)
    return shape[output.layout.index("H")] * shape[output.layout.index("W")]
