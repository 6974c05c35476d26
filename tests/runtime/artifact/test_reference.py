"""The reference's file: what is written is read again, a truth at a time, and an altered file is told."""

import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from runtime.artifact.errors import ArtifactError
from runtime.artifact.reference import Reference, Truth, load_references, save_references
from runtime.artifact.tensor_summary import SAMPLE_LIMIT

OUTPUTS = 50


@pytest.fixture
def written(tmp_path):
    """Return the file of a reference, and the truths in it."""
    generator = np.random.default_rng(0)
    truths = {
        f"conv{number}": Truth(generator.standard_normal(SAMPLE_LIMIT), (1, 2, SAMPLE_LIMIT), 1.0 + number, 1e-7, 0)
        for number in range(OUTPUTS)
    }
    file = tmp_path / "reference.safetensors"
    save_references(file, [Reference({"x": np.ones((1, 3), np.float32)}, truths)])
    return file, truths


def test_what_is_written_is_read_again(written):
    file, truths = written
    (reference,) = load_references(file)
    np.testing.assert_array_equal(reference.inputs["x"], np.ones((1, 3), np.float32))
    assert list(reference.truths) == list(truths)
    for name, truth in reference.truths.items():
        np.testing.assert_array_equal(truth.sample, truths[name].sample)
        assert (truth.shape, truth.scale, truth.noise_floor) == (truths[name].shape, truths[name].scale, 1e-7)


def test_no_more_than_two_truths_are_in_memory_at_once(written):
    file, truths = written
    tracemalloc.start()
    try:
        assert sum(truth.sample.size for truth in load_references(file)[0].truths.values()) == OUTPUTS * SAMPLE_LIMIT
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * truths["conv0"].sample.nbytes


@pytest.mark.parametrize("change", [lambda file: file.unlink(), lambda file: file.write_bytes(b"something else")])
def test_a_file_that_changes_while_it_is_in_use_is_told(written, change):
    file, _ = written
    (reference,) = load_references(file)
    change(file)
    with pytest.raises(ArtifactError, match=r"reference\.safetensors"):
        list(reference.truths.values())


def test_a_truth_of_another_dtype_is_no_reference(written):
    from safetensors import safe_open

    file, _ = written
    with safe_open(file, framework="np") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    tensors["0/truth:conv3"] = tensors["0/truth:conv3"].astype(np.float32)
    save_file(tensors, file, metadata)
    with pytest.raises(ArtifactError, match="conv3 is not float64"):
        load_references(file)
