"""`layerprobe grid MODEL` and `lp.show`: from a model to its picture, without an export."""

import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

import layerprobe as lp
from map_pictures import texts, with_title
from probe import build_probe, load_model
from probe.model.weights import trained_weights

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True))

    def forward(self, x):
        print("a word of the model's own")
        return {"out": self.block(self.stem(x)), "size": x.shape[0]}


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 2, 3), nn.Linear(2 * 30 * 30, 5)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, left, right):
        return self.conv(left) - self.conv(right)


class Writing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        self.conv.weight.data.mul_(0.9)
        return self.conv(x)


def make():
    torch.manual_seed(0)
    return Net(), torch.zeros(1, 3, 32, 32)


def head():
    return Head().eval()


def pair():
    return Pair(), (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))


def writing():
    return Writing(), torch.zeros(1, 3, 16, 16)


def audio():
    return nn.Conv1d(1, 2, 5), torch.zeros(1, 1, 400)
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return tmp_path / "net.py"


@pytest.fixture
def drawn(tmp_path, photo, layerprobe):
    """Draw as SVG and return the outcome, and the texts in the picture in the order of drawing."""

    def draw(model, *options, image=photo):
        file = tmp_path / "maps.svg"
        outcome = layerprobe("grid", model, image, "-o", file, *options)
        texts = ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text") if outcome.code == 0 else ()
        return outcome, with_title([each.text for each in texts])

    return draw


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).eval()


def tiles(texts):
    """The names of the outputs that have a tile, with their details and ranges, but not the title."""
    return [each for each in texts[1:] if not each.startswith("Random weights")]


def test_a_model_is_drawn_as_its_artifact_is(drawn, exported):
    outcome, of_model = drawn("cnn3")
    assert outcome.code == 0
    file, drawn_of, left_out = outcome.out.splitlines()
    assert file.endswith("by eager on cpu")
    assert drawn_of == "Drawn: the maps that look different. --all-pages draws all."
    assert left_out.startswith("Left out (--outputs and --aliases draw them): 4 look like another (batchnorm1 ≈ cnn1")
    assert outcome.err == ""
    _, of_artifact = drawn(exported("cnn3").path)
    assert of_model[0] == "cnn3 · random weights (seed 0), nothing learned · grace_hopper.jpg"
    assert tiles(of_model) == tiles(of_artifact)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--outputs", "stem"), ["stem"]),
        (("--op", "relu"), ["block.1"]),
        (("--depth", "1"), ["stem", "block.1"]),
        (("--reduce", "std"), ["stem", "block.0", "block.1"]),
        (("--channels", "stem", "--top", "2"), None),
    ],
)
def test_all_that_chooses_what_a_grid_shows_works_on_a_model(drawn, net, options, names):
    outcome, texts = drawn(f"{net}:make", "--no-photo", *options)
    assert outcome.code == 0
    assert names is None or [each for each in texts if each in ("stem", "block.0", "block.1")] == names
    assert "a word of the model's own" not in outcome.out


def test_what_a_model_overwrites_in_place_is_drawn_as_it_was(drawn, net):
    _, texts = drawn(f"{net}:make", "--no-photo", "--outputs", "block.0")
    lowest = next(text for text in texts if text[0] in "−0123456789" and "." in text)
    assert lowest.startswith("−")  # the ReLU after it has cut that off


def test_a_models_weights_and_preprocessing_are_chosen_as_for_export(drawn, net, tmp_path, layerprobe, photo):
    model = load_model(f"{net}:make").module
    with torch.no_grad():
        model.stem.weight.mul_(3)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "best.pt")
    options = ("--weights", tmp_path / "best.pt", "--mean", "0.1,0.2,0.3", "--std", "1,2,3")
    outcome, of_model = drawn(f"{net}:make", *options)
    said = [each for each in outcome.err.splitlines() if not each.startswith("a word of ")]
    assert said == [
        f"{tmp_path / 'best.pt'}: the weights are read from its entry 'state_dict'",
        "Net was in training mode: its probe is of the model in eval mode",
    ]
    layerprobe("export", f"{net}:make", "-o", tmp_path / "art", *options)
    _, of_artifact = drawn(tmp_path / "art")
    assert tiles(of_model) == tiles(of_artifact)


