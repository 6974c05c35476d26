"""What is refused of an ONNX file that somebody else made, what is put right, and how that is said."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_making import constant, node, save, value, weight

from probe.onnx_model.loading import load_onnx
from runtime.artifact.errors import ArtifactError, ModelError

X = value("x", "n", 3, 8, 8)
W = weight("w", 4, 3, 3, 3)
CONV = node("Conv", ["x", "w"], ["c"], "stem/conv")
RELU = node("Relu", ["c"], ["y"], "act")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "theirs.onnx"


def refusal(file):
    with pytest.raises(ModelError) as refused:
        load_onnx(file)
    message = str(refused.value)
    assert len(message.splitlines()) <= 2
    return message.replace(str(file), "FILE")


def names(probe):
    return [output.name for output in probe.outputs]


WRONG = {
    "cyclic": (
        [node("Add", ["x", "b"], ["a"], "first"), node("Relu", ["a"], ["b"], "second"), node("Relu", ["b"], ["y"])],
        "FILE: its operations need one another in a circle: Add 'first' <- Relu 'second' <- Add 'first'.",
    ),
    "itself": (
        [node("Add", ["x", "y"], ["y"], "loop")],
        "FILE: its operations need one another in a circle: Add 'loop' <- Add 'loop'.",
    ),
    "twice": (
        [CONV, node("Relu", ["x"], ["c"], "again"), RELU],
        "FILE: the value 'c' is computed twice, by Relu 'again' the second time.",
    ),
    "an input computed": (
        [CONV, RELU, node("Relu", ["c"], ["x"], "again")],
        "FILE: the value 'x' is computed twice, by Relu 'again' the second time.",
    ),
    "undefined": (
        [node("Relu", ["nowhere"], ["y"], "act")],
        "FILE: Relu 'act' reads 'nowhere', which nothing computes.",
    ),
    "undefined result": ([CONV], "FILE returns 'y', which nothing computes."),
    "no nodes": ([], "FILE is not an ONNX model, or an empty one: it has no operation."),
    "attribute": (
        [node("Conv", ["x", "w"], ["y"], "conv", colour=3)],
        "FILE: Conv 'conv' is invalid: Unrecognized attribute: colour for operator Conv",
    ),
    "operator": (
        [node("Frobnicate", ["x"], ["y"], "act")],
        "FILE: Frobnicate 'act' is invalid: No Op registered for Frobnicate with domain_version of 17",
    ),
    "shapes": (
        [node("Add", ["x", "w"], ["y"], "sum")],
        "FILE: at Add 'sum', Add can't be recomputed: operands could not be broadcast together with shapes (1,3,8,8) "
        "(4,3,3,3) ",
    ),
    "random": (
        [node("RandomNormalLike", ["x"], ["y"], "noise")],
        "FILE: at RandomNormalLike 'noise', RandomNormalLike can't be recomputed: "
        "it draws new random numbers each time",
    ),
    "a sequence": (
        [node("SequenceConstruct", ["x", "x"], ["y"])],
        "FILE returns 'y', which is no tensor of numbers: it can't be compared.",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_in_a_graph_is_named(file, wrong):
    nodes, message = WRONG[wrong]
    assert refusal(save(file, nodes, [X], ["y"], [W])).strip() == message.strip()


def test_an_operator_of_another_domain_says_what_to_give(file):
    save(file, [node("Twist", ["x"], ["y"], "act", domain="com.example")], [X], ["y"], domains={"com.example": 1})
    first, second = refusal(file).splitlines()
    assert first == (
        "FILE: at com.example.Twist 'act', Twist can't be recomputed: com.example.Twist is not defined by ONNX"
    )
    assert second == "Operators of com.example are unknown here: give the file from before a runtime's optimizer."


@pytest.mark.parametrize(
    ("opset", "advice"),
    [
        (5, "onnx.version_converter.convert_version(model, 17) may convert it."),
        (99, "A newer onnx may read it: pip install --upgrade onnx"),
    ],
)
def test_an_opset_that_cannot_be_read_says_what_to_do(file, opset, advice):
    newest = onnx.defs.onnx_opset_version()
    save(file, [CONV, RELU], [X], ["y"], [W], opset=opset)
    assert refusal(file) == f"FILE is of opset {opset}; opsets 7 to {newest} can be read.\n{advice}"


def test_a_file_that_is_no_model_says_what_it_is(file):
    assert refusal(file) == "FILE can't be read: No such file or directory."
    file.write_bytes(b"")
    assert refusal(file) == "FILE can't be loaded as an ONNX model: it is empty; copy it again."
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert (
        refusal(file)
        == "FILE can't be loaded as an ONNX model: it is a pointer of Git LFS; git lfs pull fetches the file."
    )
    file.write_text("<!DOCTYPE html>")
    assert refusal(file) == "FILE can't be loaded as an ONNX model: it is not a protobuf message"


def test_a_file_that_is_cut_short_anywhere_is_refused_in_words(file):
    whole = save(file, [CONV, RELU], [X], ["y"], [W]).read_bytes()
    for length in range(1, len(whole), 7):
        file.write_bytes(whole[:length])
        assert refusal(file)


def test_a_graph_without_inputs_or_results_has_nothing_to_verify(file):
    save(file, [node("Relu", ["w"], ["y"])], [], ["y"], [W])
    assert refusal(file) == "FILE has no input: it computes a constant."
    save(file, [CONV, RELU], [X], [], [W])
    assert refusal(file) == "FILE returns nothing: it lists no result of its graph."


def test_unsorted_nodes_are_sorted_and_it_is_said(file):
    probe = load_onnx(save(file, [RELU, CONV], [X], ["y"], [W])).probe
    assert names(probe) == ["c", "y"]
    assert probe.notes == ("its nodes are not in an order in which they can be computed: they were sorted",)
    assert load_onnx(save(file, [CONV, RELU], [X], ["y"], [W])).probe.notes == ()


def test_functions_are_inlined_and_their_values_are_outputs(file):
    block = helper.make_function(
        "their.blocks",
        "Block",
        ["a"],
        ["b"],
        [node("Relu", ["a"], ["r"]), node("Add", ["r", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    blocks = [node("Block", [a], [b], domain="their.blocks") for a, b in (("x", "once"), ("once", "y"))]
    probe = load_onnx(save(file, blocks, [X], ["y"], domains={"their.blocks": 1}, functions=[block])).probe
    assert names(probe) == ["r__1", "once", "r__2", "y"]
    assert [output.label for output in probe.outputs] == ["Relu", "Add", "Relu", "Add"]


def test_weights_among_the_inputs_are_no_inputs(file):
    probe = load_onnx(save(file, [CONV, RELU], [X, value("w", 4, 3, 3, 3)], ["y"], [W], ir_version=3)).probe
    assert [each.name for each in probe.inputs] == ["x"]
    assert names(probe) == ["c", "y"]


@pytest.fixture
def with_data(file):
    """A file whose weights are beside it."""
    save(file, [CONV, RELU], [X], ["y"], [W])
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="theirs.data", size_threshold=0)
    return file


def test_weights_beside_the_file_are_read(with_data):
    assert names(load_onnx(with_data).probe) == ["c", "y"]


def test_weights_that_are_missing_or_cut_short_are_named(with_data):
    data = with_data.parent / "theirs.data"
    content = data.read_bytes()
    data.write_bytes(content[:-4])
    assert refusal(with_data) == "FILE: the weight 'w' reaches beyond the end of 'theirs.data'."
    data.unlink()
    assert refusal(with_data) == (
        "FILE: its weights are in 'theirs.data', which is not beside it.\n"
        "Copy that file there, too: a large ONNX model has two."
    )


def test_a_place_that_is_no_number_is_named(with_data):
    model = onnx.load(with_data, load_external_data=False)
    next(each for each in model.graph.initializer[0].external_data if each.key == "length").value = "-8"
    with_data.write_bytes(model.SerializeToString())
    assert refusal(with_data) == "FILE: the weight 'w' has '-8' as its length, which is no whole number."


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "sub/../../secret", "..\\secret", ""])
def test_weights_outside_the_folder_are_not_read(with_data, place):
    model = onnx.load(with_data, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = place
    onnx.save(model, with_data)
    assert refusal(with_data) == f"FILE: its weights are said to be in {place!r}, outside its folder.\nExport it again."


def test_a_link_that_leads_out_of_the_folder_is_not_followed(with_data, tmp_path_factory):
    data = with_data.parent / "theirs.data"
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "data"
    data.rename(elsewhere)
    data.symlink_to(elsewhere)
    assert refusal(with_data).startswith("FILE: its weights are in 'theirs.data', a link out of its folder.")


def test_what_is_listed_twice_is_refused(file):
    save(file, [CONV, RELU], [X, X], ["y"], [W])
    assert refusal(file) == "FILE lists the input 'x' twice: which one counts isn't defined."
    save(file, [CONV, RELU], [X], ["y"], [W, W])
    assert refusal(file) == "FILE stores the weight 'w' twice: which one counts isn't defined."


def test_a_weight_that_contradicts_its_shape_is_named(file):
    for size, words in (
        (-4, "FILE: the weight 'w' has a negative size, [-4, 3, 3, 3]."),
        (2**40, "FILE: the weight w can't be read: cannot reshape array of size 108 into shape (1099511627776,3,3,3)"),
    ):
        model = onnx.load(save(file, [CONV, RELU], [X], ["y"], [W]))
        model.graph.initializer[0].dims[0] = size
        file.write_bytes(model.SerializeToString())
        with pytest.raises((ModelError, ArtifactError)) as refused:
            load_onnx(file)
        assert str(refused.value).replace(str(file), "FILE") == words


def test_sparse_weights_are_refused_in_words(file):
    model = onnx.load(save(file, [CONV, RELU], [X], ["y"], [W]))
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(constant("s", [1.0], "float32"), constant("at", [2]), [9])
    )
    onnx.save(model, file)
    assert refusal(file) == "FILE has sparse weights, which are not supported: store them as dense ones."


def test_names_that_are_unsafe_to_print_are_changed_and_stay_unique(file):
    nodes = [
        node("Conv", ["x", "w"], ["c\x1b[31m"], "a\x1bb"),
        node("Relu", ["c\x1b[31m"], ["c_[31m"]),
        node("Relu", ["c_[31m"], ["y" * 900]),
        node("Neg", ["y" * 900], ["y" * 900 + "z"]),
    ]
    probe = load_onnx(save(file, nodes, [X], ["y" * 900 + "z"], [W])).probe
    assert names(probe) == ["c_[31m_2", "c_[31m", "y" * 200, "y" * 192 + "_2"]
    assert all(text.isprintable() for output in probe.outputs for text in (output.name, output.module_path))


def test_renamed_values_are_still_read_by_subgraphs(file):
    then = helper.make_graph(
        [node("Mul", ["c\n", "c\n"], ["t"])], "then", [], [helper.make_empty_tensor_value_info("t")]
    )
    # This one has a value of its own by the name that is renamed outside.
    otherwise = helper.make_graph(
        [node("Neg", ["x"], ["c\n"]), node("Relu", ["c\n"], ["e"])],
        "else",
        [],
        [helper.make_empty_tensor_value_info("e")],
    )
    nodes = [
        node("Relu", ["x"], ["c\n"]),
        node("If", ["go"], ["y"], then_branch=then, else_branch=otherwise),
    ]
    probe = load_onnx(save(file, nodes, [value("x", 2, 3), value("go", dtype="bool")], ["y"])).probe
    assert names(probe) == ["c_", "y"]
    graph, x = probe.graph(), np.array([[-1, 2, 3], [4, -5, 6]], np.float32)
    for go, expected in ((True, np.maximum(x, 0) ** 2), (False, np.maximum(-x, 0))):
        np.testing.assert_array_equal(dict(graph.walk({"x": x, "go": np.array(go)}))["y"], expected)


@pytest.mark.parametrize(
    ("result", "name", "label"),
    [("x", "x_returned", "Identity"), ("w", "w_returned", "Identity"), ("k", "k", "Constant")],
)
def test_a_result_that_nothing_computes_from_the_input_is_an_output(file, result, name, label):
    nodes = [CONV, RELU, node("Constant", [], ["k"], value=constant("k", [1.0, 2.0], "float32"))]
    probe = load_onnx(save(file, nodes, [X], ["y", result], [W])).probe
    assert names(probe) == ["c", "y", name]
    assert probe.outputs[-1].label == label
    assert probe.results == {"y": "y", result: name}


def test_a_returned_input_does_not_take_the_name_of_another_value(file):
    nodes = [CONV, node("Relu", ["c"], ["x_returned"])]
    probe = load_onnx(save(file, nodes, [X], ["x_returned", "x"], [W])).probe
    assert names(probe) == ["c", "x_returned", "x_returned_"]
    assert probe.results == {"x_returned": "x_returned", "x": "x_returned_"}


def test_a_changed_name_is_not_that_of_a_weight_or_of_a_value_inside_a_subgraph(file):
    inner = helper.make_graph(
        [node("Neg", ["c\t"], ["c_"]), node("Add", ["c_", "c\t"], ["t"])],
        "then",
        [],
        [helper.make_empty_tensor_value_info("t")],
    )
    nodes = [
        node("Add", ["x", "w_"], ["w\n"]),
        node("Relu", ["w\n"], ["c\t"]),
        node("If", ["go"], ["y"], then_branch=inner, else_branch=inner),
    ]
    probe = load_onnx(save(file, nodes, [value("x", 2), value("go", dtype="bool")], ["y"], [weight("w_", 2)])).probe
    assert names(probe) == ["w__2", "c__2", "y"]
    walked = dict(probe.graph().walk({"x": np.ones(2, np.float32), "go": np.array(True)}))
    assert walked["y"].tolist() == [0, 0]


def _set_type(model, type_):
    model.graph.input[0].type.tensor_type.elem_type = type_


def _set_size(model, size):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size


NOT_ONNX = {
    "a type": (lambda m: _set_type(m, 99), "FILE: 'x' is of the type 99, which is none of ONNX's."),
    "a version": (lambda m: setattr(m, "ir_version", 2**40), "FILE has the version 1099511627776, which is none of"),
    "a size": (lambda m: _set_size(m, 2**62), "FILE: its input 'x' is too large: that would take"),
    "a name with a line break": (
        lambda m: setattr(m.graph.node[0], "domain", "a\nAll pass."),
        "FILE: at a?All pass..Conv ",
    ),
    "a text that is none": (
        lambda m: m.graph.node[0].attribute.append(helper.make_attribute("auto_pad", b"\xff")),
        "FILE: at Conv 'y', Conv can't be recomputed: 'utf-8' codec can't decode",
    ),
}


@pytest.mark.parametrize(("change", "said"), NOT_ONNX.values(), ids=NOT_ONNX.keys())
def test_what_onnx_does_not_have_is_refused_in_two_lines(file, change, said):
    model = onnx.load(save(file, [node("Conv", ["x", "w"], ["y"])], [X], ["y"], [W]))
    change(model)
    file.write_bytes(model.SerializeToString())
    told = refusal(file)
    assert told.startswith(said)
    assert len(told.splitlines()) <= 2


def test_a_text_that_is_not_utf8_is_told(file):
    content = save(file, [node("Conv", ["x", "w"], ["y"])], [X], ["y"], [W]).read_bytes()
    file.write_bytes(content.replace(b"Conv", b"Co\xffv"))
    assert refusal(file) == r"FILE can't be loaded as an ONNX model: the op_type b'Co\xffv' in it is not UTF-8"
