"""`export --preprocessing-in-model`: the files take a photo's pixels, and return what the model returns for it."""

import contextlib
import shutil
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from altered_artifacts import rehash
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from torch import nn

from export import export_artifact, to_onnx
from probe import average_probe, build_probe, on_pixels
from runtime import open_artifact, open_runner, preprocess_files, verify
from runtime.artifact.errors import UsageError
from runtime.artifact.manifest import Preprocessing
from runtime.main import main

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)

    def forward(self, image):
        x = self.relu(self.norm(self.stem(image)))
        return self.fc((self.conv(x) + x).mean((2, 3)))


def make():
    torch.manual_seed(0)
    return Net().eval()
"""
PIXELS = ("pixels", "--preprocessing-in-model", "--averaged")
STEPS = Preprocessing(resize=20, crop=(17, 19), mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "pixel_net.py"
    file.write_text(MODEL)
    return file


@pytest.fixture(scope="module")
def export(file):
    """The artifacts of the model, each made once."""

    @cache
    def made(name, *options):
        folder = file.parent / name
        with contextlib.suppress(SystemExit):
            main(["export", f"{file}:make", "-o", str(folder), "--input-size", "33x45", *map(str, options), "-q"])
        return open_artifact(folder)

    return made


def test_a_photo_gives_the_same_results_and_every_runner_passes(export, photo, file, layerprobe):
    plain, pixels = export("plain"), export(*PIXELS)
    manifest, steps = pixels.manifest, pixels.manifest.preprocessing
    assert [each.model_dump() for each in manifest.inputs] == [
        {"name": "image", "shape": ("N", 33, 45, 3), "dtype": "uint8"}
    ]
    assert (steps.mean, steps.std, steps.layout) == (None, None, "NHWC")
    assert steps.in_model.mean == plain.manifest.preprocessing.mean
    assert manifest.output_names == ["normalised", *plain.manifest.output_names]
    assert manifest.weights == plain.manifest.weights

    given = preprocess_files([photo], steps)
    assert (given.dtype, given.shape) == (np.uint8, (1, 33, 45, 3))
    found = open_runner(pixels, "onnx-cpu").run({"image": given})
    normalised = preprocess_files([photo], plain.manifest.preprocessing)
    assert np.array_equal(found["normalised"], normalised)
    for name, array in open_runner(plain, "onnx-cpu").run({"image": normalised}).items():
        np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)

    report = verify(pixels, trust=True)
    assert report.passed
    assert {"onnx-cpu", "torchscript"} <= {each.name for each in report.runners}
    outcome = layerprobe("verify", pixels.path, "--runner", "eager", "--model", f"{file}:make")
    assert outcome.code == 0, outcome.out
    assert layerprobe("verify", pixels.path / "averaged.onnx").code == 0


def test_onnx_runtime_takes_the_decoded_and_cropped_pixels(export):
    folder = export(*PIXELS).path
    vectors = load_file(folder / "test_vectors.safetensors")
    assert np.array_equal(vectors["input:image"], vectors["cropped"][None])
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["normalised"], {"image": vectors["cropped"][None]})
    scaled = vectors["cropped"].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = (np.float32(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert np.array_equal(found[0], (scaled - mean) / std)


def test_a_wrong_mean_in_the_file_is_named(export, layerprobe, tmp_path):
    folder = shutil.copytree(export(*PIXELS).path, tmp_path / "art")
    model = onnx.load(folder / "model.onnx")
    mean = next(
        each
        for each in model.graph.initializer
        if list(each.dims) == [3, 1, 1] and abs(numpy_helper.to_array(each)[0, 0, 0] - 0.485) < 1e-6
    )
    mean.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(mean)[::-1].copy(), mean.name))
    onnx.save(model, folder / "model.onnx")
    rehash(folder, "model.onnx")
    outcome = layerprobe("verify", folder)
    assert outcome.code == 1
    assert outcome.out.startswith("Normalise normalised ")
    assert "The ONNX file is at fault" in outcome.out


def test_an_open_size_and_a_photo_on_record_work(export, photo, layerprobe, tmp_path):
    artifact = export("open", "--preprocessing-in-model", "--dynamic-size", "--input", photo)
    assert artifact.manifest.inputs[0].shape == ("N", "H", "W", 3)
    assert next(each.name for each in artifact.references()) == str(photo)
    assert layerprobe("verify", artifact.path).code == 0
    out = tmp_path / "out.safetensors"
    assert layerprobe("run", artifact.path, photo, "--input-size", "41x27", "-o", out).code == 0
    assert load_file(out)["normalised"].shape == (1, 3, 41, 27)


def test_pixels_that_are_masked_or_drawn_are_taken_too(export, photo, layerprobe, tmp_path):
    folder = export(*PIXELS).path
    for number, options in enumerate(([], ["--cam", "--method", "score"])):
        outcome = layerprobe("grid", folder, photo, "-o", tmp_path / f"{number}.png", *options)
        assert outcome.code == 0, outcome.err


# Models of other kinds


class Writing(nn.Module):
    """Writes to its input, and returns a view of it; its own step has the name that the normalised input would have."""

    def __init__(self, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)
        self.normalised = nn.Identity()

    def forward(self, image):
        first = self.normalised(image).flatten(1)
        return self.conv(torch.relu_(image)), first


def drawn(probe):
    return probe.noise_input(batch=2, seed=3)


def names(probe):
    return [each.name for each in probe.outputs]


def test_what_the_model_is_given_is_kept_where_the_model_writes_to_it():
    plain = build_probe(Writing().eval(), torch.randn(1, 3, 17, 19))
    probe, left = on_pixels(plain, STEPS)
    own, *others = names(probe)
    assert own != "normalised"
    assert others == names(plain)
    (pixels,) = drawn(probe)
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint8, (2, 17, 19, 3))
    given = ((pixels.permute(0, 3, 1, 2) / 255) - torch.tensor(STEPS.mean)[:, None, None]) / torch.tensor(STEPS.std)[
        :, None, None
    ]
    found, expected = probe(pixels), plain(given.clone())
    assert torch.equal(found[own], given)
    for name in names(plain):
        assert torch.equal(found[name], expected[name])
    assert {each.alias_of for each in probe.outputs} >= {own}
    assert left.on_pixels() == left


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_model_gets_its_own_dtype(dtype):
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).to(dtype).eval()
    probe, _ = on_pixels(build_probe(model, torch.randn(1, 3, 17, 19).to(dtype)), STEPS)
    assert {tensor.dtype for tensor in probe(*drawn(probe)).values()} == {dtype}


def test_grey_pixels_have_one_channel():
    steps = Preprocessing(resize=20, crop=(17, 19), mean=[0.5], std=[0.25])
    probe, left = on_pixels(build_probe(Writing(1).eval(), torch.randn(1, 1, 17, 19)), steps)
    assert probe.inputs[0].shape == ("N", 17, 19, 1)
    assert left.depth == 1
    assert "uint8" in str(to_onnx(probe).graph.inputs[0].type).lower()


def test_a_capture_by_torch_export_and_the_averaged_probe_work():
    plain = build_probe(Writing().eval(), torch.randn(1, 3, 17, 19), capture="export")
    probe, _ = on_pixels(plain, STEPS)
    (pixels,) = drawn(probe)
    own = names(probe)[0]
    assert torch.allclose(average_probe(probe)(pixels)[own], probe(pixels)[own].mean(1, True), atol=1e-6)


class Two(nn.Module):
    def forward(self, left, right):
        return left + right


def test_what_takes_no_photo_is_refused_in_two_lines(tmp_path, layerprobe, export):
    probe = build_probe(Two(), torch.randn(1, 3, 8, 8), torch.randn(1, 3, 8, 8))
    with pytest.raises(UsageError, match=r"takes left .*, right .*: no photo that is yet to be normalised\.\nOmit"):
        on_pixels(probe, None)
    done, left = on_pixels(build_probe(Writing().eval(), torch.randn(1, 3, 17, 19)), STEPS)
    with pytest.raises(UsageError, match="uint8"):
        on_pixels(done, left)


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": None},
        {"mean": None, "std": None},
        {"in_model": {"mean": [0.5], "std": [0.5]}},
        {"mean": None, "std": None, "in_model": {"mean": [0.5, 0.5], "std": [0.5, 0.5]}},
        {"mean": None, "std": None, "in_model": {"mean": [0.5], "std": [0.0]}},
    ],
)
def test_a_manifest_normalises_outside_or_inside(changed):
    with pytest.raises(ValueError, match=r"in_model|mean has|greater than"):
        Preprocessing.model_validate({**STEPS.model_dump(), **changed})


# Somebody's ONNX file


def theirs(file, layout, dtype=TensorProto.FLOAT):
    sizes = {"N": "N", "C": 3, "H": 23, "W": 31}
    kernel = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    nodes = [helper.make_node("Transpose", ["photo"], ["turned"], perm=[0, 3, 1, 2])] if layout == "NHWC" else []
    nodes += [
        helper.make_node("Conv", ["turned" if nodes else "photo", "kernel"], ["normalised"], "stem"),
        helper.make_node("Relu", ["normalised"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("photo", dtype, [sizes[axis] for axis in layout])],
        [helper.make_tensor_value_info("y", dtype, ["N", 4, 21, 29])],
        [numpy_helper.from_array(kernel.astype(helper.tensor_dtype_to_np_dtype(dtype)), "kernel")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return file


@pytest.mark.parametrize(
    ("layout", "dtype"), [("NCHW", TensorProto.FLOAT), ("NHWC", TensorProto.FLOAT), ("NCHW", TensorProto.FLOAT16)]
)
def test_an_onnx_file_takes_pixels_whatever_its_layout_and_type(tmp_path, photo, layerprobe, layout, dtype):
    file = theirs(tmp_path / "theirs.onnx", layout, dtype)
    found = {}
    for name, options in (("plain", ()), ("pixels", ["--preprocessing-in-model"])):
        outcome = layerprobe("export", file, "-o", tmp_path / name, *options)
        assert outcome.code == 0, outcome.err
        assert layerprobe("run", tmp_path / name, photo, "-o", tmp_path / f"{name}.safetensors").code == 0
        found[name] = load_file(tmp_path / f"{name}.safetensors")
    assert "mean and std were written into it" in outcome.err
    manifest = open_artifact(tmp_path / "pixels").manifest
    assert (manifest.inputs[0].shape, manifest.inputs[0].dtype) == (("N", 23, 31, 3), "uint8")
    for name, array in found["plain"].items():
        np.testing.assert_allclose(found["pixels"][name], array, atol=1e-5 if array.dtype == np.float32 else 0.05)
    assert set(found["pixels"]) - set(found["plain"]) >= {"normalised_2/scaled", "normalised_2/centred", "normalised_2"}
    recorded = [each.name for each in open_artifact(tmp_path / "pixels").references()]
    assert recorded == ["noise", "strong noise", "a photo", "a batch of 3"]
    assert layerprobe("verify", tmp_path / "pixels").code == 0


def test_a_file_that_takes_normalised_photos_is_judged_by_one_that_takes_pixels(tmp_path, layerprobe):
    file = theirs(tmp_path / "theirs.onnx", "NHWC")
    assert layerprobe("export", file, "-o", tmp_path / "pixels", "--preprocessing-in-model").code == 0
    outcome = layerprobe("verify", file, "--against", tmp_path / "pixels")
    assert outcome.code == 0, outcome.out
    assert "The file wants the input normalised" in outcome.out


def test_an_onnx_file_that_takes_pixels_already_is_refused_in_two_lines(tmp_path, layerprobe):
    file = theirs(tmp_path / "theirs.onnx", "NCHW")
    assert layerprobe("export", file, "-o", tmp_path / "art", "--preprocessing-in-model").code == 0
    shutil.copy(tmp_path / "art" / "model.onnx", tmp_path / "again.onnx")
    outcome = layerprobe("export", tmp_path / "again.onnx", "-o", tmp_path / "b", "--preprocessing-in-model")
    assert outcome.code == 2
    assert outcome.err.endswith("no photo that is yet to be normalised.\nOmit --preprocessing-in-model.\n")


def test_an_artifact_can_be_made_from_python(tmp_path):
    probe, left = on_pixels(build_probe(Writing().eval(), torch.randn(1, 3, 17, 19)), STEPS)
    export_artifact(probe, tmp_path / "art", preprocessing=left)
    assert verify(tmp_path / "art", trust=True).passed
