"""Every way to execute an artifact: arrays by name in, every output by name out.

registry.py: table of runners; which run by default, work here, or need their name or --trust; --provider auto
settings.py: threads, TF32 (off), optimization, cuDNN search, web backend: their defaults; None is left to each runner
base.py: the class of all runners: open, run, bind; what a new one fills in; what a failed run says
input_check.py: whether arrays fit the model's inputs: names, shapes, dtypes; float32 is rounded to float16
memory_need.py: estimate of the outputs' memory; refuses a batch or inputs that don't fit, before they run
peak_memory.py: this process's peak memory, measured; hands freed memory back to the system
machine.py: names, versions of CPU, GPU, driver, CUDA, cuDNN; cores for scan and stats; memory that the GPU has in use
cuda_support.py: why CUDA or TensorRT can't be used: driver, GPU, libraries, package; loads the libraries
onnx_session.py: opens ONNX Runtime: providers, options, threads (its own choice without --threads); nodes left to CPU
onnx.py: onnx-cpu, onnx-cuda, onnx-tensorrt: ONNX Runtime, with buffers bound
declared_tensors.py: whether a file's inputs and outputs are the manifest's
node_support.py: where npm packages and Chromium are; why Node, a package or Chromium can't be used
node_process.py: a process of Node that answers requests, and ends with this one
javascript.py: onnx-node, onnx-web: ONNX Runtime in Node, ONNX Runtime Web under Node or in Chromium
onnx_reference.py: onnx-reference: onnx's own evaluator, slow
openvino.py: openvino: the ONNX file on the CPU
torch_file.py: what torchscript and torch-export share: device, precision, threads, tensors and arrays
torchscript.py: torchscript, torchscript-cuda: the .pt file, cut to some outputs
torch_export.py: torch-export, torch-export-cuda: .pt2 files; refuses pickles in them
eager.py: eager: the live model in PyTorch, rebuilt from its recipe; its weights are compared; a model in memory
"""
