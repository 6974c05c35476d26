"""`export --input`: the recorded input is the user's own, from a NumPy file; one that doesn't fit is told in words."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from export.input_file import read_input_tensors
from probe import build_probe
from runtime import open_artifact
from runtime.artifact.errors import InputError
from runtime.artifact.manifest import Preprocessing


class Pair(nn.Module):
    def forward(self, left, right):
        return left - right.sum()


ARRAYS = {"left": np.linspace(0, 1, 48).reshape(1, 3, 4, 4), "right": np.array([[5, 6]])}


@pytest.fixture(scope="module")
def probe():
    return build_probe(Pair(), torch.zeros(1, 3, 4, 4), torch.tensor([[1, 2]]))


def test_inputs_are_read_by_name_and_rounded_to_the_dtype_of_the_model(probe, tmp_path):
    np.savez(tmp_path / "both.npz", right=ARRAYS["right"].astype(">i8"), left=ARRAYS["left"])
    ((left, right),) = read_input_tensors([tmp_path / "both.npz"], probe, None).values()
    assert left.dtype == torch.float32
    assert torch.equal(left, torch.from_numpy(ARRAYS["left"]).float())
    assert right.tolist() == [[5, 6]]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"left": ARRAYS["left"]},
            r"npz holds left, and .* takes left \(N x 3 x 4 x 4, float32\), .*\nnumpy.savez\(file, left=",
        ),
        (
            {**ARRAYS, "right": np.array([[None]])},
            r"can't be read as .npy or .npz: it is none, or holds Python objects\n",
        ),
        ({**ARRAYS, "right": np.array([["a"]])}, r"has an array of <U1, which is no tensor's type"),
    ],
)
def test_what_is_no_input_is_told(probe, tmp_path, arrays, said):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=said):
        read_input_tensors([tmp_path / "x.npz"], probe, None)


def test_a_file_that_is_none_is_told(probe, tmp_path):
    (tmp_path / "x.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"can't be read as .npy or .npz: it is none") as caught:
        read_input_tensors([tmp_path / "x.npy"], probe, None)
    assert "allow_pickle" not in str(caught.value)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    probe = build_probe(nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 4, 4))
    for name, value in (("b", 2), ("a", 1)):
        np.save(tmp_path / f"{name}.npy", np.full((1, 3, 4, 4), value, np.float32))
    found = read_input_tensors([tmp_path], probe, None)
    assert [(name, float(x.mean())) for name, (x,) in found.items()] == [
        (str(tmp_path / "a.npy"), 1.0),
        (str(tmp_path / "b.npy"), 2.0),
    ]
    with pytest.raises(InputError, match="There is no file or folder"):
        read_input_tensors([tmp_path / "c.npy"], probe, None)


def test_a_photo_is_preprocessed_as_the_model_wants_it(tmp_path):
    probe = build_probe(nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 4, 4))
    Image.new("RGB", (8, 8), (255, 0, 51)).save(tmp_path / "photo.png")
    steps = Preprocessing(resize=4, crop=(4, 4), mean=(0, 0, 0), std=(1, 1, 1))
    ((x,),) = read_input_tensors([tmp_path / "photo.png"], probe, steps).values()
    assert x.shape == (1, 3, 4, 4)
    assert x[0, :, 0, 0].tolist() == pytest.approx([1, 0, 0.2])


def test_the_command_line_records_the_input_that_it_is_given(layerprobe, tmp_path):
    (tmp_path / "net.py").write_text("from torch import nn\nnet = nn.Conv2d(3, 2, 3)\n")
    image = np.linspace(-3, 3, 2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    np.save(tmp_path / "x.npy", image)
    command = ("export", f"{tmp_path}/net.py:net", "--input-size", 8)
    done = layerprobe(*command, "-o", tmp_path / "a", "--input", tmp_path / "x.npy")
    assert done.code == 0, done.err
    assert (open_artifact(tmp_path / "a").reference().inputs["input"] == image).all()
    np.save(tmp_path / "y.npy", image[..., :5])
    refused = layerprobe(*command, "-o", tmp_path / "b", "--input", tmp_path / "y.npy")
    assert refused.code == 3
    assert "The input given is a tensor (2 x 3 x 8 x 5, float32)." in refused.err
