"""Choosing outputs, of a model and of an artifact, by one rule."""

import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from probe import build_probe
from runtime.artifact.errors import UsageError
from runtime.artifact.manifest import Origin
from runtime.artifact.selection import select_outputs

# Name, label, module path: a small ResNet, with the traps that torchvision's names set. `norm` is called three times,
# and `block.ln_1` is the name of one layer norm and the module of another.
OUTPUTS = [
    ("conv1", "Conv2d", "conv1"),
    ("norm", "BatchNorm2d", "norm"),
    ("relu", "relu", ""),
    ("layer1.0.conv1", "Conv2d", "layer1.0.conv1"),
    ("layer1.0.add", "add", "layer1.0"),
    ("norm_1", "BatchNorm2d", "norm"),
    ("layer1.1.conv1", "Conv2d", "layer1.1.conv1"),
    ("layer1.1.relu", "ReLU", "layer1.1.relu"),
    ("layer10.conv1", "Conv2d", "layer10.conv1"),
    ("norm_2", "BatchNorm2d", "norm"),
    ("block.ln", "LayerNorm", "block.ln_1"),
    ("block.ln_1", "LayerNorm", "block.ln_2"),
    ("fc", "Linear", "fc"),
]


ORIGINS = [
    Origin(name=name, label=label, module_path=path, operation="", source_file=None, source_line=None)
    for name, label, path in OUTPUTS
]


def select(patterns=(), operations=(), depth=None):
    return [each.name for each in select_outputs(ORIGINS, patterns, operations, depth)]


@pytest.mark.parametrize("name", ["a [b]", "c*", "d?", "[!e]"])
def test_a_name_that_is_no_glob_of_itself_is_found_and_nothing_else(name):
    others = [
        each.model_copy(update={"name": other}) for each, other in zip(ORIGINS, ("a b", "cc", "dd"), strict=False)
    ]
    theirs = ORIGINS[0].model_copy(update={"name": name})
    assert select_outputs([*others, theirs], [name]) == [theirs]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], [name for name, _, _ in OUTPUTS]),
        (["norm*"], ["norm", "norm_1", "norm_2"]),
        (["fc", "conv1"], ["conv1", "fc"]),
        (["*_1", "norm_?"], ["norm_1", "norm_2", "block.ln_1"]),
        (["layer1.[01].conv1"], ["layer1.0.conv1", "layer1.1.conv1"]),
        (["fc", "fc", "f*"], ["fc"]),
    ],
)
def test_names_and_globs_choose_in_the_order_of_execution(patterns, chosen):
    assert select(patterns) == chosen


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("layer1", "layer1.1.relu"),
        ("layer1.0", "layer1.0.add"),
        ("layer10", "layer10.conv1"),
        ("norm", "norm"),
        ("block.ln_1", "block.ln_1"),
        ("block.ln_2", "block.ln_1"),
    ],
)
def test_a_modules_path_stands_for_its_last_output_where_no_output_is_called_so(path, last):
    assert select([path]) == [last]


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("layer?", ["layer1.1.relu"]),
        ("layer1?", ["layer10.conv1"]),
        ("layer[1]", ["layer1.1.relu"]),
        ("layer?.?", ["layer1.0.add", "layer1.1.relu"]),
        ("l*r1*.0", ["layer1.0.add"]),
        ("bl?ck", ["block.ln_1"]),
        ("*.ln_?", ["block.ln_1"]),
        ("no*", ["norm", "norm_1", "norm_2"]),
    ],
)
def test_globs_match_the_paths_of_modules_as_well(pattern, chosen):
    assert select([pattern]) == chosen


BLOCKS = ["conv1", "norm", "layer1.0.add", "norm_1", "layer1.1.relu", "layer10.conv1", "norm_2", "block.ln_1", "fc"]


@pytest.mark.parametrize(("depth", "chosen"), [(1, BLOCKS), (2, [*BLOCKS[:-2], "block.ln", "block.ln_1", "fc"])])
def test_a_depth_selects_the_last_output_of_each_block_and_of_each_of_its_calls(depth, chosen):
    assert select(depth=depth) == chosen


def test_of_what_a_module_computes_between_its_own_modules_only_what_it_returns_is_an_output_of_blocks():
    names = select(depth=3)
    assert "layer1.0.add" in names
    assert "relu" not in names
    assert "layer1.0.conv1" in names


