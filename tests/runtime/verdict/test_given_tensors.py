"""`verify --tensors`: what another runtime, language or device computed is judged like a runner."""

import json
import math
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from javascript_here import needs_node, run_node
from safetensors.numpy import load_file, save_file
from torch import nn

from export import export_artifact
from probe import build_probe
from proofs.planted_faults import edited_model
from runtime import open_artifact, open_runner
from runtime.artifact.errors import InputError
from runtime.verdict.report import Report
from runtime.verdict.verification import verify

FILE = "onnx-float64"


class Net(nn.Module):
    """All sides are of another length but for `square`, of 8 channels on 8 x 8: only values tell its layout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.square = nn.Conv2d(4, 8, 3, (3, 5), 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.square(self.relu(self.conv(x))).mean((2, 3)))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    probe = build_probe(Net().eval(), torch.randn(1, 3, 24, 40))
    return open_artifact(export_artifact(probe, tmp_path_factory.mktemp("given") / "a"))


@pytest.fixture(scope="module")
def right(artifact):
    return open_runner(artifact, "onnx-cpu").run(artifact.reference().inputs)


@pytest.fixture
def judged(artifact, tmp_path):
    """Return a function that judges tensors as a file of them."""

    def judge(tensors, metadata=None, name="phone.safetensors", **options):
        file = tmp_path / name
        save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, file, metadata=metadata)
        return verify(artifact, tensors=[file], **options)

    return judge


def of_phone(report):
    return next(each for each in report.runners if each.name == "phone.safetensors")


def verdicts(runner):
    return {each.name: str(each.verdict) for each in runner.outputs}


def test_what_a_sound_runtime_computed_passes_under_the_files_name(judged, right):
    report = judged(right, {"device": "Pixel 8\x1b[31m"})
    assert [each.name for each in report.runners] == [FILE, "phone.safetensors"]
    assert report.passed
    phone = of_phone(report)
    assert verdicts(phone) == dict.fromkeys(right, "pass")
    assert all(each.introduced is not None for each in phone.outputs)
    assert phone.facts == {"device": "Pixel 8?[31m"}
    assert (phone.given.absent, phone.given.reordered, phone.given.unknown, phone.unprobed) == ([], {}, [], None)


def test_a_wrong_operation_is_the_culprit_and_what_follows_inherits_it(judged, right):
    wrong = dict(right)
    wrong["square"] = right["square"] * 1.01
    wrong["mean"] = wrong["square"].mean((2, 3))
    wrong["fc"] = Net().fc(torch.from_numpy(wrong["mean"])).detach().numpy()
    report = judged(wrong)
    phone = of_phone(report)
    assert phone.culprit.output == "square"
    assert verdicts(phone) == {
        "conv": "pass",
        "relu": "pass",
        "square": "drift",
        "mean": "inherited",
        "fc": "inherited",
    }
    assert "Conv2d square" in report.headline
    assert "in phone.safetensors" in report.headline


def test_outputs_that_are_missing_are_listed_and_do_not_fail(judged, right):
    report = judged({name: right[name] for name in ("relu", "fc")} | {"x.1": right["fc"]})
    assert report.passed
    phone = of_phone(report)
    assert verdicts(phone) == {"relu": "pass", "fc": "pass"}
    assert phone.given.absent == ["conv", "square", "mean"]
    assert phone.given.unknown == ["x.1"]


def test_an_error_of_what_is_missing_is_split_at_the_next_that_is_there(judged, right):
    wrong = {"conv": right["conv"], "fc": right["fc"]}
    wrong["mean"] = (right["square"] * 1.001).mean((2, 3))
    wrong["fc"] = Net().fc(torch.from_numpy(wrong["mean"])).detach().numpy()
    report = judged(wrong)
    phone = of_phone(report)
    assert verdicts(phone) == {"conv": "pass", "mean": "drift", "fc": "inherited"}
    assert (phone.culprit.output, phone.culprit.or_one_of) == ("mean", ["relu", "square"])
    assert "or an operation before it that is not in the file (relu, square)," in report.headline


@pytest.mark.parametrize("layout", [(0, 2, 3, 1), (0, 1, 3, 2)])
def test_another_layout_is_recognised_by_shape_and_values(judged, right, layout):
    reordered = {name: array.transpose(layout) if name in ("conv", "relu") else array for name, array in right.items()}
    report = judged(reordered)
    assert report.passed
    assert of_phone(report).given.reordered == {name: reordered[name].shape for name in ("conv", "relu")}


def test_channels_last_is_recognised_where_all_sides_are_of_one_length_and_two_exchanged_sides_are_a_fault(
    judged, right
):
    assert right["square"].shape == (1, 8, 8, 8)
    report = judged({"square": right["square"].transpose(0, 2, 3, 1)})
    assert report.passed
    assert of_phone(report).given.reordered == {"square": (1, 8, 8, 8)}
    assert of_phone(judged({"square": right["square"].transpose(0, 1, 3, 2)})).verdict == "drift"


def test_a_flattened_tensor_is_recognised_in_either_order(judged, right):
    for flat in (right["conv"].reshape(-1), right["conv"].transpose(0, 2, 3, 1).reshape(-1)):
        assert of_phone(judged({"conv": flat})).verdict == "pass"


def test_a_tensor_in_another_layout_with_a_nan_is_nonfinite_and_not_of_another_shape(judged, right):
    wrong = right["conv"].transpose(0, 2, 3, 1).copy()
    wrong[0, 3, 7, 2] = np.nan
    assert verdicts(of_phone(judged({"conv": wrong}))) == {"conv": "nonfinite"}
    assert verdicts(of_phone(judged({"conv": right["conv"][:, :, 1:]}))) == {"conv": "shape"}


def test_the_recorded_input_is_told_by_number_or_by_the_input_in_the_file(artifact, judged):
    references = artifact.references()
    assert [each.name for each in references][-2:] == ["a photo", "a batch of 3"]
    number, batch = len(references) - 1, references[-1]
    arrays = open_runner(artifact, "onnx-cpu").run(batch.inputs)
    for tensors, metadata in (
        (arrays, {"layerprobe.recorded_input": str(number)}),
        (arrays | {"input:x": batch.inputs["x"]}, None),
        (arrays | {"input:x": batch.inputs["x"].transpose(0, 2, 3, 1)}, None),
    ):
        report = judged(tensors, metadata)
        assert report.passed, report.headline
        assert of_phone(report).recorded_input == "a batch of 3"
    # Without either it is the first one.
    assert verdicts(of_phone(judged({"fc": arrays["fc"]}))) == {"fc": "shape"}


def test_another_input_is_refused_and_can_be_given(artifact, judged, tmp_path, layerprobe):
    given = {"x": np.linspace(-1, 1, 3 * 24 * 40, dtype=np.float32).reshape(1, 3, 24, 40)}
    arrays = open_runner(artifact, "onnx-cpu").run(given)
    with pytest.raises(InputError, match=r"was computed from another input than noise, .*\nAdd --input F"):
        judged(arrays | {"input:x": given["x"]})
    file = tmp_path / "phone.safetensors"
    done = layerprobe("verify", artifact.path, "--tensors", file, "--input", file)
    assert done.code == 0, done.err
    assert "phone.safetensors: all 5 outputs pass" in done.out


@pytest.mark.parametrize(
    ("tensors", "metadata", "said"),
    [
        (
            {"Conv\x1b": "fc"},
            {},
            r"has none of the outputs of .*: it has Conv\?\.\nThe names .* own: conv, relu",
        ),
        ({"fc": "fc"}, {"layerprobe.recorded_input": "9"}, r"the recorded input 9; there are .*: noise, "),
        ({"fc": "fc"}, {"layerprobe.recorded_input": "first"}, r"the recorded input first; there are "),
        ({"fc": "fc"}, {"layerprobe.recorded_input": "00000000000001"}, r"the recorded input 0+1; there are "),
        ({"fc": "fc"}, {"layerprobe.samples": '{"fc": [1e999]}'}, r"is not a JSON object of names to shapes"),
        ({"fc": "fc"}, {"layerprobe.samples": "[1]"}, r"is not a JSON object of names to shapes"),
        ({"fc": "fc"}, {"layerprobe.samples": '{"fc": [1, 7]}'}, r"has 5 elements of fc, 1 x 7\. Its sample has 5"),
        ({"conv": "fc"}, {"layerprobe.samples": '{"conv": [1, 4, 24, 40]}'}, r"places of 0/truth:conv in reference"),
    ],
)
def test_what_cannot_be_judged_is_told(judged, right, tensors, metadata, said):
    with pytest.raises(InputError, match=said) as told:
        judged({name: right[of] for name, of in tensors.items()}, metadata)
    assert "\x1b" not in str(told.value)
    assert len(str(told.value).splitlines()) <= 2


@pytest.mark.parametrize("absent", [(), ("square",)])
def test_a_fault_of_the_file_is_the_exports_where_the_tensors_say_that_it_was_run(artifact, right, tmp_path, absent):
    folder = shutil.copytree(artifact.path, tmp_path / "changed")
    with edited_model(folder) as model:
        node = next(each for each in model.graph.node if "square" in each.output)
        weight = next(each for each in model.graph.initializer if each.name == node.input[1])
        weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * np.float32(1.01)).tobytes()
    changed = open_artifact(folder)
    arrays = open_runner(changed, "onnx-cpu").run(changed.reference().inputs)
    causes = []
    for metadata in ({"layerprobe.file": "model.onnx"}, None):
        given = {name: array for name, array in arrays.items() if name not in absent}
        save_file(given, tmp_path / "phone.safetensors", metadata=metadata)
        report = verify(changed, tensors=[tmp_path / "phone.safetensors"])
        causes.append([(each.name, each.culprit.output, each.culprit.cause) for each in report.runners])
    assert causes == [
        [(FILE, "square", "export"), ("phone.safetensors", "mean" if absent else "square", cause)]
        for cause in ("export", "unknown")
    ]
    # What ran something else, and is right, has nothing to do with it.
    save_file({name: array for name, array in right.items() if name not in absent}, tmp_path / "phone.safetensors")
    assert of_phone(verify(changed, tensors=[tmp_path / "phone.safetensors"])).verdict == "pass"


def test_every_form_of_the_report_has_the_file(artifact, judged, right, tmp_path, layerprobe):
    judged({name: array for name, array in right.items() if name != "relu"})
    file = tmp_path / "phone.safetensors"
    forms = {form: tmp_path / f"report.{form}" for form in ("json", "junit", "html", "model-explorer")}
    options = [text for form, path in forms.items() for text in (f"--{form}", path)]
    done = layerprobe("verify", artifact.path, "--tensors", file, *options)
    assert done.code == 0, done.err
    assert "phone.safetensors: the 4 outputs pass" in done.out
    assert "not in the file: 1 (relu)" in done.out
    report = Report.model_validate_json(forms["json"].read_text())
    assert of_phone(report).given.absent == ["relu"]
    cases = ElementTree.parse(forms["junit"]).iter("testcase")
    skipped = {case.get("name") for case in cases if case.find("skipped") is not None}
    assert skipped == {"relu"}
    assert "not in the file: 1 (relu)" in forms["html"].read_text()
    assert "phone.safetensors" in forms["model-explorer"].read_text()
    refused = layerprobe("verify", artifact.path, "--tensors", file, "--json", file)
    assert refused.code == 2
    assert "is an input of this command" in refused.err


def test_a_recorded_run_is_judged_with_its_runner_and_two_of_one_name_by_their_paths(artifact, tmp_path, layerprobe):
    files = [tmp_path / place / "run.safetensors" for place in ("a", "b")]
    for file, options in zip(files, ((), ("--runner", "torchscript")), strict=True):
        file.parent.mkdir()
        assert layerprobe("run", artifact.path, "--recorded-input", "-o", file, *options).code == 0
    report = verify(artifact, ["onnx-cpu"], tensors=files)
    assert report.passed
    assert [each.name for each in report.runners] == [*map(str, files), "onnx-cpu"]
    assert [each.facts.get("runner") for each in report.runners] == ["onnx-cpu", "torchscript", None]


def test_a_recorded_run_of_other_weights_is_refused(artifact, tmp_path, layerprobe):
    torch.manual_seed(1)
    other = Net().eval()
    nn.init.normal_(other.conv.weight)
    folder = export_artifact(build_probe(other, torch.randn(1, 3, 24, 40)), tmp_path / "other")
    file = tmp_path / "run.safetensors"
    assert layerprobe("run", folder, "--recorded-input", "-o", file).code == 0
    refused = layerprobe("verify", artifact.path, "--tensors", file)
    assert refused.code == 3
    assert "run.safetensors is a run of Net with other weights" in refused.err


def plain_places(count, size):
    """By artifacts/README.md: the element of each of `count` equal stretches of a tensor of `size`."""
    return [math.floor((k + (0.6180339887498949 * k) % 1) * (size / count)) for k in range(count)]


JAVASCRIPT = """
const fs = require("fs"), [folder, name, out] = process.argv.slice(1);
const open = file => {
  const bytes = fs.readFileSync(file), length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  return [header, key => bytes.subarray(...header[key].data_offsets.map(offset => 8 + length + offset))];
};
const [reference] = open(folder + "/reference.safetensors");
const [header, read] = open(folder + "/whole.safetensors");
const n = reference["0/truth:" + name].shape[0], shape = header[name].shape;
const size = shape.reduce((a, b) => a * b), whole = read(name), sample = Buffer.alloc(4 * n);
for (let k = 0; k < n; k++) {
  const place = Math.floor((k + (0.6180339887498949 * k) % 1) * (size / n));
  sample.writeFloatLE(whole.readFloatLE(4 * place), 4 * k);
}
const entry = {dtype: "F32", shape: [n], data_offsets: [0, 4 * n]};
const metadata = {"layerprobe.samples": JSON.stringify({[name]: shape}), "layerprobe.recorded_input": "0"};
const text = Buffer.from(JSON.stringify({[name]: entry, __metadata__: metadata})), length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(text.length));
fs.writeFileSync(out, Buffer.concat([length, text, sample]));
"""
"""A program that has nothing but artifacts/README.md."""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder with an artifact of whose `conv` only a sample is recorded, and with what ONNX Runtime computes."""
    torch.manual_seed(0)
    probe = build_probe(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval(), torch.randn(1, 3, 96, 96))
    folder = export_artifact(probe, tmp_path_factory.mktemp("large") / "a")
    artifact = open_artifact(folder)
    save_file(open_runner(artifact, "onnx-cpu").run(artifact.reference().inputs), folder / "whole.safetensors")
    return folder


