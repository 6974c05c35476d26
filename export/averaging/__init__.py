"""An ONNX model of a probe -> that of the averaged probe, which costs little more than the plain model.

planning.py: table of rewrites: how the mean of each tensor is computed, by the operator that makes it
maps.py: the kinds of plan, as data: weighted sum of channels, one filter, sum of maps, ReduceMean
convolution.py: mean of a convolution by one filter; when filtering the input is cheaper than reading the result
batch_norm.py: a sum of a batch norm's channels as one of its input's, and back; when that loses digits
norm_mean.py: mean of a batch norm's result, from its input or from that of the convolution before
addition.py: mean of a sum (residual) as the sum of the means
reduction.py: mean by ReduceMean: NHWC, tokens, half precision, integers
averaged_onnx.py: average_onnx: plans, then writes the maps' nodes into the graph
constants.py: reads constant weights of the graph, and adds new ones
blocked_activation.py: keeps Clip (ReLU6) in ONNX Runtime's blocks of channels by a 1 x 1 convolution
execution_order.py: order of the last nodes, so that each mean is taken early and memory is freed
"""
