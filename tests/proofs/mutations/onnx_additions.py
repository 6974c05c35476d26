"""What is added to an ONNX model so that it takes much more than its file: memory, rounds of a loop, depth."""

from collections.abc import Callable, Sequence
from random import Random

from onnx import GraphProto, ModelProto, TensorProto, helper

__all__ = ["ADDED_TO_ONNX"]


def _huge_result(model: ModelProto, random: Random) -> None:
    """Make a tensor that no machine holds, of a few bytes, where the model goes on."""
    graph, kind = model.graph, random.choice(("Tile", "Expand", "ConstantOfShape", "Pad", "Range", "Resize", "OneHot"))
    size = random.choice((10**3, 10**5, 2**31, 2**40))
    place = random.randrange(len(graph.node))
    read = next((name for name in graph.node[place].input if name), graph.input[0].name)

    def constant(name: str, dtype: int, values: Sequence[float]) -> str:
        graph.initializer.append(helper.make_tensor(name, dtype, [len(values)], values))
        return name

    ints, floats = TensorProto.INT64, TensorProto.FLOAT
    inputs = {
        "Tile": lambda: [read, constant("z0", ints, [1, 1, size, size])],
        "Expand": lambda: [read, constant("z0", ints, [size, 1, 1, 1])],
        "ConstantOfShape": lambda: [constant("z0", ints, [size, size])],
        "Pad": lambda: [read, constant("z0", ints, [0, 0, size, 0, 0, 0, size, 0])],
        "Range": lambda: [
            constant(f"z{number}", ints, [value]) for number, value in enumerate((0, min(size**2, 2**62), 1))
        ],
        "Resize": lambda: [read, "", constant("z0", floats, [1, 1, size, size])],
        "OneHot": lambda: [constant("z0", ints, [0] * 9), constant("z1", ints, [size]), constant("z2", floats, [0, 1])],
    }[kind]()
    graph.node.insert(place, helper.make_node(kind, inputs, ["huge"]))
    if random.random() < 0.7:
        names = graph.node[place + 1].input
        names[:] = ["huge" if name == read else name for name in names]
    else:
        graph.output.append(helper.make_empty_tensor_value_info("huge"))


def _loop(model: ModelProto, random: Random) -> None:
    """A loop that goes on for years, or conditions within conditions."""
    graph = model.graph
    if random.random() < 0.5:
        inner = helper.make_graph(
            [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
            "body",
            [helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("c", 9), ("v", 1))],
            [helper.make_tensor_value_info(name, kind, []) for name, kind in (("d", 9), ("w", 1))],
        )
        graph.initializer.append(helper.make_tensor("rounds", TensorProto.INT64, [], [random.choice((10**5, 2**62))]))
        graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
        graph.initializer.append(helper.make_tensor("start", TensorProto.FLOAT, [], [1.0]))
        graph.node.insert(0, helper.make_node("Loop", ["rounds", "yes", "start"], ["looped"], body=inner))
    else:
        value = helper.make_empty_tensor_value_info("deep")
        node = helper.make_node("Identity", [graph.input[0].name], ["deep"])
        for _ in range(random.choice((5, 20, 30))):
            branch = helper.make_graph([node], "branch", [], [value])
            node = helper.make_node("If", ["yes"], ["deep"], then_branch=branch, else_branch=GraphProto())
        graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
        graph.node.insert(0, node)
    graph.output.append(helper.make_empty_tensor_value_info(graph.node[0].output[0]))


def _function(model: ModelProto, random: Random) -> None:
    """A function of the file's own, which may call itself."""
    called = random.choice(("F", "G"))
    node = helper.make_node(called, ["a"], ["b"], domain="mine")
    model.functions.append(helper.make_function("mine", "F", ["a"], ["b"], [node], [helper.make_opsetid("mine", 1)]))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.graph.node.insert(0, helper.make_node("F", [model.graph.input[0].name], ["called"], domain="mine"))
    model.graph.output.append(helper.make_empty_tensor_value_info("called"))


ADDED_TO_ONNX: dict[str, Callable[[ModelProto, Random], None]] = {
    "a huge tensor": _huge_result,
    "a loop or a depth": _loop,
    "a function": _function,
}