def test_somebodys_onnx_file_is_drawn_at_once(drawn, exported, tmp_path, layerprobe, photo):
    torch.onnx.export(
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()).eval(), (torch.zeros(1, 3, 16, 16),), tmp_path / "theirs.onnx"
    )
    outcome, texts = drawn(tmp_path / "theirs.onnx", "--provider", "cpu", "--op", "Relu", "--no-photo")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0].endswith("by onnx-cpu on CPUExecutionProvider")
    assert texts[0] == "theirs · weights of the ONNX file · grace_hopper.jpg"
    assert "relu" in texts
    assert sorted(each.name for each in tmp_path.iterdir()) == ["maps.svg", "theirs.onnx", "theirs.onnx.data"]


def test_a_folder_of_that_name_is_an_artifact_and_no_model(drawn, exported, tmp_path, monkeypatch):
    (tmp_path / "cnn2").symlink_to(exported("cnn2").path)
    monkeypatch.chdir(tmp_path)
    outcome, _ = drawn("cnn2", "--provider", "cpu")
    assert outcome.out.splitlines()[0].endswith("by onnx-cpu on CPUExecutionProvider")


@pytest.mark.parametrize(
    ("model", "options", "code", "said"),
    [
        ("cnn2", ("--provider", "cpu"), 2, "A PyTorch model runs in PyTorch itself: omit --provider"),
        ("cnn2", ("--runner", "torchscript"), 2, "A PyTorch model runs in PyTorch itself: omit --runner"),
        ("{art}", ("--seed", "1"), 2, "--seed (seed=) is for a model, and {art} is an artifact: omit it."),
        ("{lone}.pt", (), 4, "is a lone program, for --runner torchscript"),
        ("no-folder", (), 3, "`layerprobe export MODEL -o no-folder` makes an artifact there."),
        ("{net}", (), 3, "needs a factory"),
        ("{net}:mak", (), 3, "has no factory 'mak'. The nearest: make."),
        ("torchvision:resnet81", (), 3, "The nearest: resnet18"),
        ("{net}:head", (), 3, "Images of 224 x 224 were assumed: --input-size (input_size=) says how large they are."),
        ("{net}:head", (), 3, "let the factory return the module and an example of them."),
        ("{net}:writing", (), 3, "writes to the parameter conv.weight"),
        ("{net}:pair", (), 3, "takes left (1 x 3 x 16 x 16, float32), right (1 x 3 x 16 x 16, float32)."),
        ("{net}:audio", (), 3, "takes input (1 x 1 x 400, float32)."),
        ("{net}:make", ("--outputs", "stm"), 2, "The nearest: stem"),
        ("{net}:make", ("--submodule", "blok"), 3, "blok"),
    ],
)
def test_what_cannot_be_drawn_is_told(drawn, exported, tmp_path, net, model, options, code, said):
    names = {"art": tmp_path / "art", "lone": tmp_path / "lone", "net": net}
    (tmp_path / "art").symlink_to(exported("cnn2").path)
    (tmp_path / "lone.pt").write_bytes((exported("cnn2").path / "model.torchscript.pt").read_bytes())
    outcome, _ = drawn(model.format(**names), *options)
    assert outcome.code == code
    assert said.format(**names) in outcome.err
    assert len(outcome.err.partition("layerprobe: ")[2].splitlines()) <= 3


def test_the_size_of_the_image_can_be_said(drawn, net):
    outcome, texts = drawn(f"{net}:head", "--input-size", "32", "--no-photo")
    assert (outcome.code, texts[2]) == (0, "Conv2d · 2 × 30 × 30")


