"""probe -> artifact: one folder that runs without the model's Python source.

cli.py: the command `layerprobe export` and its options
onnx_cli.py: the same command for an ONNX file, without PyTorch
sources.py: a model or candidate of any kind -> an artifact made for one command, for `verify --against`
artifact_writing.py: export_artifact: the order of the steps; retries with a fixed batch where only one batch works
cpu_copy.py: a probe on a GPU -> a copy on the CPU, where it is exported
onnx_conversion.py: probe -> ONNX by torch.onnx: opset, dynamic axes, batch, names of outputs and nodes, folding
translations.py: table of operators that torch.onnx writes wrong (floor division, conv3d, log_sigmoid, log1p)
pooling.py: max and average pooling for ONNX: ceil_mode, padding, divisor_override
adaptive_pooling.py: adaptive pooling for ONNX, also for open sizes
resizing.py: upsampling and interpolation for ONNX: nearest pixels, scales, rounded sizes
attention.py: scaled_dot_product_attention with other than four axes, for ONNX
clamp_bounds.py: clamp with an integer and a float bound, which torch.onnx refuses -> two floats
origin_marks.py: marks that survive torch.export and torch.onnx: which step of the model a node belongs to
onnx_failures.py: why torch.onnx fails, in the model's terms (line, operator), quantized models; a way around
torchscript_conversion.py: probe -> TorchScript by tracing; writes that broadcast, unpooling; the .pt file
torch_export_conversion.py: probe -> torch.export's program and its .pt2 file, without paths of this machine
trial_run.py: tries the ONNX and TorchScript files on another batch and input: a size or number made constant
trial_differences.py: which output of a tried file is wrong, by which tolerance, and the message (item, tolist)
export_hints.py: what can be exported if not all can, as options: --outputs, --submodule; step named in an error
averaging/: the averaged ONNX model: each output's mean over the channels, cheaply
input_file.py: the files of --input -> the inputs to record, as tensors, and how many at most
recorded_inputs.py: which inputs a PyTorch model's reference is recorded on: noise, photo, a batch of 3, odd sizes
input_kinds.py: how these are made, as arrays: ramps, ranges, matplotlib's photo, prime sizes
reference_recording.py: the float64 truth of each output and the noise floor: the error of three eager float32 runs
sampler.py: runs the graph, in its own dtypes or in float64, and keeps a part of each output
kept_tensors.py: how many elements of each output are kept: fewer for a small model; statistics of channels, map
rounding_noise.py: the tolerance of trial_run.py: how far rounding alone moves each output (Monte Carlo)
exercise.py: what the inputs leave untried of a PyTorch model: clamps not reached, branches not taken
onnx_artifact.py: probe of an ONNX file -> artifact folder: the order of the steps; large weights go beside it
onnx_recording.py: the same for an ONNX file: its recorded inputs; truths and noise, evaluated in float64
onnx_exercise.py: what the inputs leave untried of an ONNX file's operators
onnx_writing.py: writes an ONNX file with its weights one by one, without holding them in memory
candidate/: an ONNX file made elsewhere and its source -> an artifact with the source's names
test_vector_writing.py: test photo, its pixels and the input that it must become, to check preprocessing elsewhere
test_photo.png: that photo, of matplotlib's, 161 x 97 pixels
artifact_files.py: manifest.json with the hashes, operations.json; from which size on weights go into another file
folder_replacement.py: the folder appears whole or not at all; --overwrite replaces nothing but an artifact

The public names are listed in `__init__.pyi` and imported on first use, so that `layerprobe --help` doesn't wait for
`import torch`, and a machine without PyTorch doesn't fail on it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
