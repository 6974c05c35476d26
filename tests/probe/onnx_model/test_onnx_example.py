"""What an ONNX file is called with: which axes are open, how long they are, and what settles the others."""

import numpy as np
import pytest
from onnx_making import constant, node, save, value, weight

from probe.onnx_model.loading import load_onnx
from runtime.artifact.errors import InputError, ModelError

W = weight("w", 4, 3, 3, 3)
CONV = node("Conv", ["x", "w"], ["y"], "conv", kernel_shape=[3, 3])
PADDED = node("Conv", ["x", "w"], ["y"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
ONCE = node("Relu", ["x"], ["y"], "act")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "theirs.onnx"


def shapes(probe):
    return [each.shape for each in probe.inputs], [each.shape for each in probe.outputs]


OPEN = {
    "nothing": ((2, 3, 8, 8), (), (2, 3, 8, 8), (2, 4, 4, 4)),
    "batch": (("n", 3, 8, 8), (), ("N", 3, 8, 8), ("N", 4, 4, 4)),
    "batch without a name": ((None, 3, 8, 8), (), ("N", 3, 8, 8), ("N", 4, 4, 4)),
    "batch of 0": ((0, 3, 8, 8), (), ("N", 3, 8, 8), ("N", 4, 4, 4)),
    "all": (("n", 3, "h", "w"), (32, 64), ("N", 3, "H", "W"), ("N", 4, "H/2", "W/2")),
    "size": ((1, 3, "h", "w"), (32, 64), (1, 3, "H", "W"), (1, 4, "H/2", "W/2")),
    "an odd size": ((1, 3, "h", "w"), (33, 47), (1, 3, "H", "W"), (1, 4, "H?", "W?")),
}


@pytest.mark.parametrize("opened", OPEN)
def test_open_axes_stay_open_where_the_model_allows_it(file, opened):
    given, size, taken, returned = OPEN[opened]
    probe = load_onnx(save(file, [PADDED], [value("x", *given)], ["y"], [W]), size=size).probe
    assert shapes(probe) == ([taken], [returned])
    assert probe.notes == ()


def test_an_open_size_is_224_unless_one_is_given(file):
    probe = load_onnx(save(file, [CONV], [value("x", 1, 3, "h", "w")], ["y"], [W])).probe
    assert probe.example.arrays["x"].shape == (1, 3, 224, 224)
    assert probe.example.assumed_size


def test_a_size_that_the_file_does_not_leave_open_is_refused(file):
    save(file, [CONV], [value("x", 1, 3, 8, 8)], ["y"], [W])
    assert load_onnx(file, size=(8, 8)).probe.example.size == (8, 8)
    with pytest.raises(InputError) as refused:
        load_onnx(file, size=(9, 8))
    assert str(refused.value) == f"{file} takes images of 8 x 8, whatever --input-size says: omit it."
    save(file, [ONCE], [value("x", 1, 3)], ["y"])
    with pytest.raises(InputError, match="takes no image, whatever --input-size says: omit it"):
        load_onnx(file, size=(9, 8))


def test_channels_last_are_seen_and_keep_their_open_size(file):
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], ["y"])]
    loaded = load_onnx(save(file, nodes, [value("x", None, None, None, 3)], ["y"], [W]), size=(10, 12))
    assert shapes(loaded.probe) == ([("N", "H", "W", 3)], [("N", 3, "H", "W"), ("N", 4, "H?", "W?")])
    assert loaded.preprocessing.layout == "NHWC"
    assert loaded.preprocessing.crop == (10, 12)


def test_one_open_size_of_two_is_fixed_and_it_is_said(file):
    probe = load_onnx(save(file, [CONV], [value("x", 1, 3, "h", 8)], ["y"], [W]), size=(10, 8)).probe
    assert shapes(probe) == ([(1, 3, 10, 8)], [(1, 4, 8, 6)])
    assert probe.notes == ("axis 2 of its input x is fixed at 10, though the file leaves it open",)


def test_an_open_batch_that_the_graph_does_not_allow_is_fixed_and_it_is_said(file):
    nodes = [CONV, node("Reshape", ["y", "to"], ["flat"], "flatten")]
    probe = load_onnx(save(file, nodes, [value("x", "n", 3, 8, 8)], ["flat"], [W, constant("to", [1, 144])])).probe
    assert shapes(probe) == ([(1, 3, 8, 8)], [(1, 4, 6, 6), (1, 144)])
    assert probe.notes == (
        "the batch is fixed, though the file leaves it open: with another, at Reshape 'flatten', "
        "Reshape can't be recomputed: cannot reshape array of size 432 into shape (1,144)",
    )


def test_an_open_size_that_the_graph_does_not_allow_is_fixed_and_the_batch_stays_open(file):
    nodes = [CONV, node("Flatten", ["y"], ["flat"]), node("Gemm", ["flat", "v"], ["z"], "head")]
    made = save(file, nodes, [value("x", "n", 3, "h", "w")], ["z"], [W, weight("v", 144, 5)])
    probe = load_onnx(made, size=(8, 8)).probe
    assert shapes(probe) == ([("N", 3, 8, 8)], [("N", 4, 6, 6), ("N", 144), ("N", 5)])
    (note,) = probe.notes
    assert note.startswith("the size is fixed, though the file leaves it open: with another, at Gemm 'head', ")
    with pytest.raises(ModelError) as refused:
        load_onnx(made)
    assert str(refused.value).splitlines()[-1] == (
        "Images of 224 x 224 were assumed: --input-size HxW says how large they are."
    )


