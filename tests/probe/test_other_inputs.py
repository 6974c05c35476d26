"""On what a model is tried besides its example: noise where it may be noise, the example's own rows everywhere else."""

import pytest
import torch
import torchvision
from torch import nn

from export import export_artifact
from export.reference_recording import record_reference
from export.rounding_noise import rounding_noise
from probe import build_probe
from probe.other_inputs import draw
from runtime import benchmark, open_artifact, verify
from runtime.artifact.errors import InputError


def random(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


IMAGE = torch.zeros(1, 3, 8, 8)


def drawn(*example, shapes=None, seed=1):
    return draw(example, shapes or [tensor.shape for tensor in example], seed)


def is_noise(tensor):
    return bool(tensor.min() < -1) and bool(tensor.max() > 1)


@pytest.mark.parametrize(
    "example",
    [IMAGE, torch.ones(1, 3, 8, 8), noise(1, 3, 8, 8), torch.zeros(2, 16, 8), torch.zeros(1, 100), torch.zeros(50)],
    ids=["zeros", "ones", "noise", "tokens", "a latent alone", "one axis alone"],
)
def test_a_plain_image_or_feature_is_drawn_as_noise(example):
    (made,) = drawn(example)
    assert is_noise(made)
    assert made.shape == example.shape
    assert not torch.equal(made, drawn(example, seed=2)[0])


@pytest.mark.parametrize(
    "example",
    [
        torch.tensor([[0, 1.5, 1, 9, 9], [1, 2, 3.5, 8, 12], [1, -3, 0, 5, 5]]),
        torch.tensor([[4, 7, 1], [0, 2, 9]]),
        torch.tensor([3, 0, 1]),
        torch.tensor(12.0),
        torch.tensor(12),
        torch.tensor([250.0]),
        random(1, 1, 8, 8) > 0.5,
        random(1, 1, 8, 8).round(),
        nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 3, 8, 8], align_corners=False),
        random(1, 3, 8, 8),
        torch.arange(192, dtype=torch.uint8).view(1, 3, 8, 8),
        random(2, 5, 4),
    ],
    ids=[
        "regions",
        "ids",
        "offsets",
        "scalar",
        "integer",
        "time",
        "mask",
        "matte",
        "grid",
        "probabilities",
        "bytes",
        "boxes",
    ],
)
def test_anything_else_keeps_rows_of_its_own(example):
    for seed in (0, 1, 2):
        _, made = drawn(IMAGE, example, seed=seed)
        assert made.dtype == example.dtype
        assert made.shape == example.shape
        rows = {
            tuple(row.flatten().tolist()) for row in example.reshape(-1, example.shape[-1] if example.ndim > 1 else 1)
        }
        new = {tuple(row.flatten().tolist()) for row in made.reshape(-1, example.shape[-1] if example.ndim > 1 else 1)}
        assert new <= rows
    assert torch.equal(drawn(IMAGE, example, seed=0)[1], example)


def test_the_images_of_a_batch_differ_also_where_they_are_made_of_one():
    (made,) = drawn(random(1, 3, 16, 8), shapes=[(3, 3, 16, 8)])
    assert not torch.equal(made[0], made[1])
    assert not torch.equal(made[1], made[2])