def test_a_model_of_two_images_is_drawn_from_a_file_of_arrays(drawn, net, tmp_path):
    left, right = np.random.default_rng(0).normal(size=(2, 1, 3, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "pair.npz", left=left, right=right)
    outcome, texts = drawn(f"{net}:pair", image=tmp_path / "pair.npz")
    assert outcome.code == 0
    assert texts[0].endswith("net.py:pair · weights from its code · pair.npz")
    assert {"conv", "conv_1", "sub"} <= set(texts)


def test_a_photo_is_a_file_a_picture_pixels_or_a_tensor(small, photo):
    steps = lp.Preprocessing(resize=40, crop=(32, 32), mean=[0.5] * 3, std=[0.5] * 3)
    picture = Image.open(photo)
    pixels = np.asarray(picture)
    tensor = torch.from_numpy(lp.preprocess_files([photo, photo], steps))
    rgb = torch.from_numpy(pixels.copy()).permute(2, 0, 1)  # as torchvision reads it
    choices = {"show_photo": False, "title": "maps", "preprocessing": steps}
    pictures = [
        lp.show(small, each, **choices)._repr_png_()
        for each in (photo, str(photo), picture, pixels, rgb, tensor, tensor[0], tensor.numpy(), {"input": tensor[:1]})
    ]
    assert all(each == pictures[0] for each in pictures)


def test_a_module_a_probe_and_an_artifact_give_one_picture(exported, photo, monkeypatch, tmp_path):
    artifact = exported("cnn2")
    loaded = load_model("cnn2")
    steps = artifact.manifest.preprocessing
    named, of_module = (
        lp.show(model, photo, "*", title="maps", preprocessing=steps)._repr_png_() for model in ("cnn2", loaded.module)
    )
    assert of_module == named
    probe = build_probe(loaded.module, torch.zeros(1, 3, 64, 64))
    assert lp.show(probe, photo, "*", title="maps", preprocessing=steps)._repr_png_() == named
    random = " · random weights (seed 0), nothing learned · grace_hopper.jpg"
    overviews = [texts(lp.show(model, photo, preprocessing=steps)) for model in ("cnn2", loaded.module)]
    assert [random in written for written in overviews] == [True, False], "who has it in memory may have trained it"
    assert lp.show(artifact, photo, title="maps").height == lp.show(artifact.path, photo, title="maps").height
    lp.show(probe, photo, "cnn2", width=640).save(tmp_path / "maps.png")
    assert Image.open(tmp_path / "maps.png").width == 640


def test_a_module_is_as_it_was_after_it_was_drawn(photo):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, x):
            if self.training:
                self.calls += 1
            return self.norm(x)

    model = Counting()
    heard = []
    model.norm.register_forward_hook(lambda *given: heard.append(given))
    before = {name: each.clone() for name, each in model.state_dict().items()}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        lp.show(model, photo, input_size=16)
    assert [each.category.__name__ for each in told] == ["TrainingModeWarning"]
    assert [each.training for each in model.modules()] == [True, True]
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(each.grad is None and each.requires_grad for each in model.parameters())


def test_a_module_says_itself_how_large_its_images_are(photo):
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    model.image_size = 20
    assert "Conv2d · 2 × 18 × 18" in texts(lp.show(model, photo, page=1, show_photo=False))
    assert "Conv2d · 2 × 10 × 14" in texts(lp.show(model, photo, input_size=(12, 16), show_photo=False))


def test_a_model_in_half_precision_is_drawn(photo):
    model = nn.Sequential(nn.Conv2d(3, 2, 3)).bfloat16()
    assert lp.show(model.eval(), photo, input_size=16).pages == 1


def test_only_what_is_drawn_is_kept_in_memory(small, photo, monkeypatch):
    whole = lp.show(small, photo, input_size=32)._repr_png_()
    monkeypatch.setattr("runtime.runs.photo_maps._AT_ONCE_BYTES", 1)  # each output in a run of its own
    assert lp.show(small, photo, input_size=32)._repr_png_() == whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (({"model": 1}, None), "A dict can't be drawn"),
        (("small", "no.jpg"), "no.jpg"),
        (("small", np.zeros((8, 8, 3))), "Pixels are uint8; these are float64, 8 x 8 x 3."),
        (("small", np.zeros((8, 8, 2), np.uint8)), "Pixels are H W, H W C or C H W"),
        (("small", {"x": np.zeros((1, 3, 8, 8))}), "It was given x."),
        (("small", torch.zeros(1, 4, 8, 8)), "fails"),
        (("small", ["a.jpg", "b.png"]), "by name, not a list of 2.\nOne call draws one photo. Several side"),
        (("small", None), "A photo is an image file, a picture of Pillow's, pixels"),
        (("small", None), "by name, not None."),
        (("small", torch.tensor(1.0)), "by name, not one Tensor without axes."),
    ],
)
def test_what_show_is_not_made_for_is_told(arguments, said, small):
    model, photo = arguments
    with pytest.raises(lp.LayerprobeError, match=said.replace("(", r"\(")):
        lp.show(small if model == "small" else model, photo)


