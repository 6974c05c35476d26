"""What a branch or the body of a loop may lose is what its own operations lose together."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from runtime.float64.inner_losses import jolted
from runtime.float64.nodes import NodeEvaluator

LARGE = numpy_helper.from_array(np.float64(1e4).reshape(()), "large")


def _values(*names):
    return [helper.make_empty_tensor_value_info(name) for name in names]


def _branch(*nodes):
    graph = helper.make_graph(nodes, "branch", [], _values("inside"), [LARGE])
    return helper.make_node("If", ["go"], ["y"], then_branch=graph, else_branch=graph)


CANCELLING = (
    helper.make_node("Add", ["x", "large"], ["sum"]),
    helper.make_node("Sub", ["sum", "large"], ["inside"]),
)


def _lost(node, inputs, outer):
    evaluator = NodeEvaluator(node, {"": 17})
    (lost,) = evaluator.inner_losses(inputs, outer, evaluator.run(inputs, outer))
    return lost


@pytest.mark.parametrize("nested", [False, True])
def test_a_branch_loses_what_its_operations_lose_of_large_numbers(nested):
    node = _branch(*CANCELLING)
    if nested:
        inner = onnx.NodeProto()
        inner.CopyFrom(node)
        inner.output[:] = ["inside"]
        node = _branch(inner)
    given, outer = [np.array(True)], {"x": np.linspace(-1, 1, 50), "go": np.array(True)}
    assert 3e3 < _lost(node, given, outer) < 3e4
    assert 0.1 < _lost(_branch(helper.make_node("Neg", ["x"], ["inside"])), given, outer) < 2


def test_it_is_the_same_each_time():
    given, outer = [np.array(True)], {"x": np.linspace(-1, 1, 50)}
    assert _lost(_branch(*CANCELLING), given, outer) == _lost(_branch(*CANCELLING), given, outer)


def test_an_operation_without_subgraphs_loses_nothing_inside():
    assert _lost(helper.make_node("Relu", ["x"], ["y"]), [np.ones(3)], {}) == 0


def test_the_node_itself_and_constants_stay_as_they_are():
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["inside"], value_float=3.0)], "branch", [], _values("inside")
    )
    node = helper.make_node("If", ["go"], ["y"], then_branch=graph, else_branch=graph)
    before = node.SerializeToString()
    assert jolted(node) == node
    assert node.SerializeToString() == before