def by_python(folder, name, out):
    import struct

    content = (folder / "reference.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    count = json.loads(content[8 : 8 + length])[f"0/truth:{name}"]["shape"][0]
    whole = load_file(folder / "whole.safetensors")[name]
    flat = whole.reshape(-1).tolist()
    sample = [flat[place] for place in plain_places(count, len(flat))]
    samples = json.dumps({name: list(whole.shape)})
    entry = {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}
    header = json.dumps({name: entry, "__metadata__": {"layerprobe.samples": samples}}).encode()
    out.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack(f"<{count}f", *sample))


def by_node(folder, name, out):
    run_node("-e", JAVASCRIPT, folder, name, out)


@pytest.mark.parametrize("write", [by_python, pytest.param(by_node, marks=needs_node)])
def test_a_sample_that_was_taken_by_the_text_of_the_format_is_judged(large, tmp_path, write):
    file = tmp_path / "phone.safetensors"
    write(large, "0", file)
    (sample,) = load_file(file).values()
    assert sample.size < load_file(large / "whole.safetensors")["0"].size
    report = verify(open_artifact(large), tensors=[file])
    assert report.passed
    phone = of_phone(report)
    assert (phone.given.sampled, phone.given.absent) == (["0"], ["1"])
    (found,) = phone.outputs
    assert found.introduced < 4  # its own input, the model's, is known as a whole
    content = bytearray(file.read_bytes())
    content[-4:] = np.float32(9).tobytes()
    file.write_bytes(content)
    assert of_phone(verify(open_artifact(large), tensors=[file])).culprit.output == "0"
