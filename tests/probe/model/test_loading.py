"""MODEL on the command line: what it may be, and what is said when it is something else."""

import pytest
import torch

from probe import load_model
from runtime.artifact.errors import ModelError


def test_a_torchvision_model_comes_with_the_images_it_was_made_for():
    loaded = load_model("torchvision:resnet18")
    assert [tuple(tensor.shape) for tensor in loaded.example] == [(1, 3, 224, 224)]
    assert (loaded.image.resize, loaded.image.interpolation) == (256, "bilinear")
    assert loaded.image.mean == (0.485, 0.456, 0.406)


def test_a_timm_model_comes_with_the_images_it_was_made_for():
    loaded = load_model("timm:resnet10t")
    assert (loaded.example[0].shape[2:], loaded.image.interpolation) == ((176, 176), "bicubic")
    assert isinstance(loaded.module, torch.nn.Module)


def test_a_factory_in_a_file_may_import_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_factory.py").write_text("CHANNELS = 5\n")
    (tmp_path / "my_net.py").write_text(
        "from torch import nn\nfrom neighbour_of_factory import CHANNELS\n"
        "def make():\n    return nn.Conv2d(3, CHANNELS, 1)\n"
    )
    loaded = load_model(f"{tmp_path}/my_net.py:make")
    assert loaded.module.out_channels == 5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cnn12", "Did you mean cnn2"),
        ("torchvision:resnet19", "resnet18"),
        ("timm:resnet10tt", "resnet10t"),
        ("no/such/file.py:make", "There is no file"),
        ("no.such.package:make", "no module"),
        ("{file}:fails", "boom"),
        ("{file}:number", "returned an int, not a torch.nn.Module"),
        ("{file}:missing", "has no factory 'missing'. It has: fails, number."),
        ("{file}:fail", "has no factory 'fail'. The nearest: fails"),
        ("{file}:VALUE", "is an int: name a function that returns a model, or a model"),
        ("{file}", "factories.py needs a factory: "),
        ("{file}:", "factories.py:NAME, for example "),
        ("{file}", "It has: fails, number."),
        ("{broken}", "can't be imported: SyntaxError"),
        ("no/such/file.py", "There is no file"),
        ("{broken}:make", "can't be imported: SyntaxError"),
        ("{artifact}", "artifact is an artifact, not a model: `run`, `grid` and `verify` take it."),
        ("{artifact}/empty", "There is no model"),
    ],
)
def test_what_is_no_model_is_told_with_what_there_is(tmp_path, name, said):
    file, broken = tmp_path / "factories.py", tmp_path / "broken.py"
    file.write_text(
        "VALUE = 3\ndef fails():\n    raise ValueError('boom')\ndef number():\n    return 3\n", encoding="utf-8"
    )
    broken.write_text("def make(:\n")
    artifact = tmp_path / "artifact"
    (artifact / "empty").mkdir(parents=True)
    (artifact / "manifest.json").write_text("{}")
    with pytest.raises(ModelError) as caught:
        load_model(name.format(file=file, broken=broken, artifact=artifact))
    assert said in str(caught.value)


def test_a_file_without_a_factory_is_answered_with_its_functions_before_its_classes(tmp_path):
    (tmp_path / "nets.py").write_text(
        "from collections import OrderedDict\nfrom torch import nn\n"
        "class Block(nn.Module):\n    pass\n"
        "class Options:\n    pass\n"
        "ready = nn.ReLU()\n" + "".join(f"def make{number}():\n    return Block()\n" for number in range(4))
    )
    with pytest.raises(ModelError, match=r"It has: make0, make1, make2, make3, Block, and 1 more\.$"):
        load_model(f"{tmp_path}/nets.py")


def test_a_model_that_a_file_has_ready_is_taken_as_it_is(tmp_path):
    (tmp_path / "ready.py").write_text("from torch import nn\nnet = nn.Conv2d(1, 4, 3)\n")
    loaded = load_model(f"{tmp_path}/ready.py:net")
    assert loaded.module.out_channels == 4
    assert loaded.example[0].shape == (1, 1, 224, 224)


@pytest.mark.parametrize("size", [(), (64,), (64, 64), (3, 96, 96)])
def test_a_vision_transformer_is_made_for_the_size_that_it_is_given(size):
    loaded = load_model("torchvision:vit_b_32", input_size=size)
    assert loaded.module.image_size == loaded.example[0].shape[-1] == (size or (224,))[-1]


@pytest.mark.parametrize("name", ["net", "my-net v1.2", "2nd", "class", "torch"])
def test_a_class_is_known_by_one_name_however_often_and_from_wherever_its_file_is_loaded(tmp_path, name):
    names = []
    for folder in ("one", "other", "one"):
        file = tmp_path / folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text("from torch import nn\nclass Net(nn.Sequential):\n    pass\n")
        names.append(type(load_model(f"{file}:Net").module).__module__)
    assert names[0] == names[2] != names[1]
    assert all(each.isidentifier() and each not in {"class", "torch"} for each in names)
