"""What a model is called with: nested tensors, constants, scalars, masks; what can't be is told in words."""

from collections import UserDict, namedtuple
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pytest
import torch
from torch import nn

from export import export_artifact
from probe import LoadedModel, build_probe
from runtime import InputError, benchmark, open_artifact, open_runner, verify
from runtime.artifact.errors import ModelError


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


NEWER = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 15),
    reason="torch.export 2.11 takes no sizes for **kwargs, by name or nested",
)


class Rest(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x, *rest, **more):
        for other in (*rest, *more.values()):
            x = x + other
        return self.conv(x)


@pytest.mark.parametrize(
    ("count", "keywords", "names"),
    [(1, [], ["x"]), (3, [], ["x", "rest_0", "rest_1"]), (1, ["a", "b"], ["x", "a", "b"])],
)
@pytest.mark.parametrize("capture", ["trace", pytest.param("export", marks=NEWER)])
def test_inputs_given_for_the_rest_of_a_signature_are_inputs_of_the_probe(count, keywords, names, capture):
    model = Rest().eval()
    args = [noise(2, 3, 8, 8) for _ in range(count)]
    kwargs = {name: noise(2, 3, 8, 8) for name in keywords}
    probe = build_probe(model, *args, kwargs=kwargs, capture=capture)
    assert [spec.name for spec in probe.inputs] == names
    with torch.no_grad():
        assert torch.equal(probe(*args, *kwargs.values())["conv"], model(*args, **kwargs))


State = namedtuple("State", "h c")


