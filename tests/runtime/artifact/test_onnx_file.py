"""An ONNX file read without its weights: the same model, which runtimes open, from whatever place it lies in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from runtime import Artifact, ArtifactError, open_artifact, open_runner
from runtime.artifact.onnx_file import read_onnx
from runtime.runners.onnx_session import executed_in_order


@pytest.fixture
def artifact(exported: Callable[[str], Artifact]) -> Artifact:
    return exported("cnn2")


def test_it_is_the_same_model_and_its_weights_are_found_in_the_file(artifact: Artifact) -> None:
    opened = read_onnx(artifact.file("model.onnx"))
    whole = onnx.load(artifact.file("model.onnx"))
    assert len(opened.content) < whole.ByteSize() / 5
    model = opened.model()
    assert any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
    onnx.load_external_data_for_model(model, str(opened.folder))
    for mine, theirs in zip(model.graph.initializer, whole.graph.initializer, strict=True):
        assert mine.name == theirs.name
        assert np.array_equal(numpy_helper.to_array(mine), numpy_helper.to_array(theirs))
    for each in (model, whole):
        del each.graph.initializer[:]
    assert model == whole


@pytest.mark.parametrize("share", [0.2, 0.5, 0.999])
def test_a_file_cut_short_is_no_model(share: float, artifact: Artifact, tmp_path: Path) -> None:
    content = artifact.file("model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ArtifactError, match=r"model\.onnx can't be loaded as an ONNX model: it is truncated"):
        read_onnx(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0f", bytes(range(256))])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="can't be loaded as an ONNX model"):
        read_onnx(tmp_path / "model.onnx").model()


@pytest.mark.parametrize("runner", ["onnx-cpu", "onnx-reference"])
def test_an_artifact_of_links_runs_as_one_of_files(runner: str, artifact: Artifact, tmp_path: Path) -> None:
    """Caches of downloads keep their files elsewhere, under other names."""
    store, folder = tmp_path / "store", tmp_path / "links"
    shutil.copytree(artifact.path, store)
    folder.mkdir()
    for number, file in enumerate(sorted(store.iterdir())):
        moved = file.rename(store / f"blob{number}")
        (folder / file.name).symlink_to(moved)
    inputs = artifact.reference().inputs
    names = ["cnn2", "relu_1"]
    expected = open_runner(artifact, runner, outputs=names).run(inputs)
    found = open_runner(open_artifact(folder), runner, outputs=names).run(inputs)
    for name in names:
        assert np.array_equal(found[name], expected[name])


def test_outputs_are_computed_in_the_order_of_execution(artifact: Artifact, tmp_path: Path) -> None:
    """Each is taken out of the blocks of channels right after it was computed, before the next convolution."""
    names = artifact.manifest.output_names
    content = executed_in_order(artifact.file("model.onnx").read_bytes(), names)
    onnx.checker.check_model(content, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == names
    nodes = [node for node in onnx.load(tmp_path / "optimised.onnx").graph.node if node.op_type != "Shape"]
    made = [name for node in nodes for name in node.output if name in names]
    # A batch norm and its convolution, say, are copied together, as it takes both in the blocks to go on.
    assert max(abs(names.index(name) - place) for place, name in enumerate(made)) <= 2
