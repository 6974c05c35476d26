"""The three built-in CNNs, and the notebook's way of probing them as the oracle."""

import pytest
import torch
from torch import nn

from probe import CNN2, CNN3, CNN11, build_probe

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def _notebook_cnn11(model: CNN11, x: torch.Tensor) -> list[torch.Tensor]:
    kept = []
    x = model.cnn1(x)
    kept.append(x)
    x = model.batchnorm1(x)
    kept.append(x)
    x = model.relu(x)
    kept.append(x)
    x = model.maxpool(x)
    kept.append(x)
    x = model.cnn2(x)
    kept.append(x)
    x = model.batchnorm2(x)
    kept.append(x)
    x = model.relu(x)
    kept.append(x)
    x = model.maxpool(x)
    kept.append(x)
    x = torch.flatten(x, 1)
    kept.append(x)
    x = model.relu(x)
    kept.append(x)
    kept.append(model.fc(x))
    return kept


def _notebook_blocks(model: CNN2 | CNN3, x: torch.Tensor) -> list[torch.Tensor]:
    kept = []
    for conv in (model.cnn1, model.cnn2, model.cnn2, model.cnn2):
        x = conv(x)
        kept.append(x)
        x = model.batchnorm1(x)
        kept.append(x)
        x = model.relu(x)
        kept.append(x)
        if model.pooled:
            x = model.maxpool(x)
            kept.append(x)
    x = torch.flatten(x, 1)
    kept.append(x)
    x = model.relu(x)
    kept.append(x)
    kept.append(model.fc(x))
    return kept


@pytest.mark.parametrize(
    ("variant", "notebook", "count"),
    [(CNN11, _notebook_cnn11, 11), (CNN2, _notebook_blocks, 19), (CNN3, _notebook_blocks, 15)],
)
def test_the_probe_gives_bit_for_bit_what_hand_kept_lists_give(variant, notebook, count):
    torch.manual_seed(0)
    model = variant().eval()
    # Statistics that are not 0 and 1, so that a batch norm left out would show.
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 2)
    with torch.no_grad():
        expected = notebook(model, IMAGES)
        outputs = build_probe(model, IMAGES)(IMAGES)
    assert len(outputs) == len(expected) == count
    for (name, tensor), wanted in zip(outputs.items(), expected, strict=True):
        assert torch.equal(tensor, wanted), name


def test_the_names_are_those_of_the_modules_with_an_index_for_later_calls():
    assert [output.name for output in build_probe(CNN3(), IMAGES).outputs] == [
        "cnn1",
        "batchnorm1",
        "relu",
        "cnn2",
        "batchnorm1_1",
        "relu_1",
        "cnn2_1",
        "batchnorm1_2",
        "relu_2",
        "cnn2_2",
        "batchnorm1_3",
        "relu_3",
        "flatten",
        "relu_4",
        "fc",
    ]


@pytest.mark.parametrize(("variant", "features"), [(CNN11, 32768), (CNN2, 1024), (CNN3, 1024)])
def test_a_variant_has_the_layers_that_its_name_promises(variant, features):
    model = variant(out_channels=10)
    assert (model.fc.in_features, model.fc.out_features) == (features, 10)
    assert model(IMAGES).shape == (2, 10)
    assert isinstance(model.cnn1, nn.Conv2d)


@pytest.mark.parametrize("variant", [CNN11, CNN2, CNN3])
def test_other_hyperparameters_still_fit_the_linear_layer(variant):
    model = variant(1, 8, 12, 4, kernel_size_cnn=5, kernel_size_pool=3, stride1=1, stride2=2, padding=2)
    assert model(torch.randn(1, 1, 64, 64)).shape == (1, 4)


def test_an_image_of_another_size_is_answered_with_both_numbers():
    with pytest.raises(ValueError, match=r"2304 features.*takes 1024.*64 x 64"):
        CNN2()(torch.zeros(1, 3, 96, 96))


def test_the_fresh_weights_follow_the_seed_and_leave_the_global_generator_alone():
    from probe import load_model

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (load_model("cnn2", seed).module.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first["cnn1.weight"], second["cnn1.weight"])
    assert not torch.equal(first["cnn1.weight"], other["cnn1.weight"])
