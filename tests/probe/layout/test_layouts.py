"""Layouts are followed through the graph, in models of all kinds; what can't be followed is `?`, never a guess."""

from functools import cache

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional

from probe import build_probe
from probe.capture.fx_trace import trace
from probe.capture.torch_export import export_capture
from probe.layout.layouts import infer_layouts
from probe.model.example import bind_example
from probe.model.variants import CNN2
from probe.observe.observation import observe
from runtime.artifact.errors import LayerprobeError
from runtime.artifact.manifest import TokenGrid


def traced_by_fx(model, image):
    return trace(model, bind_example(model, (image,), {}))


def traced_by_export(model, image):
    return export_capture(model, bind_example(model, (image,), {}))


TRACERS = [traced_by_fx, traced_by_export]


class Followed:
    """A model's tensors, parameters aside: name, shape and layout, in the order of execution."""

    def __init__(self, model, *shape, tracer=traced_by_fx):
        torch.manual_seed(0)
        image = torch.randn(shape)
        traced = tracer(model.eval(), image)
        observations = observe(traced, bind_example(model, (image,), {}))
        layouts = infer_layouts(traced.module, observations)
        assert list(layouts) == [node for node, each in observations.items() if each.dtype is not None]
        nodes = [node for node in layouts if node.op != "get_attr"]
        self.layouts = {node.name: layouts[node] for node in nodes}
        self.letters = {name: layout.letters for name, layout in self.layouts.items()}
        self.last = self.layouts[nodes[-1].name]
        self.shapes = {node.name: observations[node].shape for node in nodes}

    def turns(self):
        """Return the letters without repetition, as they change from one tensor to the next."""
        given = list(self.letters.values())
        return [letters for i, letters in enumerate(given) if i == 0 or letters != given[i - 1]]

    def named(self, beginning):
        return [letters for name, letters in self.letters.items() if name.startswith(beginning)]


