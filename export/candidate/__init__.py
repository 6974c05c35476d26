"""A model file that somebody else made, and its source -> an artifact of that file under the source's names.

The names in the file are lost: its tensors are recognised by what they compute.

inputs.py: the source's inputs as the candidate takes them: names, NHWC, dtype, batch, BGR, preprocessing inside
real_outputs.py: quantized operators: a DequantizeLinear after each result of integers, so that it can be compared
search.py: which input finds most, tolerance by precision; refuses another model, takes one with a softmax more
matching.py: matches tensors by value alone, in one walk; the right value goes on after each match
structure.py: what matched tensors are computed from and used for, in both graphs, without values
operations.py: whether an ONNX operator may be what an operation of the source became
faults.py: matches behind a fault, where values differ: guesses by structure; too many mean other weights
hidden_faults.py: matches of faults that only another input shows, where a ReLU hides them on the first
source_values.py: the source's whole tensors in float64, in the candidate's layout
source_nodes.py: the source's nodes of what was found, norms folded as in the file, to be compared with the file's
truths.py: the source's recorded truths -> the candidate's reference; checks the source's own ONNX file
marking.py: writes the candidate's file with outputs under the source's names, and each node's step
candidate_artifact.py: write_candidate: the order of the steps; what was found and what not, the noise of its bits
"""
