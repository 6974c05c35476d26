"""Class activation maps: what of a photo speaks for a class, without a gradient, so in any runtime.

methods.py: table of the methods: exact, ablation, score, eigen; which cut negatives; auto; how many channels
class_head.py: the ONNX graph from the last maps to the scores: where the softmax is, whether all is linear
linear_nodes.py: table of ONNX operators behind the average: how a class's weights go back through each
class_scores.py: which result has classes; the highest one; softmax; what is an embedding
layer_choice.py: which layer is weighed: before the head, the deepest with a height and a width
class_run.py: one photo through a classifier: its tensors, scores and batches, cut at a layer
exact.py: exact CAM: the class's own weights in the model file
ablation.py: Ablation-CAM: what the score loses without a channel; the model from the layer on
masked_images.py: Score-CAM: the photo masked by each channel
cam_pages.py: draw_class_activations, --cam: each map over the photo, its name and the footer
cam_rows.py: --cam of several photos: each photo, and beside it its maps
class_activation.py: class_activation: an artifact and a photo -> a map, its class, score, method and layer
"""