def test_a_sum_between_modules_is_none_of_the_blocks():
    inside = [
        Origin(name=name, label="", module_path=path, operation="", source_file=None, source_line=None)
        for name, path in (
            ("block.a.conv", "block.a.conv"),
            ("block.add", "block"),
            ("block.b.conv", "block.b.conv"),
            ("block.add_1", "block"),
            ("out", ""),
        )
    ]
    assert [each.name for each in select_outputs(inside, depth=2)] == ["block.a.conv", "block.b.conv", "block.add_1"]
    assert [each.name for each in select_outputs(inside, depth=1)] == ["block.add_1"]


def test_a_depth_and_other_choices_must_all_hold():
    assert select(["layer*"], depth=1) == ["layer1.0.add", "layer1.1.relu", "layer10.conv1"]
    assert select(["layer1"], ["add", "ReLU"], depth=2) == ["layer1.1.relu"]


def test_a_model_without_modules_has_no_depth():
    bare = [Origin(name="add", label="add", module_path="", operation="", source_file=None, source_line=None)]
    with pytest.raises(UsageError, match=r"No module is 1 deep.*\nOmit --depth"):
        select_outputs(bare, depth=1)


def test_paths_and_globs_go_together():
    assert select(["layer1", "layer1.0", "conv?"]) == ["conv1", "layer1.0.add", "layer1.1.relu"]


@pytest.mark.parametrize(
    ("operations", "chosen"),
    [
        (["conv2d"], ["conv1", "layer1.0.conv1", "layer1.1.conv1", "layer10.conv1"]),
        (["RELU"], ["relu", "layer1.1.relu"]),
        (["*Norm*"], ["norm", "norm_1", "norm_2", "block.ln", "block.ln_1"]),
        (["linear", "add"], ["layer1.0.add", "fc"]),
    ],
)
def test_labels_choose_without_regard_to_case(operations, chosen):
    assert select([], operations) == chosen


def test_of_names_and_labels_both_must_hold():
    assert select(["layer1.*", "fc"], ["Conv2d", "Linear"]) == ["layer1.0.conv1", "layer1.1.conv1", "fc"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ((["conv1", "layer1.2"],), "layer1.2'. The nearest: layer1.1, layer1.0"),
        ((["blok"],), "The nearest: block"),
        ((["Relu"],), "The nearest: relu"),
        ((["layer1.9.*"],), "The nearest: layer1"),
        ((["zzz"],), "The first: conv1, norm, relu"),
        (([""],), "The first: conv1, norm, relu"),
        (([], ["convd"]), "The nearest: Conv2d."),
        (([], ["zzz"]), "The labels are: Conv2d (4), BatchNorm2d (3), LayerNorm (2), relu (1), add (1)"),
        ((["fc", "conv1"], ["add"]), "matches conv1 (Conv2d), fc (Linear): none has the label 'add'."),
        ((["layer1"], ["Conv2d"]), "'layer1.*' matches all inside it"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is_near(wanted, said):
    with pytest.raises(UsageError) as caught:
        select(*wanted)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2
    assert caught.value.exit_code == 2


def test_a_probe_keeps_the_last_output_of_a_module_as_torchvision_does():
    model = torchvision.models.resnet18().eval()
    x = torch.randn(1, 3, 64, 64)
    probe = build_probe(model, x, outputs=["layer1", "layer4"])
    extractor = create_feature_extractor(model, ["layer1", "layer4"])
    assert [output.name for output in probe.outputs] == ["layer1.1.relu_1", "layer4.1.relu_1", "fc"]
    with torch.no_grad():
        tensors, expected = probe(x), extractor(x)
    assert torch.equal(tensors["layer1.1.relu_1"], expected["layer1"])
    assert torch.equal(tensors["layer4.1.relu_1"], expected["layer4"])


def test_a_probe_keeps_the_outputs_of_an_operation_and_what_the_model_returns():
    probe = build_probe(torchvision.models.alexnet(), torch.zeros(1, 3, 64, 64), operations=["maxpool2d"])
    assert [output.name for output in probe.outputs] == ["features.2", "features.5", "features.12", "classifier.6"]
