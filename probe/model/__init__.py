"""The user's model, its weights and its example input: making them from a name, and leaving them as they were.

loading.py: MODEL (torchvision:, timm:, file.py:factory), --seed -> module, example call; photo size, mean and std
chosen_model.py: MODEL with --weights and --submodule -> the model, as every command takes it
photo_preprocessing.py: how a photo becomes the input, with --mean and --std, as the manifest lists it
variants.py: the built-in models cnn11, cnn2 and cnn3
weights.py: --weights: a state dict from .safetensors, .pt or .pth, without running code; the hash of weights
check.py: unwraps DataParallel, torch.compile; refuses TorchScript, lazy and meta models, sparse examples
example.py: the example call: its tensors by name, constants, which tensors have the batch; its other batch size
leaf_modules.py: which modules stay whole, one output each (--leaf): torch.nn's and classes that are named
shared_copy.py: copy of the model in eval mode over the same weights, so that the user's own is never touched
following.py: the probe over the memory of the model's weights and buffers, replaced ones too; StaleProbeWarning
surroundings.py: random generators as they were (torch, NumPy, Python); out of inference mode, off the meta device
kept_functions.py: makes functions kept on a model (forward, hooks, lambdas) refer to the copy, not to the original
weight_guard.py: refuses a model whose forward writes to its own weights, before it does
submodule_calls.py: what a submodule is called with when its model runs (--submodule)
source_places.py: which line of code is the model's own, and its path without the home folder: net.py:7
"""
