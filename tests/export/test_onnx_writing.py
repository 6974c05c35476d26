"""An ONNX file that is written weight by weight is the one that onnx itself writes."""

from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.onnx_writing import write_whole
from runtime.artifact.onnx_file import read_onnx
from runtime.artifact.onnx_weights import place_of


def _model() -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    weights = {"large": generator.normal(size=(300, 200)), "small": np.ones((2, 1)), "empty": np.ones((0, 3))}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["large"], ["y"])],
        "weights",
        [],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [300, 200])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
        doc_string="kept",
    )
    graph.initializer.append(onnx.helper.make_tensor("listed", onnx.TensorProto.INT64, [2], [1, 2]))
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], producer_name="someone")


@pytest.mark.parametrize("beside", [False, True], ids=["weights inside", "weights beside"])
def test_what_is_written_is_the_model(tmp_path: Path, beside: bool) -> None:
    expected = _model()
    saved = onnx.ModelProto()
    saved.CopyFrom(expected)
    onnx.save(saved, tmp_path / "given.onnx", save_as_external_data=beside, location="w" if beside else None)
    read = read_onnx(tmp_path / "given.onnx")
    stream = BytesIO()
    model = read.model()
    write_whole(model, [place_of(tensor, read.folder) for tensor in model.graph.initializer], stream)
    assert onnx.load_model_from_string(stream.getvalue()) == expected


def test_a_weight_that_was_cut_off_is_told(tmp_path: Path) -> None:
    onnx.save(_model(), tmp_path / "given.onnx", save_as_external_data=True, location="w", size_threshold=0)
    read = read_onnx(tmp_path / "given.onnx")
    model = read.model()
    places = [place_of(tensor, read.folder) for tensor in model.graph.initializer]
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:1000])
    with pytest.raises(ValueError, match="a weight reaches beyond the end of 'w'"):
        write_whole(model, places, BytesIO())
    with pytest.raises(ValueError, match="reaches beyond the end of 'w'"):
        place_of(model.graph.initializer[0], read.folder)
