"""Whether an ONNX operator may be what an operation of the source became: by its name, or by what exporters write."""

from runtime.artifact.manifest import Output

__all__ = ["is_same_operation"]

_WRITTEN_AS = {
    "averagepool": "avgpool mean",
    "batchnormalization": "batchnorm",
    "clip": "relu6 hardtanh clamp hardswish",
    "concat": "cat stack",
    "depthtospace": "pixelshuffle",
    "erf": "gelu",
    "flatten": "reshape view",
    "gather": "getitem select index embedding",
    "gemm": "linear addmm mm",
    "globalaveragepool": "avgpool mean",
    "globalmaxpool": "maxpool max",
    "instancenormalization": "instancenorm groupnorm",
    "layernormalization": "layernorm",
    "matmul": "linear bmm mm einsum attention",
    "mul": "silu gelu hardswish",
    "pow": "square",
    "reducemax": "max",
    "reducemean": "mean avgpool",
    "reducesum": "sum",
    "reshape": "view flatten unflatten squeeze",
    "resize": "interpolate upsample",
    "sigmoid": "silu",
    "slice": "getitem narrow chunk split select",
    "split": "getitem chunk unbind",
    "squeeze": "getitem select flatten view",
    "transpose": "permute movedim moveaxis",
}
"""By operator, parts of the names of operations that are written as it, or end with it, as SiLU does with Mul."""


def is_same_operation(operator: str, output: Output) -> bool:
    """Return whether an ONNX operator may compute an operation of the source, but for its dimensions."""
    of_source = output.operation.rpartition(".")[2].casefold().replace("_", "")
    mine = operator.casefold().removeprefix("fused")
    if mine in of_source or of_source.rstrip("123d") == mine:
        return True
    return any(part in of_source for part in _WRITTEN_AS.get(mine, "").split())