class Step(nn.Module):
    """A model of one function."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function = function
        self.modules_used = nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.modules_used)


def last(function, *shape, modules=(), tracer=traced_by_fx):
    return Followed(Step(function, *modules), *shape, tracer=tracer).last


@pytest.mark.parametrize("tracer", TRACERS)
def test_resnet_is_nchw_until_it_is_flattened(tracer):
    followed = Followed(torchvision.models.resnet18(), 2, 3, 64, 64, tracer=tracer)
    assert followed.turns() == ["NCHW", "NC"]
    assert next(name for name, letters in followed.letters.items() if letters == "NC") == "flatten"


@pytest.mark.parametrize("model", [torchvision.models.mobilenet_v3_small, CNN2])
def test_squeeze_and_excitation_and_shared_layers_are_nchw_too(model):
    followed = Followed(model(), 1, 3, 64, 64)
    assert followed.turns() == ["NCHW", "NC"]


def test_inceptions_branches_are_nchw_where_they_meet():
    block = torchvision.models.inception.InceptionC(32, 8)
    assert Followed(block, 1, 32, 8, 8).turns() == ["NCHW"]


@pytest.mark.parametrize("tracer", TRACERS)
def test_shuffled_channels_come_back(tracer):
    followed = Followed(torchvision.models.shufflenet_v2_x0_5(), 1, 3, 64, 64, tracer=tracer)
    assert {"N??HW", "N?HW"} == set(followed.turns()) - {"NCHW", "NC"}
    assert set(followed.named("stage3_1")) <= {"NCHW"}
    assert followed.turns()[:4] == ["NCHW", "N??HW", "N?HW", "NCHW"]


@pytest.mark.parametrize("tracer", TRACERS)
def test_convnext_is_nhwc_inside_its_blocks(tracer):
    followed = Followed(torchvision.models.convnext_tiny(), 1, 3, 64, 64, tracer=tracer)
    # The stem's norm and the first block's inside.
    assert followed.turns()[:5] == ["NCHW", "NHWC", "NCHW", "NHWC", "NCHW"]
    assert set(followed.letters.values()) == {"NCHW", "NHWC", "NC"}
    assert all(letters == "NHWC" for name, letters in followed.letters.items() if "gelu" in name)


def test_swins_blocks_are_nhwc_and_their_convolution_nchw():
    followed = Followed(torchvision.models.swin_t(), 1, 3, 64, 64)
    assert followed.letters["features_0_0"] == "NCHW"
    assert set(followed.named("features_1")) == {"NHWC"}
    assert set(followed.named("add")) == {"NHWC"}
    assert followed.last.letters == "NC"


@pytest.mark.parametrize("size", [56, 64])
def test_swins_windows_are_unknown_and_put_together_nhwc_again(size):
    """56: four windows. 64: not a multiple of windows, so they are padded and cut off."""
    model = torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [1, 1], [7, 7])
    followed = Followed(model, 1, 3, size, size, tracer=traced_by_export)
    windows = [followed.letters[name] for name, shape in followed.shapes.items() if shape[-2:-1] == (49,)]
    assert windows
    assert not any("L" in letters or "N" in letters for letters in windows[:5])
    assert set(followed.named("layer_norm")) - {"NHWC"} == set()
    assert set(followed.named("gelu")) == {"NHWC"}
    assert followed.turns()[-2:] == ["NCHW", "NC"]


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("batch", [1, 2])
def test_vision_transformers_tokens_lie_in_the_image_behind_the_class_token(tracer, batch):
    model = torchvision.models.VisionTransformer(224, 16, 2, 2, 8, 16)
    followed = Followed(model, batch, 3, 224, 224, tracer=tracer)
    patches = [layout for layout in followed.layouts.values() if layout.letters == "NLC"]
    assert patches[0].tokens == TokenGrid(0, 14, 14, 0)
    assert {layout.tokens for layout in patches[1:]} == {TokenGrid(1, 14, 14, 0)}
    names = [name for name, layout in followed.layouts.items() if layout.letters == "NLC"]
    # The two norms of each layer, and the last: what attention computes in between is in other orders.
    assert sum("layer_norm" in name or "ln" in name for name in names) >= 5
    assert followed.last.letters == "NC"


@cache
def from_timm(name, **options):
    return timm.create_model(name, pretrained=False, **options)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("vit_tiny_patch16_224", 1),
        ("deit_tiny_distilled_patch16_224", 2),
        ("vit_small_patch14_reg4_dinov2", 5),
        ("vit_base_patch16_siglip_224", 0),
    ],
)
def test_registers_and_distillation_tokens_are_counted(name, before):
    options = {"depth": 1, "embed_dim": 48, "num_heads": 3, "img_size": (112, 56), "patch_size": 14}
    followed = Followed(from_timm(name, **options), 1, 3, 112, 56, tracer=traced_by_export)
    grids = [layout.tokens for layout in followed.layouts.values() if layout.tokens]
    assert grids[-1] == TokenGrid(before, 8, 4, 0)
    assert followed.last.letters == "NC"


def test_mlp_mixers_residuals_know_what_mixing_tokens_forgets():
    model = from_timm("mixer_s32_224")
    followed = Followed(model, 1, 3, 224, 224, tracer=traced_by_export)
    assert {followed.layouts[name].tokens for name in followed.letters if name.startswith("add")} == {
        TokenGrid(0, 7, 7, 0)
    }
    assert followed.turns()[:6] == ["NCHW", "NCL", "NLC", "NCL", "NC?", "N?C"]


def test_poolformer_is_nchw():
    followed = Followed(from_timm("poolformer_s12"), 1, 3, 64, 64, tracer=traced_by_export)
    views_of_scales = {letters for name, letters in followed.letters.items() if name.startswith("view")}
    assert views_of_scales == {"???"}
    assert set(followed.turns()) == {"NCHW", "NHWC", "NC", "???"}


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("swin_tiny_patch4_window7_224", {"embed_dim": 12, "depths": (2, 2), "num_heads": (1, 2)}, 224),
        ("pvt_v2_b0", {"depths": (1, 1, 1, 1)}, 64),
    ],
)
def test_the_batch_of_the_example_makes_no_difference(name, options, size):
    model = from_timm(name, **options)
    one, three = (Followed(model, batch, 3, size, size, tracer=traced_by_export) for batch in (1, 3))
    assert one.letters == three.letters
    axes = [pair for name, shape in three.shapes.items() for pair in zip(three.letters[name], shape, strict=True)]
    assert {size for letter, size in axes if letter == "N"} == {3}


TOKENS = TokenGrid(0, 4, 6, 0)


def tokens(x):
    """N C H W -> N L C."""
    return x.flatten(2).transpose(1, 2)


@pytest.mark.parametrize(
    ("function", "letters", "grid"),
    [
        (tokens, "NLC", TOKENS),
        (lambda x: x.permute(0, 2, 3, 1).reshape(2, -1, 8), "NLC", TOKENS),
        (lambda x: x.transpose(2, 3).flatten(2).mT, "N?C", None),
        (lambda x: tokens(x)[:, :5], "NLC", None),
        (lambda x: tokens(x).transpose(1, 2).unflatten(2, (4, 6)), "NCHW", None),
        (lambda x: tokens(x).transpose(1, 2).unflatten(2, (6, 4)), "NC??", None),
        (lambda x: torch.cat([torch.zeros(2, 1, 8), tokens(x), torch.zeros(2, 3, 8)], 1), "NLC", TokenGrid(1, 4, 6, 3)),
        (lambda x: torch.cat([torch.zeros(2, 1, 8), tokens(x)], 1)[:, 1:], "NLC", TOKENS),
        (lambda x: torch.cat([torch.zeros(2, 1, 8), tokens(x)], 1).split([1, 24], 1)[1], "NLC", TOKENS),
        (lambda x: torch.cat([torch.zeros(2, 1, 8), tokens(x)], dim=1)[:, 1:].reshape(2, 4, 6, 8), "NHWC", None),
        (lambda x: torch.cat([tokens(x), tokens(x)], 1), "NLC", None),
        (lambda x: torch.cat([torch.zeros(2, 1, 8), tokens(x)], 1)[:, 0], "NC", None),
    ],
)
@pytest.mark.parametrize("tracer", TRACERS)
def test_tokens_are_counted_as_they_come_and_go(function, letters, grid, tracer):
    layout = last(function, 2, 8, 4, 6, tracer=tracer)
    assert (layout.letters, layout.tokens) == (letters, grid)


OPERATIONS = [
    (lambda x: x[:, 0], "NHW"),
    (lambda x: x[..., 1:], "NCHW"),
    (lambda x: x[:, None, ..., 0], "N?CH"),
    (lambda x: x[:, :, ::2, ::2], "NCHW"),
    (lambda x: x[torch.tensor([1, 0])], "????"),
    (lambda x: x.mean((2, 3)), "NC"),
    (lambda x: x.mean((-2, -1), keepdim=True), "NCHW"),
    (lambda x: x.amax(1), "NHW"),
    (lambda x: x.max(1)[0], "NHW"),
    (lambda x: x.mean((2, 3), keepdim=True).squeeze(3), "NCH"),
    (lambda x: x.mean((2, 3)).unsqueeze(-1), "NC?"),
    (lambda x: x.movedim(1, -1), "NHWC"),
    (lambda x: x.swapaxes(-1, 1), "NWHC"),
    (lambda x: x.chunk(2, 1)[-1], "NCHW"),
    (lambda x: x.unbind(1)[0], "NHW"),
    (lambda x: torch.stack([x, x], 2), "NC?HW"),
    (lambda x: torch.roll(x, 1, 2), "NCHW"),
    (lambda x: functional.pad(x, (1, 1)), "NCHW"),
    (lambda x: functional.interpolate(x, scale_factor=2.0), "NCHW"),
    (lambda x: functional.pixel_shuffle(x, 2), "NCHW"),
    (lambda x: functional.unfold(x, 2), "NCL"),
    (lambda x: x.reshape(2, 2, 2, 2, 4, 6).permute(0, 1, 4, 2, 5, 3).reshape(2, 2, 8, 12), "NCHW"),
    (lambda x: x.reshape(2, 8, 2, 2, 3, 2).mean((3, 5)), "NCHW"),
    (lambda x: x.reshape(16, 4, 6), "?HW"),
    (lambda x: torch.einsum("nchw,nkhw->nck", x, x), "NC?"),
    (lambda x: x + torch.zeros(8, 1, 1), "NCHW"),
    (lambda x: x * x.transpose(2, 3).reshape(2, 8, 4, 6), "NCHW"),
    (lambda x: x.flatten(2) @ x.flatten(2).mT, "NC?"),
    (lambda x: x.cumsum(1).sort(2)[0], "NCHW"),
    (torch.nonzero, "??"),
    (lambda x: x.sum(), ""),
    (lambda x: torch.cat([x, x], axis=1), "NCHW"),
    (lambda x: x.sum(axis=1), "NHW"),
    (lambda x: x.norm(dim=1, keepdim=True), "NCHW"),
    (lambda x: x.flatten(2).flip(2), "NCL"),
    (lambda x: torch.tensordot(x, torch.zeros(8, 5), ([1], [0])), "N???"),
    (lambda x: torch.tensordot(x, torch.zeros(8, 8), ([1], [0])), "N???"),
    (lambda x: torch.cdist(tokens(x), tokens(x)), "N??"),
    (lambda x: torch.linalg.inv(x.flatten(2) @ x.flatten(2).mT), "N??"),
    (lambda x: torch.fft.fft2(x).abs(), "N???"),
    (lambda x: x.unfold(2, 2, 2), "NC?W?"),
    (lambda x: x.mean((2, 3)).unfold(1, 4, 4), "N??"),
    (lambda x: torch.where(x > 0, x, -x), "NCHW"),
    (lambda x: functional.normalize(x, dim=1), "NCHW"),
]


@pytest.mark.parametrize(("function", "letters"), OPERATIONS)
@pytest.mark.parametrize("tracer", TRACERS)
def test_operations(function, letters, tracer):
    assert last(function, 2, 8, 4, 6, tracer=tracer).letters == letters


@pytest.mark.parametrize(("function", "letters"), OPERATIONS)
@pytest.mark.parametrize("tracer", TRACERS)
def test_axes_of_one_size_are_not_taken_for_each_other(function, letters, tracer):
    try:
        found = last(function, 4, 4, 4, 4, tracer=tracer).letters
    except LayerprobeError:
        pytest.skip("written for axes of other sizes")
    assert all(one in ("?", other) for one, other in zip(found, letters, strict=True)), found


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    "reorder", [lambda x: x.flip(1), lambda x: x.flip(0, 1), lambda x: x.roll(1, 1), lambda x: x.sort(1)[0]]
)
def test_tokens_in_another_order_are_no_longer_those_of_the_image(reorder, tracer):
    layout = last(lambda x: reorder(tokens(x)), 2, 8, 4, 6, tracer=tracer)
    assert (layout.letters, layout.tokens) == ("NLC", None)


@pytest.mark.parametrize(
    ("module", "shape", "letters"),
    [
        (nn.Conv3d(3, 4, 3), (1, 3, 8, 8, 8), "NCDHW"),
        (nn.Conv1d(3, 4, 3), (2, 3, 8), "NCL"),
        (nn.ConvTranspose2d(3, 4, 3, stride=2), (1, 3, 8, 8), "NCHW"),
        (nn.Upsample(scale_factor=2), (1, 3, 8, 8), "NCHW"),
        (nn.PixelUnshuffle(2), (1, 3, 8, 8), "NCHW"),
        (nn.Sequential(nn.Flatten(0, 1), nn.Unflatten(0, (2, 3))), (2, 3, 8, 8), "NCHW"),
        (nn.Linear(8, 4), (2, 5, 8), "N?C"),
        (nn.Linear(8, 4), (2, 8), "NC"),
        (nn.GRU(8, 4), (2, 5, 8), "N??"),
        (nn.PReLU(3), (1, 3, 8, 8), "NCHW"),
        (nn.UpsamplingNearest2d(scale_factor=2), (1, 3, 8, 8), "NCHW"),
        (nn.GLU(1), (1, 4, 8, 8), "NCHW"),
        (nn.RMSNorm(8), (2, 5, 8), "N??"),
    ],
)
def test_modules(module, shape, letters):
    followed = Followed(
        Step(lambda x, module: module(x)[0] if isinstance(module, nn.GRU) else module(x), module), *shape
    )
    assert followed.last.letters == letters


def test_attentions_weights_are_not_taken_for_tokens():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def both(x, attend):
        result = attend(tokens(x), tokens(x), tokens(x))
        return result[0] + result[1].sum()

    followed = Followed(Step(both, attention), 2, 8, 4, 6)
    assert followed.letters["getitem"] == "NLC"
    assert followed.letters["getitem_1"] == "???"
    assert followed.last.tokens == TOKENS


@pytest.mark.parametrize(
    ("function", "letters"),
    [
        (lambda x, weight, bias: x.mean((2, 3)) @ weight, "NC"),
        (lambda x, weight, bias: torch.mm(x.mean((2, 3)), weight.t()), "NC"),
        (lambda x, weight, bias: torch.addmm(bias, x.mean((2, 3)), weight), "NC"),
        (lambda x, weight, bias: tokens(x) @ weight, "NLC"),
        (lambda x, weight, bias: x.flatten(2)[..., :8] @ weight, "NC?"),
    ],
)
@pytest.mark.parametrize("tracer", TRACERS)
def test_a_product_with_a_weight_is_a_linear_layer(function, letters, tracer):
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(8, 8))
            self.bias = nn.Parameter(torch.ones(8))

        def forward(self, x):
            return function(x, self.weight, self.bias)

    assert Followed(Weighted(), 2, 8, 4, 6, tracer=tracer).last.letters == letters


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_an_input_of_one_axis_is_not_taken_for_the_batch(capture):
    """Neither is a table that all images share."""

    class Scaled(nn.Module):
        def forward(self, x, scale, table):
            return x * 2, scale.exp(), table.exp(), (x.mean((2, 3)) * scale)

    probe = build_probe(Scaled(), torch.rand(2, 8, 4, 6), torch.rand(8), torch.rand(5, 8), capture=capture)
    assert [output.layout for output in probe.outputs] == ["NCHW", "?", "?C", "NC", "NC"]


def test_a_probes_outputs_tell_layout_and_tokens():
    outputs = build_probe(Step(tokens), torch.zeros(1, 8, 4, 6)).outputs
    assert [(output.layout, output.tokens) for output in outputs] == [("NCL", None), ("NLC", TOKENS)]
