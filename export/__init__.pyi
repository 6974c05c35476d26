from .artifact_writing import export_artifact as export_artifact
from .onnx_artifact import export_onnx as export_onnx
from .onnx_conversion import to_onnx as to_onnx
from .torch_export_conversion import to_torch_export as to_torch_export
from .torchscript_conversion import to_torchscript as to_torchscript
