"""Class activation maps against PyTorch: autograd, hooks and masks by hand; which layer, class and method are taken."""

import shutil

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, relu

from export import export_artifact
from probe import build_probe
from runtime import (
    Artifact,
    Preprocessing,
    RunnerUnavailable,
    UsageError,
    class_activation,
    open_artifact,
    open_runner,
)

STEPS = Preprocessing(resize=12, crop=(12, 12), mean=[0.5] * 3, std=[0.25] * 3)


class Averaged(nn.Module):
    """A classifier with a linear head: as ResNet, MobileNetV2 and GoogLeNet have it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.body = nn.Conv2d(6, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout()
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = relu(self.norm(self.body(relu(self.stem(x)))))
        return self.head(self.drop(self.pool(x).flatten(1)))


class Flattened(nn.Module):
    """One without: as VGG."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3))
        self.hidden = nn.Linear(128, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(relu(self.hidden(relu(self.features(x)).flatten(1))))


def trained_a_little(model):
    """Weights and statistics that are no defaults, so that nothing is right by symmetry."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in [*model.parameters(), *(each for each in model.buffers() if each.is_floating_point())]:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3 * (tensor.ndim > 1))
    return model.eval()


@pytest.fixture(scope="module")
def models():
    return {"averaged": trained_a_little(Averaged()), "flattened": trained_a_little(Flattened())}


@pytest.fixture(scope="module")
def artifacts(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifiers")
    for name, model in models.items():
        probe = build_probe(model, torch.zeros(2, 3, 12, 12))
        export_artifact(probe, folder / name, name=name, preprocessing=STEPS)
    return {name: open_artifact(folder / name) for name in models}


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(5).standard_normal((1, 3, 12, 12)).astype(np.float32)


def activations(model, layer, image, change=None):
    """Return what a module gives, and the scores, where `change` may put something else in its place."""
    kept = []

    def hook(module, inputs, output):
        kept.append(output)
        return None if change is None else change(output)

    with layer.register_forward_hook(hook) if isinstance(layer, nn.Module) else layer:
        scores = model(torch.from_numpy(image))
    return kept[0], scores


def test_an_exact_map_is_the_weighted_sum_of_the_channels(models, artifacts, image):
    found = class_activation(artifacts["averaged"], image, 2, "exact", runner="onnx-cpu")
    channels = open_runner(artifacts["averaged"], "onnx-cpu").run({"x": image})["relu_1"][0]
    weights = models["averaged"].head.weight.detach().numpy()[2]
    np.testing.assert_allclose(found.map, sum(w * each for w, each in zip(weights, channels, strict=True)), rtol=1e-5)
    np.testing.assert_array_equal(found.weights, weights)
    assert (found.method, found.layer, found.class_, found.map.shape) == ("exact", "relu_1", 2, (6, 6))


def test_an_exact_map_is_that_of_grad_cam_by_autograd(models, artifacts, image):
    """Where the head is an average and a linear layer, the two are equal up to the number of pixels and the ReLU."""
    with torch.enable_grad():
        model = models["averaged"]
        maps = relu(model.norm(model.body(relu(model.stem(torch.from_numpy(image))))))
        maps.retain_grad()
        model.head(model.pool(maps).flatten(1))[0, 3].backward()
        grad_cam = relu((maps.grad.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1))[0].detach().numpy()
    found = class_activation(artifacts["averaged"], image, 3, "exact", runner="onnx-cpu")
    np.testing.assert_allclose(np.maximum(found.map, 0), grad_cam * grad_cam.size, rtol=1e-4, atol=1e-6)
    assert (grad_cam > 0).any()


@pytest.mark.parametrize(("name", "module", "output"), [("averaged", "body", "body"), ("flattened", "features", None)])
def test_ablation_is_that_by_hooks_that_zero_one_channel_after_the_other(
    models, artifacts, image, name, module, output
):
    model = models[name]
    layer = getattr(model, module)
    with torch.no_grad():
        maps, whole = activations(model, layer, image)
        drops = []
        for channel in range(maps.shape[1]):

            def zeroed(tensor, channel=channel):
                changed = tensor.clone()
                changed[:, channel] = 0
                return changed

            drops.append(whole[0, 1] - activations(model, layer, image, zeroed)[1][0, 1])
    expected = relu((torch.stack(drops)[:, None, None] * maps[0]).sum(dim=0)).numpy()
    found = class_activation(artifacts[name], image, 1, "ablation", layer=output or "features.3", runner="onnx-cpu")
    np.testing.assert_allclose(found.weights, drops, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.map, expected, rtol=1e-3, atol=1e-5)
    assert np.ptp(found.map) > 0


@pytest.mark.parametrize("runner", ["onnx-cpu", "torchscript"])
def test_score_is_the_probability_of_the_photo_seen_through_each_channel(models, artifacts, image, runner):
    model = models["flattened"]
    with torch.no_grad():
        maps = relu(model.features(torch.from_numpy(image)))
        weights = []
        for channel in maps[0]:
            mask = interpolate(channel[None, None], size=(12, 12), mode="bilinear", align_corners=False)
            span = mask.max() - mask.min()
            masked = torch.from_numpy(image) * (mask - mask.min()) / span
            weights.append(model(masked).softmax(dim=1)[0, 2].item() if span > 0 else 0.0)
        expected = relu((torch.tensor(weights)[:, None, None] * maps[0]).sum(dim=0)).numpy()
    found = class_activation(artifacts["flattened"], image, 2, "score", runner=runner)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.map, expected, rtol=1e-4, atol=1e-6)


def test_eigen_is_the_first_component_of_the_channels_and_needs_no_class(artifacts, image):
    found = class_activation(artifacts["averaged"], image, method="eigen", runner="onnx-cpu")
    channels = open_runner(artifacts["averaged"], "onnx-cpu").run({"x": image})["relu_1"][0].reshape(8, -1)
    centred = channels - channels.mean(axis=1, keepdims=True)
    component = np.linalg.svd(centred, full_matrices=False)[2][0].reshape(6, 6)
    assert abs(np.corrcoef(found.map.ravel(), component.ravel())[0, 1]) == pytest.approx(1, abs=1e-5)
    assert (found.class_, found.score, found.weights) == (None, None, None)


def test_the_class_is_the_most_probable_one_with_its_probability(models, artifacts, image):
    with torch.no_grad():
        probabilities = models["averaged"](torch.from_numpy(image)).softmax(dim=1)[0]
    found = class_activation(artifacts["averaged"], image, runner="onnx-cpu")
    assert found.class_ == int(probabilities.argmax())
    assert found.score == pytest.approx(float(probabilities.max()), abs=1e-5)
    assert class_activation(artifacts["averaged"], image, 1, runner="onnx-cpu").score == pytest.approx(
        float(probabilities[1]), abs=1e-5
    )


def test_each_runtime_gives_the_same_exact_map(artifacts, image):
    maps = [
        class_activation(artifacts["averaged"], image, 0, runner=runner).map for runner in ("onnx-cpu", "torchscript")
    ]
    np.testing.assert_allclose(*maps, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["exact", "ablation", "score", "eigen"])
def test_a_gpu_gives_the_map_of_the_cpu(method, artifacts, image):
    on_gpu, on_cpu = (
        class_activation(artifacts["averaged"], image, 0, method, runner=runner).map
        for runner in ("onnx-cuda", "onnx-cpu")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-4 * np.abs(on_cpu).max())


def test_auto_is_exact_where_the_head_allows_it_else_ablation_else_score(artifacts, image):
    def method(name, runner):
        return class_activation(artifacts[name], image, runner=runner).method

    assert method("averaged", "torchscript") == "exact"
    assert method("flattened", "onnx-cpu") == "ablation"
    assert method("flattened", "torchscript") == "score"


def test_top_tries_the_channels_of_most_energy_only(artifacts, image):
    whole = class_activation(artifacts["flattened"], image, 0, "score", runner="onnx-cpu")
    some = class_activation(artifacts["flattened"], image, 0, "score", top=3, runner="onnx-cpu")
    channels = open_runner(artifacts["flattened"], "onnx-cpu").run({"x": image})["relu"][0].astype(float)
    best = np.argsort(-(channels**2).sum(axis=(1, 2)))[:3]
    np.testing.assert_allclose(some.weights, np.where(np.isin(np.arange(8), best), whole.weights, 0), atol=1e-6)
    assert (some.tried, whole.tried) == (3, None)


def test_a_layer_may_be_named_by_its_module(artifacts, image):
    found = class_activation(artifacts["flattened"], image, 0, "eigen", layer="features", runner="onnx-cpu")
    assert found.layer == "features.3"


REFUSED = {
    "a class beyond the last": ({"class_": 5}, r"There is no class 5: head has 5, from 0 to 4\."),
    "a class below 0": ({"class_": -1}, r"There is no class -1: head has 5, from 0 to 4\."),
    "an unknown method": ({"method": "grad"}, r"no method 'grad': choose auto, exact, ablation, score, eigen\."),
    "an unknown layer": ({"layer": "boddy"}, r"boddy"),
    "a layer without pixels": ({"layer": "flatten", "method": "eigen"}, r"flatten: no height and width"),
    "another layer than the averaged one": (
        {"layer": "body", "method": "exact"},
        r"is one of relu_1, .* not of body\.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_in_words(name, artifacts, image):
    choices, words = REFUSED[name]
    with pytest.raises(UsageError, match=words):
        class_activation(artifacts["averaged"], image, runner="onnx-cpu", **choices)


def test_ablation_needs_a_runtime_that_starts_in_the_middle(artifacts, image):
    with pytest.raises(RunnerUnavailable) as caught:
        class_activation(artifacts["averaged"], image, method="ablation", runner="torchscript")
    assert str(caught.value) == (
        "torchscript runs averaged as a whole, not from relu_1 on.\n"
        "Use --runner onnx, or another method: score or eigen."
    )


def test_a_lone_program_has_no_graph_to_read(artifacts, image, tmp_path):
    alone = tmp_path / "model.torchscript.pt"
    shutil.copy(artifacts["averaged"].path / alone.name, alone)
    assert class_activation(alone, image, runner="torchscript").method == "score"
    for method in ("exact", "ablation"):
        with pytest.raises(UsageError, match=rf"The method {method} reads the model's ONNX graph, and .* has no model"):
            class_activation(alone, image, method=method, runner="torchscript")


def test_an_averaged_artifact_has_no_channels(artifacts, image):
    manifest = artifacts["averaged"].manifest
    means = [each.model_copy(update={"averaged": 8}) if each.has_map else each for each in manifest.outputs]
    averaged = Artifact(artifacts["averaged"].path, manifest.model_copy(update={"outputs": tuple(means)}))
    with pytest.raises(UsageError, match="has only means over the channels, of which none can be weighed"):
        class_activation(averaged, image)


def test_an_artifact_of_some_outputs_names_the_one_that_it_lacks(models, image, tmp_path):
    for name, kept, lacks in (("averaged", "relu", "relu_1"), ("flattened", "features.1", "features.3")):
        probe = build_probe(models[name], torch.zeros(2, 3, 12, 12), outputs=[kept])
        folder = export_artifact(probe, tmp_path / name, preprocessing=STEPS)
        with pytest.raises(UsageError, match=rf"{lacks} of .*, is not among the artifact's outputs\.\nExport it with"):
            class_activation(folder, image, runner="onnx-cpu")
        found = class_activation(folder, image, layer=kept, runner="onnx-cpu")
        assert (found.layer, found.method) == (kept, "ablation")


def test_tokens_are_weighed_on_their_grid(tmp_path):
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(3, 8, 4, stride=4)
            self.token = nn.Parameter(torch.zeros(1, 1, 8))
            self.mix = nn.Linear(8, 8)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            patches = self.embed(x).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], dim=1)
            mixed = self.mix(tokens).softmax(dim=1)
            return self.head((mixed * tokens).sum(dim=1))

    image = np.random.default_rng(0).standard_normal((1, 3, 12, 16)).astype(np.float32)
    probe = build_probe(trained_a_little(Patches()), torch.zeros(2, 3, 12, 16))
    artifact = export_artifact(probe, tmp_path / "patches", name="patches")
    for method in ("eigen", "score", "ablation"):
        found = class_activation(artifact, image, 1, method, layer="mix", runner="onnx-cpu")
        assert found.map.shape == (3, 4)
        assert np.ptp(found.map) > 0