class Regions(nn.Module):
    """Regions whose first column says in which image of the batch they are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x, rois):
        return torchvision.ops.roi_align(self.conv(x), rois, 3, 1.0, 2) * 2


ROIS = torch.tensor([[0, 1, 1, 7.5, 7], [2, 2, 3, 6, 7.0], [1, 0, 0, 5, 5], [0, 0, 2, 4, 7]])


def test_regions_in_several_images_go_the_whole_way(tmp_path):
    probe = build_probe(Regions(), noise(3, 3, 8, 8), ROIS)
    assert [spec.shape for spec in probe.inputs] == [("N", 3, 8, 8), (4, 5)]
    # Region 1 is in image 2: a smaller batch has no such image.
    assert [probe.noise_input(batch)[0].shape[0] for batch in (1, 2)] == [3, 4]
    artifact = open_artifact(export_artifact(probe, tmp_path / "a"))
    assert verify(artifact, trust=True).passed
    # A lone file has no recorded input to take the regions from.
    lone = artifact.file("model.onnx").rename(tmp_path / "lone.onnx")
    assert benchmark(lone, ["onnx-cpu"], batches=[1], repeats=1).timings


def test_the_noise_floor_of_an_index_is_that_of_the_region_it_names():
    probe = build_probe(Regions(), noise(3, 3, 8, 8), ROIS)
    floor = record_reference(probe, probe.example).truths["roi_align"].noise_floor
    # One float below 2 is image 1: the floor would be as large as the tensor.
    assert floor < 1e-5


def test_rounding_does_not_move_an_index_to_another_region():
    probe = build_probe(Regions(), noise(3, 3, 8, 8), ROIS)
    truths = record_reference(probe, probe.example).truths
    assert rounding_noise(probe, probe.example, truths)["roi_align"].spread < 1e-5


def test_values_that_the_model_rejects_are_not_used_again():
    class Sorted(nn.Module):
        def forward(self, x, lengths):
            torch._assert(bool((lengths[:-1] >= lengths[1:]).all()), "not sorted") if isinstance(
                lengths, torch.Tensor
            ) else None
            return x * lengths.sum()

    lengths = torch.arange(20, 0, -1)
    probe = build_probe(Sorted(), noise(1, 3, 8, 8), lengths)
    assert probe.own_values
    assert torch.equal(probe.noise_input(seed=3)[1], lengths)


def test_noise_that_makes_nan_where_there_was_none_is_outside_the_domain():
    class Root(nn.Module):
        def forward(self, x):
            return torch.sqrt(x) * 2

    probe = build_probe(Root(), torch.full((1, 3, 8, 8), 0.25))
    assert torch.equal(probe.noise_input(batch=2, seed=3)[0], torch.full((2, 3, 8, 8), 0.25))


class Watch(nn.Module):
    """Returns its input, of which each element must be one of the input that was given."""

    def forward(self, x, index):
        return x * 2 + index.sum()


def test_where_an_input_is_given_nothing_is_made_on_other_values(tmp_path, monkeypatch):
    given = (noise(2, 3, 8, 8) + 100, torch.tensor([7, 8]))
    seen = []
    drawing = torch.randn

    def watched(*args, **kwargs):
        seen.append(args)
        return drawing(*args, **kwargs)

    probe = build_probe(Watch(), IMAGE, torch.tensor([1]))
    monkeypatch.setattr(torch, "randn", watched)
    artifact = open_artifact(export_artifact(probe, tmp_path / "a", reference_inputs={"mine": given}))
    assert seen == []
    recorded = artifact.reference().inputs
    assert (recorded["x"] == given[0].numpy()).all()
    assert recorded["index"].tolist() == [7, 8]
    assert verify(artifact, trust=True).passed
    probe.noise_input()
    assert seen


def test_an_input_that_does_not_fit_is_told_with_what_does(tmp_path):
    probe = build_probe(Watch(), IMAGE, torch.tensor([1]))
    with pytest.raises(
        InputError, match=r"takes x \(N x 3 x 8 x 8, float32\), index \(N, int64\)\.\n.*is a tensor \(1"
    ):
        export_artifact(probe, tmp_path / "a", reference_inputs={"mine": (torch.zeros(1, 3, 8, 9), torch.tensor([1]))})
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("axes", "kind"), [(4, torch.channels_last), (5, torch.channels_last_3d)])
@pytest.mark.parametrize("low", [-3.0, 0.0])
def test_what_is_drawn_has_the_examples_memory_format(axes, kind, low):
    """Noise, and the example's own rows: a write to what is a view in this format alone misses a tensor in another."""
    example = (torch.rand(2, 3, *[4] * (axes - 2)) + low).contiguous(memory_format=kind)
    (drawn,) = draw((example,), [(3, *example.shape[1:])], seed=1)
    assert drawn.is_contiguous(memory_format=kind)
    assert not drawn.is_contiguous()
