"""`export --input F.npy` of a model that comes without an example: it is called with what is in the file."""

import numpy as np
import pytest

from runtime import open_artifact

MODELS = """
from torch import nn

def vectors():
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()

def sequences():
    return nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU()).eval()

def images():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 10 * 8, 2)).eval()
"""


@pytest.fixture
def export(layerprobe, tmp_path):
    """Export a factory of the file above, with an array of a shape as --input."""
    (tmp_path / "models.py").write_text(MODELS)

    def run(factory, shape, *options, name=None):
        array = np.random.default_rng(0).standard_normal(shape)  # float64, as NumPy makes them
        file = tmp_path / ("given.npz" if name else "given.npy")
        np.savez(file, **{name: array}) if name else np.save(file, array)
        model = f"{tmp_path / 'models.py'}:{factory}"
        return layerprobe("export", model, "-o", tmp_path / "art", "--input", file, *options)

    return run


@pytest.mark.parametrize(
    ("factory", "shape", "name"),
    [("vectors", (2, 12), None), ("vectors", (2, 12), "input"), ("sequences", (1, 4, 20), None)],
)
def test_it_is_called_with_what_is_in_the_file(export, tmp_path, factory, shape, name):
    assert export(factory, shape, name=name).code == 0
    (taken,) = open_artifact(tmp_path / "art").manifest.inputs
    assert list(taken.shape)[1:] == list(shape[1:])
    assert taken.dtype == "float32"


def test_an_image_keeps_its_preprocessing_in_the_size_of_the_file(export, tmp_path):
    assert export("images", (1, 3, 12, 10)).code == 0
    assert list(open_artifact(tmp_path / "art").manifest.preprocessing.crop) == [12, 10]


def test_the_live_model_is_called_with_the_same(export, layerprobe, tmp_path):
    assert export("vectors", (2, 12)).code == 0
    model = f"{tmp_path / 'models.py'}:vectors"
    judged = layerprobe("verify", tmp_path / "art", "--runner", "eager", "--model", model)
    assert judged.code == 0, judged.err


def test_without_a_file_the_message_says_that_one_helps(layerprobe, tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    outcome = layerprobe("export", f"{tmp_path / 'models.py'}:vectors", "-o", tmp_path / "art")
    assert outcome.code == 3
    assert "give `export` --input F.npy" in outcome.err


def test_a_size_that_is_given_counts_before_the_file(export):
    outcome = export("images", (1, 3, 20, 20), "--input-size", "12x10")
    assert outcome.code == 3
    assert "12 x 10" in outcome.err.replace("12, 10", "12 x 10")
