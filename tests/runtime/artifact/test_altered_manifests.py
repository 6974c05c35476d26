"""A manifest in which a field is wrong is refused as it is opened, in two lines, or can be used.

One that says something else than its copy inside a model file is refused before that file is used.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from altered_artifacts import alter_everywhere, alter_manifest, copy_of, rehash

from runtime import Artifact, ArtifactError, open_artifact, open_runner
from runtime.artifact.manifest import Manifest, parse_manifest
from runtime.maps.feature_grid import refuse_mapless
from runtime.runners.input_check import check_inputs
from runtime.runners.memory_need import bytes_of_batch

_REMOVED = object()
VALUES: tuple[Any, ...] = (
    *(_REMOVED, None, {}, [1], "", "object", f"N*{'9' * 400}", "a\x1b]0;b\nAll pass.", "A" * 1000),
    *(-1, 0, 2**40, 10**30, 1e301, float("nan")),
)


@pytest.fixture
def folder(exported: Callable[[str], Artifact], tmp_path: Path) -> Path:
    return copy_of(exported("cnn2").path, tmp_path / "art")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield every field; of a list, the first entry stands for all."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def with_value(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return None if value is _REMOVED else value
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if value is _REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


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


IMPOSSIBLE = {
    "a layout of another rank": (lambda m: m["outputs"][0].update(shape=["N", 8]), "doesn't fit its shape, N x 8"),
    "a layout of unknown letters": (lambda m: m["outputs"][0].update(layout="NXYZ"), "unknown layout 'NXYZ'"),
    "a layout with an axis twice": (lambda m: m["outputs"][0].update(layout="NCCW"), "unknown layout 'NCCW'"),
    "an unknown type": (lambda m: m["outputs"][0].update(dtype="object"), "unknown type 'object'"),
    "an unknown size": (lambda m: m["inputs"][0].update(shape=["1/0*N", 3, 64, 64]), "unknown size '1/0"),
    "a size that nothing has": (lambda m: m["outputs"][0].update(shape=["N", 2**40, 9, 9]), "impossible size"),
    "tokens of another number": (
        lambda m: m["outputs"][0].update(
            shape=["N", 10, 3], layout="NLC", tokens={"before": 0, "height": 3, "width": 4, "after": 0}
        ),
        "has 10 tokens, of which 12 are laid out",
    ),
    "a mean of several channels": (
        lambda m: m["outputs"][0].update(averaged=64),
        "is the mean of 64 channels, and it is no N x 1 x H x W",
    ),
    "tokens in a map": (
        lambda m: m["outputs"][0].update(tokens={"before": 0, "height": 3, "width": 4, "after": 0}),
        "has tokens, and its layout is",
    ),
    "a mean that no pixel has": (lambda m: m["preprocessing"].update(mean=[1e30] * 3), "less than or equal to"),
    "an empty name": (lambda m: m["outputs"][0].update(name=""), "a name is empty"),
}


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