def test_a_tensor_is_not_said_to_have_a_size_that_was_assumed(photo):
    """Only where the size of a photo was assumed may that be why the model fails."""
    linear = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 2)).eval()
    with pytest.raises(lp.ModelError) as of_tensor:
        lp.show(linear, torch.zeros(1, 3, 32, 32))
    assert "assumed" not in str(of_tensor.value)
    with pytest.raises(lp.ModelError, match="Images of 224 x 224 were assumed: --input-size"):
        lp.show(linear, photo)


def test_a_choice_that_does_not_exist_is_told(small, photo):
    with pytest.raises(lp.UsageError, match="A grid has no choice 'colour'"):
        lp.show(small, photo, colour="red")
    with pytest.raises(lp.UsageError, match="weights= and submodule= are for a model's name"):
        lp.show(small, photo, weights="best.pt")


def deep_model():
    """Return a model of more maps than a page holds: 4 stages of 4 blocks of 4 convolutions, and one before them."""
    torch.manual_seed(0)

    def several(make, count):
        return nn.Sequential(*(make() for _ in range(count)))

    stages = several(lambda: several(lambda: several(lambda: nn.Conv2d(3, 3, 3, padding=1), 4), 4), 4)
    return nn.Sequential(nn.Conv2d(3, 3, 1), stages)


def test_of_more_maps_than_a_page_holds_those_of_blocks_are_drawn_unless_others_are_asked_for():
    model, image = deep_model(), torch.rand(1, 3, 8, 8)
    overview = lp.show(model, image)
    blocks = ["0", *(f"1.{stage}.{block}.3" for stage in range(4) for block in range(4))]
    written = texts(overview)
    shown = [text for text in written if text in blocks]
    assert shown == [each for each in blocks if each in shown]
    assert shown[-1] == blocks[-1], "what the model ends with is always drawn"
    assert 5 <= len(shown) <= 11, "what looks alike is drawn once"
    said = " ".join(written)
    others = f"48 lie inside blocks, {len(blocks) - len(shown)} look like a tile here"
    assert f"{len(shown)} of 65 outputs are drawn; of the others {others}." in said
    assert overview.facts[0] == "Drawn: what each block returns (--depth 3). --all-pages draws all."
    assert "48 are inside blocks (1.0.0.0, …)" in overview.facts[-1], "with names"
    assert (overview.pages, lp.show(model, image, page=2).pages, lp.show(model, image, "*").pages) == (1, 2, 2)
    assert "of 65 outputs" not in " ".join(texts(lp.show(model, image, depth=2)))


def test_a_comparison_of_more_rows_than_a_page_holds_is_one_of_blocks(tmp_path, photo, layerprobe):
    (tmp_path / "deep.py").write_text(
        "import torch\nfrom torch import nn\n\n\ndef make():\n    torch.manual_seed(0)\n    return nn.Sequential("
        "*(nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(5))) for _ in range(3)))\n"
    )
    given = ("grid", f"{tmp_path / 'deep.py'}:make", photo, photo, "-o", tmp_path / "both.svg", "--input-size", 16)
    assert layerprobe(*given).out.endswith("by eager on cpu\n")
    written = [each.text for each in ElementTree.parse(tmp_path / "both.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in written if text in ("0.4", "1.4", "2.4", "0.3")] == ["0.4", "1.4", "2.4"]
    assert "An overview: what each block returns (--depth 1)." in " ".join(written)


def test_of_what_hardly_varies_the_last_of_a_block_is_drawn_and_said_to_be_weak():
    torch.manual_seed(0)
    stages = (nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(3))) for _ in range(2))
    model = nn.Sequential(*stages).eval()
    with torch.no_grad():
        model[1][0].weight.mul_(1e-6)
    image = torch.rand(1, 3, 20, 20)
    written = texts(lp.show(model, image))
    assert [text for text in written if text in ("0.0", "0.1", "0.2", "1.2")] == ["0.0", "0.1", "0.2", "1.2"]
    assert any(text.endswith("faint") for text in written)
    assert "of the others 2 are nearly constant." in " ".join(written)
    asked = texts(lp.show(model, image, ["0.2", "1.0"]))
    assert "faint" in asked or "Conv2d · 3 × 20 × 20 · faint" in asked


