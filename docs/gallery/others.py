"""What the pictures compare with: a photo with the eyes covered, and an ONNX file with a fault."""

import onnx
import torch
import trained
from onnx import numpy_helper
from PIL import Image, ImageDraw

photo = Image.open("photo.jpg")
ImageDraw.Draw(photo).rectangle((180, 175, 330, 230), fill="black")
photo.save("covered.jpg", quality=95)

model, example = trained.faces()
torch.onnx.export(model, example, "faces.onnx", dynamo=True, verbose=False)
faulty = onnx.load("faces.onnx")
slopes = next(
    weight for weight in faulty.graph.initializer if tuple(weight.dims)[:1] == (16,) and len(weight.dims) == 3
)
slopes.CopyFrom(numpy_helper.from_array(1.01 * numpy_helper.to_array(slopes), slopes.name))
onnx.save(faulty, "faulty.onnx")