def test_an_axis_that_nothing_settles_asks_for_an_input_which_settles_it(file, tmp_path):
    save(
        file,
        [node("Gather", ["table", "x"], ["y"])],
        [value("x", "n", "length", dtype="int64")],
        ["y"],
        [weight("table", 10, 4)],
    )
    with pytest.raises(ModelError) as refused:
        load_onnx(file)
    assert str(refused.value) == (
        f"{file}: an axis of its input 'x' is open (length), and nothing says how long it is.\n"
        "Give --input F.npy or F.npz, with values for all inputs."
    )
    np.save(tmp_path / "x.npy", np.array([[3, 1, 4, 1, 5]]))
    loaded = load_onnx(file, inputs=[tmp_path / "x.npy"])
    assert shapes(loaded.probe) == ([("N", 5)], [("N", 5, 4)])
    assert loaded.probe.notes == ("axis 1 of its input x is fixed at 5, though the file leaves it open",)
    assert loaded.given[str(tmp_path / "x.npy")]["x"].tolist() == [[3, 1, 4, 1, 5]]


def test_a_given_input_that_does_not_fit_is_refused_with_what_fits(file, tmp_path):
    save(file, [CONV], [value("x", "n", 3, 8, 8)], ["y"], [W])
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 8, 9), np.float32))
    with pytest.raises(InputError) as refused:
        load_onnx(file, inputs=[tmp_path / "x.npy"])
    assert str(refused.value) == (
        f"{file} takes x of n x 3 x 8 x 8, float32; what was given is 1 x 3 x 8 x 9, float32."
    )


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int32", "int64", "uint8", "uint16", "bool"])
def test_inputs_of_other_types_are_drawn_where_nothing_is_given(file, dtype):
    cast = node("Cast", ["x"], ["y"], to=1)
    probe = load_onnx(save(file, [cast], [value("x", 2, 3, dtype=dtype)], ["y"])).probe
    assert probe.inputs[0].dtype == probe.example.arrays["x"].dtype.name == dtype
    assert probe.outputs[0].dtype == "float32"


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_inputs_that_are_no_real_numbers_are_refused(file, dtype):
    save(file, [node("Identity", ["x"], ["y"])], [value("x", 2, dtype=dtype)], ["y"])
    with pytest.raises(ModelError, match=f"its input 'x' is of {dtype}, which is not supported"):
        load_onnx(file)


def test_an_image_of_bytes_is_drawn_from_all_of_them(file):
    image = load_onnx(save(file, [node("Cast", ["x"], ["y"], to=1)], [value("x", 1, 8, 8, 3, dtype="uint8")], ["y"]))
    drawn = image.probe.example.arrays["x"]
    assert (drawn.min() < 20, drawn.max() > 235) == (True, True)
    assert image.probe.outputs[0].layout == "NHWC"
    assert image.preprocessing is None  # a photo becomes floats


def test_several_inputs_share_the_batch_of_the_first_image(file):
    nodes = [
        node("GlobalAveragePool", ["x"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Concat", ["f", "more"], ["y"], axis=1),
    ]
    inputs = [value("more", "n", 2), value("x", "n", 3, 8, 8)]
    probe = load_onnx(save(file, nodes, inputs, ["y"])).probe
    assert shapes(probe) == ([("N", 2), ("N", 3, 8, 8)], [("N", 3, 1, 1), ("N", 3), ("N", 5)])


def test_an_input_without_a_rank_gets_it_from_the_given_one(file, tmp_path):
    unranked = value("x")
    unranked.type.tensor_type.ClearField("shape")
    save(file, [ONCE], [unranked], ["y"])
    with pytest.raises(ModelError, match="doesn't say how many axes its input 'x' has: give --input"):
        load_onnx(file)
    np.save(tmp_path / "x.npy", np.ones((2, 3), np.float32))
    probe = load_onnx(file, inputs=[tmp_path / "x.npy"]).probe
    assert probe.example.arrays["x"].shape == (2, 3)


def test_a_scalar_and_a_list_are_inputs_too(file):
    assert shapes(load_onnx(save(file, [ONCE], [value("x")], ["y"])).probe) == ([()], [()])
    assert shapes(load_onnx(save(file, [ONCE], [value("x", "n")], ["y"])).probe) == ([("N",)], [("N",)])


def test_an_index_is_drawn_from_all_rows_of_the_table_that_it_looks_up(file):
    save(
        file,
        [
            node("Cast", ["words"], ["wide"], to=7),
            node("Gather", ["table", "wide"], ["rows"]),
            node("Gather", ["short", "wide"], ["columns"], axis=1),
            node("Gather", ["table", "unrelated"], ["first"]),
            node("ReduceSum", ["amounts"], ["sum"], keepdims=0),
        ],
        [
            value("words", 1, 40, dtype="int32"),
            value("amounts", 1, 3, dtype="int64"),
        ],
        ["rows", "columns", "first", "sum"],
        [weight("table", 9, 4), weight("short", 4, 7), constant("unrelated", [0])],
    )
    arrays = load_onnx(file).probe.example.arrays
    assert set(arrays["words"].ravel()) == set(range(7))
    assert not arrays["amounts"].any()  # nothing says what they are
