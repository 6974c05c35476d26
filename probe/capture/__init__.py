"""Model -> graph of named nodes, by symbolic tracing (torch.fx) or by torch.export, with the same names.

fx_trace.py: symbolic tracing: the first way; in-place writes, source lines; a leaf module runs with its hooks
torch_export.py: torch.export: the other way, for code that looks at shapes; which axes stay open in it
call_recording.py: under torch.export: each call of a module or function is one node, taken after its hooks
exported_graph.py: torch.export's program -> a graph like symbolic tracing's; autocast, blocks, open sizes
naming.py: a node's unique name: torchvision's feature names, repeated ones (relu_1), parts of tuples (getitem_1)
labels.py: a node's label: Conv2d, flatten, aten operators; full class names
plain_names.py: module names that Python or TorchScript can't take as identifiers (class, non-ASCII)
eval_module.py: a graph's module and its parts stay in eval mode: train() does nothing; it can be pickled
traced_model.py: the result of either way; the probe's module: returns by name, clones what is overwritten later
quiet.py: hides torch's warnings and logs, and rewords its errors: torch.cond, values of tensors
"""
