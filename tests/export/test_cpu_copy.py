"""What was captured on a GPU is exported from the CPU. The GPU itself is met in test_user_models.py."""

import torch
from torch import fx, nn

from export.cpu_copy import _moved


def test_devices_that_stand_in_the_graph_become_the_cpu():
    graph = fx.Graph()
    x = graph.placeholder("x")
    made = graph.call_function(torch.ops.aten.full.default, ([2], 1.0), {"device": torch.device("cuda", 0)})
    sent = graph.call_method("to", (x, "cuda:0"))
    shipped = graph.call_method("cuda", (sent, 0))
    named = graph.call_function(torch.zeros, (2,), {"device": "cuda"})
    indexed = graph.call_function(torch.zeros, (2,), {"device": 0})
    graph.output((made, shipped, named, indexed))
    made, shipped, named, indexed = _moved(fx.GraphModule(nn.Module(), graph))(torch.arange(2.0))
    assert {tensor.device.type for tensor in (made, shipped, named, indexed)} == {"cpu"}
    assert torch.equal(shipped, torch.arange(2.0))
