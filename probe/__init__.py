"""model -> probe: every intermediate tensor of a PyTorch CNN, by name.

model/: the user's model, weights and example input; leaves the model as it was
attempts.py: capture by trace or by export: in which order, each once; the reasons shown where none works
capture/: model -> graph of named nodes, by torch.fx or by torch.export
first_run.py: the model run once on its example: why it fails; refuses one that writes to its buffers (state)
observe/: what each node of the graph holds: shape, dtype, memory; which sizes are open
layout/: which axis of a tensor is N, C, H, W or L
descriptions.py: which nodes become outputs, which are skipped and why (a tuple is, its parts aren't); aliases; inputs
faithfulness.py: compares the probe's results with the model's; refuses random results; within rounding
other_inputs.py: which second calls that is compared on, tried in order; noise or rows of the example
parts.py: which submodules can be probed if the whole model can't, as suggestions of an error
build.py: build_probe: the order of these steps; training mode warns; --dynamic-size, --capture, --leaf
probe.py: the class Probe that build_probe returns; fixed batch, noise inputs
pixel_input.py: puts the normalisation into a probe: it takes pixels, uint8, N H W C (--preprocessing-in-model)
averaging.py: averaged probe: each output replaced by its mean over the channels, N 1 H W, in PyTorch
manifest_making.py: probe -> the manifest that describes it, for an artifact or for a picture
live_model.py: a model in memory or by its name, captured for one photo: what `grid` and `show` draw without an export
live_probe.py: a model's name -> its probe, for the runner `eager`
onnx_model/: the same for an ONNX file that somebody else made, without PyTorch
node_tree.py: what `layerprobe nodes` prints: outputs as a tree of modules, skipped steps
cli.py: the command `layerprobe nodes`, its --json; MODEL, --capture and status lines, as export has them, too

The public names are listed in `__init__.pyi` and imported on first use, so that `layerprobe --help` doesn't wait for
`import torch`, and a machine without PyTorch doesn't fail on it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
