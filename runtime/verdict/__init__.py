"""Runners and files, held against the float64 truth -> a report: who is wrong, where, and by how much.

verdict_kinds.py: table of verdicts (pass, drift, inherited, ...): which fail; their signs, colours, words
verification.py: verify: the order of the steps, over all recorded inputs and runners; what no input exercises
runner_trial.py: one runner on all recorded inputs, with the probe's outputs and without
tensor_trial.py: --tensors: a file of tensors computed elsewhere, judged like a runner
given_tensors.py: such a file's tensors by name and layout (NHWC); of which recorded input they are
missing_tensors.py: outputs that such a file lacks, or has a sample of: operations are judged across the gaps
given_inputs.py: --input: the user's own input, without a recorded truth: the file in float64 stands in
judge.py: all runners on one recorded input: a runner's verdict from its outputs', placement, inherited errors
beside.py: the second thread in which a file is evaluated while a runner runs
drift.py: one output against its truth: drift, all limits (16, and 4 of the file itself), shape, NaN, SQNR, unproven
error_shares.py: an operation's own (introduced) error, and what it inherited from its inputs
file_values.py: whether the ONNX file itself computes what the model means, in float64; at which outputs not
node_differences.py: what is wrong there in the file: attributes and operators against those exported
low_precision.py: float16, int8, int4 candidates: loss of each segment against what its bits explain
quantization_faults.py: which scales and zero points of activations and weights fail, by step_use; in words
goal.py: --goal: least SQNR in dB, or share of equal top-1 classes
blame.py: which operation is the culprit, and whether the export or the runtime is to blame, as data
unprobed.py: errors of the plain model that the probe hides, since its outputs prevent fusions
ort_fusions.py: which nodes ONNX Runtime fuses into one kernel, from its optimised graph
graph_values.py: which values of an ONNX graph are equal (Identity, computed twice), for finding fusions
drift_maps.py: maps of each output in float64 and in the runners, kept for the HTML report
headline.py: the first line of a report, in words: who is wrong, by how much, why unproven; no setting is blamed by name
report.py: the report as data, what --json writes: runners, culprit, inputs; whether it has passed
comparing_runs.py: `layerprobe compare`: two recorded runs, without model or truth
"""
