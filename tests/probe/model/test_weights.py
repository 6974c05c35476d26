"""Weights from a file: the model's own are taken whole, another model's are refused by name."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from probe import CNN2, CNN11, load_weights
from runtime.artifact.errors import WeightsError


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_models_own_weights_come_back(tmp_path, suffix):
    torch.manual_seed(3)
    source, target = CNN2(), CNN2()
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(source.state_dict(), file)
    else:
        save_file(source.state_dict(), file)
    load_weights(target, file)
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in source.state_dict().items())


def test_weights_of_another_model_name_the_first_keys_that_differ_and_change_nothing(tmp_path):
    file = tmp_path / "cnn11.pt"
    torch.save(CNN11().state_dict(), file)
    model = CNN2()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"cnn2\.weight: the model has 64 x 64 x 3 x 3, the file 128 x 64 x 3 x 3"):
        load_weights(model, file)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    file = tmp_path / "whole_model.pt"
    torch.save(CNN2(), file)
    with pytest.raises(WeightsError, match=r"whole model.*\n.*torch\.save\(model\.state_dict\(\), 'weights\.pt'\)"):
        load_weights(CNN2(), file)


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_an_unreadable_file_is_refused(tmp_path, name):
    with pytest.raises(WeightsError, match="There is no file"):
        load_weights(CNN2(), tmp_path / name)
    (tmp_path / name).write_bytes(b"\x00" * 64)
    with pytest.raises(WeightsError, match="can't be read as weights"):
        load_weights(CNN2(), tmp_path / name)


@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (lambda state: {"epoch": 3, "state_dict": state}, ["from its entry 'state_dict' (ignoring epoch)"]),
        (lambda state: {"model": state}, ["from its entry 'model'"]),
        (
            lambda state: {f"module.{key}": value for key, value in state.items()},
            ["without the prefix 'module.' in their names"],
        ),
        (lambda state: {key: value.half() for key, value in state.items()}, ["and cast from float16 to float32"]),
    ],
)
def test_what_training_scripts_save_is_understood_and_told(tmp_path, wrap, told):
    source, target = CNN2(), CNN2()
    torch.save(wrap(source.state_dict()), tmp_path / "checkpoint.pt")
    assert load_weights(target, tmp_path / "checkpoint.pt") == told
    assert torch.allclose(target.cnn1.weight, source.cnn1.weight, atol=1e-3)


def test_export_tells_where_in_a_checkpoint_the_weights_were(tmp_path, layerprobe):
    file = tmp_path / "checkpoint.pt"
    state = {f"module.{key}": value for key, value in CNN2().state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "loss": 0.5}, file)
    command = ("export", "cnn2", "--weights", file, "--outputs", "cnn1", "-o")
    told = layerprobe(*command, tmp_path / "told")
    assert told.err == (
        f"{file}: the weights are read from its entry 'state_dict' (ignoring epoch, loss), "
        "without the prefix 'module.' in their names\n"
    )
    assert layerprobe(*command, tmp_path / "quiet", "-q").err == ""
    refused = layerprobe("export", "torchvision:resnet18", "--weights", file, "-o", tmp_path / "other")
    assert f"The weights in {file} don't fit torchvision:resnet18: " in refused.err


def test_a_file_with_something_else_than_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(WeightsError, match="the keys epoch, not a state dict of tensors"):
        load_weights(CNN2(), tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
def test_the_prefixes_of_wrapped_models_are_taken_off(tmp_path, prefix):
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    torch.save({f"{prefix}{key}": value for key, value in other.state_dict().items()}, tmp_path / "w.pt")
    load_weights(model, tmp_path / "w.pt")
    assert torch.equal(model.weight, other.weight)


class Normed(nn.Sequential):
    """With a batch norm, which counts its batches."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def _prefixed(state, prefix):
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        (
            lambda state: {"state_dict": _prefixed(state, "model."), "epoch": 3},
            ["from its entry 'state_dict' (ignoring epoch)", "without the prefix 'model.' in their names"],
        ),
        (lambda state: _prefixed(state, "net.encoder."), ["without the prefix 'net.encoder.' in their names"]),
        (lambda state: {key: value.half() for key, value in state.items()}, ["and cast from float16 to float32"]),
        (lambda state: {key: value.double() for key, value in state.items()}, ["and cast from float64 to float32"]),
        (lambda state: {key: value for key, value in state.items() if "num_batches" not in key}, []),
    ],
)
def test_what_load_state_dict_takes_is_taken_and_the_rest_is_said(tmp_path, saved, told):
    source, target = Normed(), Normed()
    source(torch.randn(2, 3, 4, 4))
    torch.save(saved(source.state_dict()), tmp_path / "w.ckpt")
    assert load_weights(target, tmp_path / "w.ckpt") == told
    assert torch.allclose(target[1].running_mean, source[1].running_mean, atol=1e-3)


def test_a_prefix_is_taken_off_only_where_all_keys_fit(tmp_path):
    file = tmp_path / "w.pt"
    torch.save({**_prefixed(Normed().state_dict(), "model."), "loss.weight": torch.ones(2)}, file)
    with pytest.raises(WeightsError, match=r"0\.weight: the model has 2 x 3 x 1 x 1, the file none"):
        load_weights(Normed(), file)
