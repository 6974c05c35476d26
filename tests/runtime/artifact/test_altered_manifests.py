"""A manifest in which a field is wrong is refused as it is opened, in two lines, or can be used.

One that says something else than its copy inside a model file is refused before that file is used.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from altered_artifacts import (
    IMPOSSIBLE,
    VALUES,
    alter_everywhere,
    alter_manifest,
    copy_of,
    places,
    rehash,
    with_value,
)

from runtime import Artifact, ArtifactError, open_artifact, open_runner
from runtime.artifact.manifest import Manifest, parse_manifest
from runtime.maps.feature_grid import refuse_mapless
from runtime.runners.input_check import check_inputs
from runtime.runners.memory_need import bytes_of_batch


@pytest.fixture
def folder(exported: Callable[[str], Artifact], tmp_path: Path) -> Path:
    return copy_of(exported("cnn2").path, tmp_path / "art")


def use(manifest: Manifest) -> None:
    """Ask what the commands ask of a manifest before they open a model."""
    assert bytes_of_batch(manifest, 3) >= 0
    refuse_mapless(manifest.outputs)
    for output in manifest.outputs:
        assert "\x1b" not in output.located
        assert "\n" not in output.located
    with pytest.raises(Exception, match="takes"):
        check_inputs(manifest, {"none": None})  # type: ignore[dict-item]


def test_whatever_value_a_field_has_the_manifest_is_refused_in_two_lines_or_can_be_used(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    refused = 0
    for path in places(content):
        for value in VALUES:
            text = json.dumps(with_value(content, path, value))
            try:
                manifest = parse_manifest(text, Path("manifest.json"))
            except ArtifactError as error:
                refused += 1
                lines = str(error).splitlines()
                assert len(lines) == 2, (path, value)
                assert max(map(len, lines)) < 500, (path, value)
            else:
                use(manifest)
    assert refused > 500


@pytest.mark.parametrize(("fault", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_what_cannot_be_is_named(folder: Path, fault: Callable[[Any], None], said: str) -> None:
    alter_everywhere(folder, fault)
    with pytest.raises(ArtifactError) as refused:
        open_artifact(folder)
    assert said in str(refused.value)


def test_a_name_that_is_in_an_object_twice_is_refused(folder: Path) -> None:
    file = folder / "manifest.json"
    file.write_text(file.read_text().replace('"model":', '"model": "another",\n "model":', 1))
    with pytest.raises(ArtifactError, match="an object has 'model' twice"):
        open_artifact(folder)


def test_a_document_without_end_is_not_read(folder: Path) -> None:
    with (folder / "manifest.json").open("r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(ArtifactError, match="is not a valid manifest: it has more than"):
        open_artifact(folder)


ALTERED = {
    "preprocessing.mean.0 is 0.9, but 0.485": lambda m: m["preprocessing"]["mean"].__setitem__(0, 0.9),
    'preprocessing.interpolation is "nearest", but "bilinear"': lambda m: m["preprocessing"].update(
        interpolation="nearest"
    ),
    'outputs.1.source_file is "other.py", but ': lambda m: m["outputs"][1].update(source_file="other.py"),
    'results is {"": "relu"}, but {"": ': lambda m: m.update(results={"": "relu"}),
    "weights is null, but ": lambda m: m.update(weights=None),
}


@pytest.mark.parametrize(("said", "change"), ALTERED.items(), ids=ALTERED.keys())
@pytest.mark.parametrize(
    ("runner", "file"),
    [("onnx-cpu", "model.onnx"), ("torchscript", "model.torchscript.pt"), ("torch-export", "model.pt2")],
)
def test_a_field_that_differs_from_the_copy_in_the_model_file_is_named_with_both_values(
    folder: Path, said: str, change: Callable[[Any], None], runner: str, file: str
) -> None:
    alter_manifest(folder, change)
    with pytest.raises(ArtifactError) as refused:
        open_runner(open_artifact(folder), runner)
    assert f"the manifest was altered: its {said}" in str(refused.value)
    assert f"in the copy inside {file}.\n" in str(refused.value)


def test_a_file_whose_copy_another_tool_has_removed_is_used(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, folder / "model.onnx")
    rehash(folder, "model.onnx")
    artifact = open_artifact(folder)
    assert open_runner(artifact, "onnx-cpu").run(artifact.reference().inputs)
