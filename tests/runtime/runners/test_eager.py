"""The runner eager: the live model, made again from its name, or a clear reason why not."""

import pytest

from runtime import InputError, RunnerUnavailable, Settings, open_artifact, open_runner, verify

FACTORY = """
import torch
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Dropout(0.5)), torch.zeros(1, 3, 8, 8)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("eager")


@pytest.fixture
def zoo(folder, layerprobe):
    """An artifact that the command line made, with a seed and a size of its own."""
    if not (folder / "zoo").exists():
        command = ("export", "torchvision:squeezenet1_1", "-o", folder / "zoo", "--seed", "3", "--input-size", "64")
        assert layerprobe(*command).code == 0
    return open_artifact(folder / "zoo")


def test_a_model_of_a_zoo_is_made_again_from_the_manifest(zoo):
    report = verify(zoo, ["eager"])
    assert report.passed
    facts = report.runners[0].facts
    assert (facts["model"], facts["weights_compared"]) == ("torchvision:squeezenet1_1", True)
    names = zoo.manifest.output_names
    found = open_runner(zoo, "eager", outputs=[names[5], names[0]]).run(zoo.reference().inputs)
    assert list(found) == [names[0], names[5]]


def test_other_weights_are_an_error_and_no_drift(zoo, folder, layerprobe):
    with pytest.raises(RunnerUnavailable, match="other weights than the artifact"):
        open_runner(zoo, "eager", Settings(seed=4))
    with pytest.raises(InputError, match="other weights than the artifact"):
        open_runner(zoo, "eager", Settings(model="torchvision:squeezenet1_1", seed=4))
    outcome = layerprobe(
        *("verify", zoo.path, "--runner", "eager", "--model", "torchvision:squeezenet1_1", "--seed", "4")
    )
    assert (outcome.code, "--weights F, or --seed N" in outcome.err) == (3, True)


def test_code_that_an_artifact_names_runs_only_where_it_is_asked_for(folder, layerprobe):
    source = folder / "factory_of_mine.py"
    source.write_text(FACTORY)
    assert layerprobe("export", f"{source}:make", "-o", folder / "own", "--seed", "1").code == 0
    outcome = layerprobe("verify", folder / "own", "--runner", "eager")
    assert (outcome.code, f"give --model {source}:make" in outcome.err) == (4, True)
    assert layerprobe("verify", folder / "own", "--runner", "eager", "--model", f"{source}:make").code == 0
    assert layerprobe("verify", folder / "own", "--model", f"{source}:make").code == 2


def test_an_artifact_made_from_python_needs_the_model_and_takes_it(exported):
    with pytest.raises(RunnerUnavailable, match=r"needs the live model.* give --model MODEL"):
        open_runner(exported("cnn2"), "eager")
    assert "needs the live model" in verify(exported("cnn2"), ["all"], trust=True).left_out["eager"]
    assert verify(exported("cnn2"), ["eager"], settings=Settings(model="cnn2")).passed
    with pytest.raises(InputError, match="other weights"):
        open_runner(exported("cnn2"), "eager", Settings(model="cnn2", seed=1))
