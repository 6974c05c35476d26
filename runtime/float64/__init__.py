"""An ONNX graph evaluated in float64, on NumPy alone, and what float32 or a file's bits may lose at each operator.

graph.py: walks through a graph, output by output: from the inputs, or from the tensors that a runtime got (forced)
ahead.py: computes the next value of a walk in another thread
nodes.py: one node, its floats widened to float64, run by onnx's evaluator; why it can't be evaluated
size_limit.py: refuses results that don't fit into the free memory, before a node is evaluated
operators.py: table of the operators that are computed here in place of onnx's own, by opset
convolutions.py: Conv, ConvTranspose, as matrix products in blocks
windows.py: windows and padding of convolutions and pools (auto_pad, dilations, ceil_mode)
pools.py: MaxPool, AveragePool, LpPool, global pools, MaxUnpool
products.py: Gemm, MatMul
normalizations.py: BatchNormalization, GroupNormalization, LRN, LpNormalization, Softmax, LogSoftmax, Hardmax, Dropout
activations.py: Erf, Gelu, HardSwish, Selu
resizing.py: Resize, Upsample: nearest, linear, cubic, antialias
sampling.py: GridSample, AffineGrid, DeformConv
regions.py: RoiAlign, MaxRoiPool, NonMaxSuppression
padding.py: Pad
indexing.py: GatherElements, GatherND, ScatterElements, ScatterND, OneHot
recurrent.py: LSTM, GRU, RNN
control_flow.py: Loop, Scan
quantization.py: QuantizeLinear, DequantizeLinear, QLinearConv, MatMulInteger, ...: rounding, saturation
contrib.py: operators of ONNX Runtime's own (com.microsoft) as ONNX operators; why an unknown one can't be computed
contrib_parts.py: the parts of its fused operators: FusedConv, BiasGelu, SkipLayerNormalization
contrib_quantized.py: the parts of its quantizer's operators: QLinearAdd, MatMulNBits
whole_steps.py: QLinearConv and QLinearMatMul as real operators between DequantizeLinear and QuantizeLinear
calls.py: one evaluation as the rules below see it: inputs, results, what the inputs lost
natural_scale.py: rules by operator: what one rounding may cost in each element (running error analysis)
steps.py: the same for quantized results: one step where a value lies at a tie
losses.py: what values may have lost since the nearest outputs, from node to node through a walk
inner_losses.py: what is lost inside subgraphs: branches and bodies of loops
number_types.py: spacing and largest number of float16, bfloat16, float8, ...
bit_noise.py: what float16, int8 or int4 explains of an error at each value: rounded weights and activations
bias_use.py: the step of a bias beside the product of its input's and its weight's
step_use.py: how far a range of whole steps is used: when it is clipped, too coarse, its zero point shifted
"""