class Pyramid(nn.Module):
    """Features of two sizes in one argument, a state, and what chooses the model's branches."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(4, 4, 1)

    def forward(self, features, state=None, upsample=True, scale=1.0, mode="nearest", mask=None):
        fine, coarse = features.values() if isinstance(features, dict) else features
        if upsample:
            coarse = nn.functional.interpolate(coarse, size=fine.shape[-2:], mode=mode)
        x = self.lateral(fine) * scale
        x = x + coarse if upsample else x
        if state is not None:
            x = x * torch.sigmoid(state[0]) + state[1]
        return x if mask is None else x * mask


FINE, COARSE, STATE = noise(1, 4, 8, 8), noise(1, 4, 4, 4), noise(1, 4, 8, 8)


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize(
    ("args", "kwargs", "names", "constants"),
    [
        (([FINE, COARSE],), {}, ["features_0", "features_1"], {}),
        (((FINE, COARSE), None, True), {}, ["features_0", "features_1"], {"state": None, "upsample": True}),
        (
            ({"fine": FINE, "a b": COARSE}, State(STATE, STATE)),
            {"mode": "bilinear", "scale": 0.5},
            ["features_fine", "features_a_b", "state_h", "state_c"],
            {"scale": 0.5, "mode": "bilinear"},
        ),
        (
            ([FINE, COARSE],),
            {"mask": torch.tensor(0.5), "upsample": False, "state": [STATE, 2]},
            ["features_0", "features_1", "state_0", "mask"],
            {"state_1": 2, "upsample": False},
        ),
    ],
    ids=["list", "tuple, None and a flag", "dictionary and named tuple", "keywords, scalar, number in a list"],
)
def test_tensors_within_arguments_are_inputs_and_all_else_is_constant(args, kwargs, names, constants, capture):
    model = Pyramid().eval()
    probe = build_probe(model, *args, kwargs=kwargs, capture=capture)
    assert [spec.name for spec in probe.inputs] == names
    assert probe.constants == constants
    with torch.no_grad():
        (result,) = probe.results.values()
        assert torch.equal(probe(*probe.example)[result], model(*args, **kwargs))
        others = probe.noise_input(seed=5)
        assert not torch.equal(probe(*others)[result], model(*args, **kwargs))


def test_names_of_inputs_differ_whatever_the_parameters_are_called():
    class Net(nn.Module):
        def forward(self, x, x_0):
            return x[0] + x_0 * 2

    probe = build_probe(Net(), [FINE], STATE)
    assert [spec.name for spec in probe.inputs] == ["x_0", "x_0_1"]
    assert torch.equal(probe(FINE, STATE)["add"], FINE + STATE * 2)


def test_the_whole_way_with_a_pyramid_a_scalar_and_a_number(tmp_path):
    probe = build_probe(Pyramid(), [FINE, COARSE], kwargs={"mask": torch.tensor(0.5), "scale": 3.0})
    artifact = open_artifact(export_artifact(probe, tmp_path / "a"))
    assert [spec.described for spec in artifact.manifest.inputs] == [
        "features_0 (N x 4 x 8 x 8, float32)",
        "features_1 (N x 4 x 4 x 4, float32)",
        "mask (a scalar, float32)",
    ]
    assert artifact.manifest.constants == {"scale": 3.0}
    assert artifact.reference().inputs["mask"].shape == ()
    report = verify(artifact, ["onnx-float64", "onnx-cpu", "torchscript", "torch-export"])
    assert [runner.verdict for runner in report.runners] == ["pass"] * 4
    with pytest.raises(InputError, match=r"takes mask \(a scalar, float32\); it was given mask \(1, float32\)"):
        open_runner(artifact, "onnx-cpu").run({**artifact.reference().inputs, "mask": np.ones(1, np.float32)})
    assert benchmark(artifact, ["onnx-cpu"], batches=[2], repeats=1).timings


def test_constants_that_json_has_no_word_for_are_recorded_as_text():
    class Kind(Enum):
        SUM = 1

    class Net(nn.Module):
        def forward(self, x, kind, limit, dtype):
            return (x + x if kind is Kind.SUM else x).clamp(max=limit).to(dtype)

    probe = build_probe(Net(), FINE, Kind.SUM, float("inf"), torch.float64)
    assert probe.constants == {"kind": "Kind.SUM", "limit": "inf", "dtype": "torch.float64"}


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_one_tensor_may_be_given_twice(capture):
    class Sum(nn.Module):
        def forward(self, x, y):
            return x * 2 + y

    x = noise(2, 3, 8, 8)
    probe = build_probe(Sum(), x, x, capture=capture)
    assert [spec.shape for spec in probe.inputs] == [("N", 3, 8, 8)] * 2
    assert torch.equal(probe(x, x + 1)["add"], x * 2 + (x + 1))


def test_a_scalar_may_come_before_the_image():
    class Timed(nn.Module):
        def forward(self, t, x):
            return x * torch.sin(t)

    probe = build_probe(Timed(), torch.tensor(3.0), noise(2, 3, 8, 8))
    assert [spec.shape for spec in probe.inputs] == [(), ("N", 3, 8, 8)]
    assert probe.fixed_batch is None
    assert [output.layout for output in probe.outputs] == ["", "NCHW"]


def test_a_table_before_the_image_does_not_count_the_batch():
    class Sampled(nn.Module):
        def forward(self, table, x):
            return x * table.mean()

    probe = build_probe(Sampled(), torch.zeros(5, 2), noise(2, 3, 8, 8))
    assert [spec.shape for spec in probe.inputs] == [(5, 2), ("N", 3, 8, 8)]
    assert probe.outputs[-1].layout == "NCHW"


def test_a_subclass_is_taken_as_the_plain_tensor_that_it_is():
    from torchvision import tv_tensors

    probe = build_probe(nn.Conv2d(3, 4, 3), tv_tensors.Image(torch.zeros(1, 3, 8, 8)))
    assert type(probe.example[0]) is torch.Tensor
    assert build_probe(nn.ReLU(), nn.Parameter(torch.zeros(1, 3, 8, 8))).inputs[0].shape == ("N", 3, 8, 8)


@dataclass
class Options:
    scale: float


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), r"build_probe needs an example input"),
        ((3,), r"passes no tensor, only features: .*\n.*torch.tensor\(2.0\)"),
        (([],), r"passes no tensor, only an empty list or dictionary"),
        (([FINE, np.zeros(2)],), r"passes an ndarray as features\[1\]; an argument is .*\nPass torch.from_numpy"),
        (({"fine": FINE, "ids": {1, 2}},), r"passes a set as features\['ids'\].*\nPass it as a list"),
        ((UserDict(fine=FINE),), r"passes a UserDict as features; .*\nPass it as a dictionary"),
        ((FINE, (each for each in [FINE])), r"passes a generator as state;"),
        (([FINE, COARSE], State(STATE, Options(2.0))), r"passes an Options as state\.c.*\n.*wrap the model"),
        (
            (torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),),
            r"Pyramid's features is a nested tensor: pass a plain, dense",
        ),
    ],
)
def test_what_is_no_argument_is_told_by_its_name_with_what_is_possible(args, said):
    with pytest.raises(ModelError, match=said):
        build_probe(Pyramid(), *args)


class Masked(nn.Module):
    def forward(self, x, mask):
        return x.masked_fill(mask, 0) * 2


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_mask_follows_a_dynamic_size(tmp_path, capture):
    mask = noise(1, 1, 32, 32) > 0
    probe = build_probe(Masked(), noise(1, 3, 32, 32), mask, capture=capture, dynamic_size=True)
    assert probe.inputs[1].shape == ("N", 1, "H", "W")
    larger = probe.noise_input(batch=3, larger=True)[1]
    assert larger.shape[0] == 3
    assert torch.equal(larger[:1, :, :32, :32], mask)
    assert verify(open_artifact(export_artifact(probe, tmp_path / "a")), trust=True).passed


def test_parts_that_are_scripted_are_passed_over_where_parts_are_proposed():
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
            self.head = nn.Sequential(nn.Conv2d(4, 2, 1))

        def forward(self, x):
            x = self.scripted(x)
            return self.head(x) if x.sum() > 0 else x

    with pytest.raises(ModelError, match="These parts of it can be probed: head"):
        build_probe(Deciding(), noise(1, 3, 8, 8))


def test_a_part_may_be_called_with_lists_and_flags():
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pyramid = Pyramid()
            self.loss = Loss()

        def forward(self, x):
            return self.loss(Options(2.0), self.pyramid([x, x[..., ::2, ::2]], upsample=False, state=None))

    class Loss(nn.Module):
        def forward(self, options, x):
            return x * options.scale

    loaded = LoadedModel("whole", Whole().eval(), (FINE,), {}, None)
    part = loaded.submodule("pyramid")
    probe = build_probe(part.module, *part.example, kwargs=part.kwargs)
    assert [spec.name for spec in probe.inputs] == ["features_0", "features_1"]
    assert probe.constants == {"state": None, "upsample": False}
    with pytest.raises(ModelError, match=r"submodule 'loss' can't be probed alone: .* passes an Options as options"):
        loaded.submodule("loss")
    with pytest.raises(ModelError, match=r"submodule 'pyramid.lateral' is not called|has no submodule"):
        loaded.submodule("pyramid.laterals")
