"""The estimate of what a batch's tensors take."""

from collections.abc import Callable

import numpy as np
import pytest

from runtime import Artifact, ExecutionError, UsageError, open_runner
from runtime.runners.memory_need import bytes_of_batch, refuse_too_large


def test_it_is_twice_the_outputs_and_the_input(exported: Callable[[str], Artifact]) -> None:
    artifact = exported("cnn2")
    images = np.zeros((3, 3, 64, 64), np.float32)
    outputs = open_runner(artifact, "onnx-cpu").run({"x": images})
    expected = images.nbytes + 2 * sum(array.nbytes for array in outputs.values())
    assert bytes_of_batch(artifact.manifest, 3) == expected


def test_open_sizes_are_those_of_the_preprocessing(exported: Callable[[str], Artifact]) -> None:
    manifest = exported("cnn2").manifest
    entry = manifest.outputs[0]
    for size, elements in (("H", 64), ("H/2", 32), ("2*N", 10), ("H?", 64), ("?", 1)):
        one = manifest.model_copy(update={"outputs": [entry.model_copy(update={"shape": ["N", size]})]})
        assert bytes_of_batch(one, 5) - 5 * 3 * 64 * 64 * 4 == 2 * 4 * 5 * elements


def test_the_largest_batch_that_fits_does_fit(
    exported: Callable[[str], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = exported("cnn2").manifest
    free = bytes_of_batch(manifest, 17) + 1000
    monkeypatch.setattr("runtime.runners.memory_need.free_bytes", lambda: free)
    refuse_too_large(manifest, 17)
    with pytest.raises(UsageError, match=r"about [\d,]+ MB .* are free.\nThe largest batch that fits is 17\."):
        refuse_too_large(manifest, 18)
    monkeypatch.setattr("runtime.runners.memory_need.free_bytes", lambda: 10)
    with pytest.raises(UsageError, match="Not even one image fits"):
        refuse_too_large(manifest, 1)


def test_outputs_that_fit_no_memory_are_not_computed(
    exported: Callable[[str], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = open_runner(exported("cnn2"), "onnx-cpu", outputs=["relu"])
    entry = next(output for output in runner.manifest.outputs if output.name == "relu")
    huge = entry.model_copy(update={"shape": ("N", 64, 100_000, 1000)})
    runner.manifest = runner.manifest.model_copy(update={"outputs": (huge,)})
    monkeypatch.setattr("runtime.runners.memory_need.free_bytes", lambda: 10**9)
    with pytest.raises(
        ExecutionError, match=r"take about 51,200 MB for these inputs; 1,000 MB are free\.\nSelect some"
    ):
        runner.run({"x": np.zeros((2, 3, 64, 64), np.float32)})