def test_neighbours_that_hardly_differ_are_drawn_once_and_counted():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(3)[..., None, None] * torch.eye(3)[1] * torch.eye(3)[1][:, None])
        model[1].weight.add_(0.02 * torch.randn(3, 3, 3, 3))
    image = torch.rand(1, 3, 12, 12)
    written = texts(lp.show(model, image))
    assert "1" not in written
    assert "2 of 3 outputs are drawn; of the others 1 looks like a tile here." in " ".join(written)
    assert "1" in texts(lp.show(model, image, ["0", "1"]))


class Residual(nn.Module):
    """A block whose branch is scaled to next to nothing, as a fresh layer scale does it."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())

    def forward(self, x):
        return x + 1e-6 * self.branch(x)


def test_where_a_blocks_sum_looks_like_its_input_the_branch_is_drawn_and_said_to_be_one():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 3, 3), Residual(), nn.Conv2d(3, 3, 3)).eval()
    written = texts(lp.show(model, torch.rand(1, 3, 12, 12)))
    assert {"ReLU · mean of 3 ch ·", "branch"} <= {*written}
    assert "Branch: what a block adds to its input; their sum is what the block returns." in " ".join(written)
    assert "1.add" not in written


def test_the_activation_after_a_blocks_sum_is_no_branch_of_it():
    torch.manual_seed(0)
    model = torchvision.models.resnet.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1]).eval()
    written = texts(lp.show(model, torch.rand(1, 3, 64, 64)))
    shown = [at for at, text in enumerate(written) if text.startswith("layer") and "." in text]
    branches = {written[at] for at in shown if "branch" in written[at + 1 : at + 3]}
    assert {"layer1.0.conv2", "layer2.0.conv2"} <= branches
    assert {"layer2.0.relu_1", "layer4.0.relu_1"} <= {written[at] for at in shown} - branches


def test_the_channels_of_a_module_are_those_of_its_last_output_and_of_several_outputs_none():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())).eval()
    image = torch.rand(1, 3, 12, 12)
    assert "Each tile is one channel of 0.1 (Tanh · 4 × 10 × 10)" in " ".join(
        texts(lp.show(model, image, channels="0"))
    )
    with pytest.raises(lp.UsageError, match=r"The channels of one output .* '0\.\*' matches 2: 0\.0, 0\.1\."):
        lp.show(model, image, channels="0.*")


class Masked(nn.Module):
    """Takes an image and a mask."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image, mask):
        return self.conv(image) * mask


@pytest.mark.parametrize("as_given", [lambda tensor: tensor, lambda tensor: tensor.double().numpy()])
def test_a_module_of_several_inputs_is_drawn_with_those_by_name(as_given):
    given = {"image": as_given(torch.rand(1, 3, 12, 12)), "mask": as_given(torch.rand(1, 1, 10, 10))}
    written = texts(lp.show(Masked().eval(), given))
    assert {"conv", "mul"} <= {*written}
    with pytest.raises(lp.ModelError, match="takes image, mask"):
        lp.show(Masked().eval(), {"image": given["image"], "msk": given["mask"]})


class Functional(nn.Module):
    """One convolution, and more functions behind it than a page holds."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        x = self.conv(x)
        for step in range(60):
            x = torch.sin(x * (step + 2))
        return x


def test_an_overview_ends_at_the_deepest_layers(tmp_path, photo, layerprobe):
    torch.manual_seed(0)
    overview = " ".join(texts(lp.show(Functional(), torch.rand(1, 3, 12, 12))))
    assert "1 of 121 outputs is drawn; of the others 120 look like a tile here." in overview
    (tmp_path / "functional.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.conv = nn.Conv2d(3, 2, 3)\n\n    def forward(self, x):\n"
        "        x = self.conv(x)\n        for step in range(9):\n            x = x.roll(step + 1, 2)\n"
        "        return x\n"
    )
    given = ("grid", f"{tmp_path / 'functional.py'}:Net", photo, photo, "-o", tmp_path / "both.png")
    assert layerprobe(*given, "--input-size", 16).out.endswith("by eager on cpu\n")


def test_where_trained_weights_are_is_said_of_a_model_of_torchvision():
    resnet = torchvision.models.ResNet18_Weights.DEFAULT.url
    assert trained_weights("torchvision:resnet18") == resnet
    assert trained_weights("torchvision:mnasnet0_5").startswith("http")
    assert [trained_weights(each) for each in ("torchvision:none", "cnn3", "timm:resnet18")] == ["", "", ""]
