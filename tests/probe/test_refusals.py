"""Models that no probe can stand for, each told in a line or two that name the place."""

import re
import sys

import pytest
import torch
from torch import nn
from torch._higher_order_ops import while_loop

from export import export_artifact
from probe import build_probe
from runtime.artifact.errors import ExportError, ModelError


class Net(nn.Module):
    """A convolution and a buffer, and what the test is about."""

    def __init__(self, body) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c = nn.Conv2d(3, 4, 3, padding=1)
        self.register_buffer("avg", torch.zeros(4))
        self.body = body

    def forward(self, x):
        return self.body(self, x)


def build(body, example=None):
    return build_probe(Net(body), torch.zeros(1, 3, 8, 8) if example is None else example)


def test_a_model_that_keeps_a_state_in_eval_is_told_which_buffer():
    def body(self, x):
        y = self.c(x)
        self.avg.lerp_(y.mean((0, 2, 3)), 0.1)
        return y, y - self.avg.view(1, -1, 1, 1)

    with pytest.raises(ModelError, match="Net writes to its buffer avg each time"):
        build(body)


def test_a_count_of_the_runs_is_a_state_where_a_result_is_made_of_it():
    def body(self, x):
        self.runs += 1
        return self.c(x) * self.runs

    model = Net(body)
    model.register_buffer("runs", torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ModelError, match="Net writes to its buffer runs each time"):
        build_probe(model, torch.randn(1, 3, 8, 8))


def test_a_buffer_that_is_filled_once_and_left_so_is_no_state():
    def body(self, x):
        self.avg.fill_(2)
        return self.c(x) * self.avg.view(1, -1, 1, 1)

    probe = build(body)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(probe(x)["mul"], probe(x)["c"] * 2)


def test_clipping_weights_in_forward_is_refused():
    def body(self, x):
        self.c.weight.data.clamp_(-0.05, 0.05)
        return self.c(x)

    with pytest.raises(ModelError, match=r"writes to the parameter c.weight .*refusals\.py:\d+"):
        build(body)


def test_what_is_summed_up_in_a_tensor_of_forwards_own_begins_anew_in_each_run():
    def body(self, x):
        total = torch.zeros(1, 4, 8, 8)
        total += self.c(x)
        return total

    x = torch.randn(1, 3, 8, 8)
    probe = build(body, x)
    (result,) = probe.results.values()
    assert torch.equal(probe(x)[result], probe(x)[result])


def test_a_forward_that_ends_the_process_is_told():
    with pytest.raises(ModelError, match=r"forward ends the process \(sys.exit\) \(.*refusals\.py:\d+\)"):
        build(lambda self, x: sys.exit(0))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_is_told_from_a_model():
    with pytest.raises(ModelError, match="is already TorchScript"):
        build_probe(torch.jit.trace(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)), torch.zeros(1, 3, 8, 8))


def test_a_model_without_weights_yet_is_told():
    with pytest.raises(ModelError, match="weight has no shape yet"):
        build_probe(nn.LazyConv2d(4, 3), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ModelError, match="weight has no values"):
        build_probe(nn.Conv2d(3, 4, 3, device="meta"), torch.zeros(1, 3, 8, 8))


def test_a_model_without_its_bases_init_is_told():
    class Bare(nn.Module):
        def __init__(self) -> None:
            pass

    with pytest.raises(ModelError, match=r"begin with super\(\).__init__\(\)"):
        build_probe(Bare(), torch.zeros(1, 3, 8, 8))


def test_an_example_that_is_not_dense_is_told():
    with pytest.raises(ModelError, match="sparse_coo: pass dense tensors"):
        build_probe(nn.Linear(4, 4), torch.zeros(3, 4).to_sparse())


def test_an_input_without_elements_is_not_exported(tmp_path):
    class Plain(nn.Module):
        def forward(self, x):
            return x * 2

    with pytest.raises(ExportError, match="The input x has a size of 0"):
        export_artifact(build_probe(Plain(), torch.zeros(0, 3, 8, 8)), tmp_path / "artifact")


def _yes_or_no(yes, no):
    return lambda self, x: torch.cond(x.sum() > 0, yes, no, (self.c(x),))


def _looping(self, x):
    return while_loop(lambda y: y.sum() < 5, lambda y: (y + 1,), (self.c(x),))[0]


@pytest.mark.parametrize(
    ("forward", "reason", "advice"),
    [
        (_yes_or_no(lambda y: y * 2, lambda y: y + 1), r"torch\.cond or a loop .* as part of a graph", "torch.where"),
        (_yes_or_no(torch.relu_, lambda y: y + 1), r"torch\.cond or a loop .* as part of a graph", "torch.where"),
        (_looping, r"torch\.cond or a loop .* as part of a graph", "torch.where"),
        (
            lambda self, x: torch.vmap(lambda y: y * 2)(self.c(x)),
            r"inside torch\.vmap or torch\.func at mul",
            "torch.vmap",
        ),
        (lambda self, x: torch.func.jvp(self.c, (x,), (x,))[1], r"inside torch\.vmap or torch\.func", "torch.func"),
        (lambda self, x: torch.func.grad(lambda y: self.c(y).sum())(x), r"what torch\.func computes", "torch.func"),
    ],
    ids=["cond", "cond that writes", "while_loop", "vmap", "jvp", "grad"],
)
def test_functions_that_torch_runs_in_its_own_way_are_told_with_a_way_on(forward, reason, advice):
    with pytest.raises(ModelError, match="can't be captured as one graph") as told:
        build(forward)
    first, second = str(told.value).splitlines()
    assert re.search(reason, first)
    assert "test_refusals.py:" in first
    assert advice in second


def test_a_branch_that_torch_refuses_in_the_model_itself_is_told_as_such():
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda y: self.c(y) * y.new_ones(2), lambda y: y + 1, (x,))

    with pytest.raises(
        ModelError, match=r"fails on an input of shape .*test_refusals\.py:\d+\): torch can't capture"
    ) as told:
        build(forward)
    assert str(told.value).splitlines()[1].startswith("Compute both results and choose with torch.where")


def test_control_flow_is_blamed_where_it_is_the_cause():
    with pytest.raises(ModelError, match="Control flow that depends on tensor values"):
        build(lambda self, x: self.c(x) if x.sum() > 0 else x)
    with pytest.raises(ModelError, match="converts a tensor to NumPy") as told:
        build(lambda self, x: torch.from_numpy(self.c(x).numpy()))
    assert "Control flow" not in str(told.value)
    assert ".." not in str(told.value)


def test_the_wrappers_of_parallel_and_compiled_models_leave_no_trace():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    x = torch.randn(1, 3, 8, 8)
    for wrapped in (nn.DataParallel(model), torch.compile(model), torch.compile(nn.DataParallel(model))):
        probe = build_probe(wrapped, x)
        assert [output.name for output in probe.outputs] == ["0", "1"]
        assert probe.model_name == "Sequential"
        assert torch.equal(probe(x)["1"], model(x))


@pytest.mark.parametrize("size", ["1000000", "9" * 30, "9" * 400])
def test_a_size_beyond_memory_is_told_in_a_line(layerprobe, size):
    refused = layerprobe("nodes", "cnn2", "--input-size", size)
    assert refused.code == 3
    assert "doesn't fit into memory" in refused.err
    assert len(refused.err.splitlines()) <= 2
