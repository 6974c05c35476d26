"""The maps of a photo: which probe is run for them, and how much at once."""

import numpy as np
import pytest

from runtime.artifact.errors import UsageError
from runtime.runners.registry import open_runner
from runtime.runs.photo_maps import PhotoRun


@pytest.fixture
def opened():
    """What was opened: the outputs of each run."""
    return []


@pytest.fixture
def photo_run(exported, photo, opened):
    def open_probe(probe, names):
        opened.append(names)
        return open_runner(probe, "onnx-cpu", None, names)

    return PhotoRun(exported("cnn3"), photo, open_probe)


def test_what_does_not_fit_in_memory_at_once_is_run_in_parts_with_the_same_maps(photo_run, opened, monkeypatch):
    outputs = photo_run.artifact.manifest.outputs
    whole = photo_run.maps(outputs)
    assert opened == [None]
    monkeypatch.setattr("runtime.runs.photo_maps._AT_ONCE_BYTES", 400_000)
    parts = photo_run.maps(outputs)
    assert len(opened) > 3
    assert [each.name for each in parts] == [each.name for each in whole] == photo_run.artifact.manifest.output_names
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_only_what_is_drawn_is_run(photo_run, opened):
    chosen = [
        output for output in photo_run.artifact.manifest.outputs if output.name in ("conv1", "fc", "cnn3", "relu")
    ]
    photo_run.maps(chosen)
    assert opened == [[output.name for output in chosen if output.has_map]]


def test_nothing_is_run_for_outputs_without_a_map(photo_run, opened):
    outputs = [output for output in photo_run.artifact.manifest.outputs if not output.has_map]
    with pytest.raises(UsageError, match="Nothing to draw: none of the"):
        photo_run.maps(outputs)
    assert opened == []
