"""The sentence of a picture that says which class a trained classifier finds highest."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

import layerprobe as lp
from runtime.maps.picture import Text

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU()
        self.head = {head}

    def forward(self, x):
        return self.head(self.relu(self.conv(x)).mean((2, 3)))


def make():
    return Net()
"""


def drawn(tmp_path, head, *, trained=True):
    (tmp_path / "net.py").write_text(MODEL.format(head=head))
    torch.manual_seed(3)
    space: dict[str, object] = {"__name__": "net"}
    exec(compile((tmp_path / "net.py").read_text(), "net.py", "exec"), space)
    model = space["make"]()
    torch.save(model.state_dict(), tmp_path / "best.pt")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    weights = {"weights": str(tmp_path / "best.pt")} if trained else {}
    picture = lp.show(f"{tmp_path}/net.py:make", tmp_path / "a.png", input_size=32, **weights)
    return " ".join(part.text for part in picture.parts if isinstance(part, Text))


def test_a_trained_classifier_says_its_highest_class_and_the_weights_file(tmp_path):
    text = drawn(tmp_path, "nn.Linear(4, 7)")
    assert re.search(r"Highest class: [0-6] of 7 \(logit −?\d[\d.e−]*\)\.", text)
    assert "weights best.pt" in text


def test_a_softmax_gives_a_probability(tmp_path):
    text = drawn(tmp_path, "nn.Sequential(nn.Linear(4, 7), nn.Softmax(1))")
    (share,) = re.findall(r"Highest class: [0-6] of 7 \(probability (0\.\d+)\)\.", text)
    assert 1 / 7 <= float(share) <= 1


@pytest.mark.parametrize(
    ("head", "trained"), [("nn.Linear(4, 7)", False), ("nn.ReLU()", True), ("nn.Linear(4, 1)", True)]
)
def test_nothing_is_said_of_random_weights_embeddings_and_a_single_score(tmp_path, head, trained):
    text = drawn(tmp_path, head, trained=trained)
    assert "Highest class" not in text
