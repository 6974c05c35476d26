"""A file in few bits judged against its source: what its bits explain passes, what is broken is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from candidate_files import Made
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from export import export_artifact
from probe import build_probe
from proofs.quantized_faults import FAULTS, TOLD, Graph
from runtime import open_artifact
from runtime.verdict.goal import Goal
from runtime.verdict.report import Report
from runtime.verdict.verdict_kinds import Verdict

Judge = Callable[..., Report]
_FILE = ("onnx-float64",)
"""Of the file itself: kernels of 8-bit integers saturate on some processors, and ONNX Runtime is then at fault."""


class _Images:
    def __init__(self, strength: float = 1.0) -> None:
        generator = np.random.default_rng(0)
        images = (generator.standard_normal((1, 3, 16, 16), np.float32) for _ in range(8))
        self._left = [{"pixels": image * np.float32(strength)} for image in images]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


@pytest.fixture(scope="module")
def files(made: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Right files in 8 bits, by the names that the planted faults know."""
    folder = tmp_path_factory.mktemp("quantized")
    options: dict[str, dict[str, Any]] = {
        "QDQ": {"quant_format": QuantFormat.QDQ},
        "QDQ, per channel": {"quant_format": QuantFormat.QDQ, "per_channel": True},
        "QLinear operators": {
            "quant_format": QuantFormat.QOperator,
            # A resize of whole steps is the runtime's own, and not computed.
            "op_types_to_quantize": ["Conv", "Add", "Mul", "Sigmoid", "Gemm"],
        },
    }
    found = {name: folder / f"{number}.onnx" for number, name in enumerate([*options, "dynamic"])}
    for name, each in options.items():
        quantize_static(made.file, found[name], _Images(), activation_type=QuantType.QUInt8, **each)
    quantize_dynamic(made.file, found["dynamic"], weight_type=QuantType.QUInt8)
    return found


@pytest.mark.parametrize("kind", ["QDQ", "QDQ, per channel", "QLinear operators", "dynamic"])
def test_a_right_quantized_file_passes_and_loses_what_its_bits_explain(
    kind: str, files: dict[str, Path], judged: Judge
):
    report = judged(files[kind], runners=_FILE)
    assert report.candidate is not None
    assert (report.candidate.precision, report.candidate.unmatched, report.passed) == ("integers", (), True)
    outputs = report.runners[0].outputs
    assert 20 < min(each.sqnr_db for each in outputs if each.sqnr_db is not None) < 50
    assert max(each.drift for each in outputs if each.drift is not None) < 2
    # The ReLU6 that the quantizer has left to the range of uint8 is found, and what it clips is no loss.
    assert {each.name: each.verdict for each in outputs}["relu6"] is Verdict.PASS


@pytest.mark.parametrize(
    ("fault", "place", "names"),
    [
        ("zero point of an activation, where it is read", 4, {"point", "side"}),
        ("zero point of an activation behind a ReLU", 0, {"relu6"}),
        ("scale of an activation doubled", 9, {"interpolate", "dropout"}),
        ("range of an activation cut to a third", 0, {"norm2", "relu6"}),
        ("scale of a weight doubled", 4, {"norm2"}),
        ("scale of a weight doubled, its steps halved", 4, {"norm2"}),
        ("scale of a bias doubled", 3, {"norm"}),
        ("x_scale of QLinearConv doubled", 1, {"norm2"}),
        ("zero point of a weight, dynamic", 1, {"norm2"}),
    ],
)
def test_what_is_broken_is_named(
    fault: str, place: int, names: set[str], files: dict[str, Path], judged: Judge, tmp_path: Path
):
    kind, plant = FAULTS[fault]
    graph = Graph(onnx.load(files[kind]))
    list(plant(graph))[place]()
    onnx.save(graph.model, tmp_path / "faulty.onnx")
    report = judged(tmp_path / "faulty.onnx", runners=_FILE)
    culprit = report.runners[0].culprit
    assert not report.passed
    assert culprit is not None
    assert culprit.output in names
    assert "in the file's integers" in report.headline


def test_a_fault_shows_whatever_runner_is_chosen(files: dict[str, Path], judged: Judge, tmp_path: Path):
    # A runner is judged by what the file means in few bits, and so passes: the file has to be judged beside it.
    graph = Graph(onnx.load(files["QDQ"]))
    list(FAULTS["scale of a weight doubled"][1](graph))[4]()
    onnx.save(graph.model, tmp_path / "faulty.onnx")
    report = judged(tmp_path / "faulty.onnx", runners=("onnx-cpu",))
    assert [each.name for each in report.runners] == ["onnx-float64", "onnx-cpu"]
    assert report.headline.startswith("BatchNorm2d norm2 ")
    assert not report.passed


def test_steps_that_do_not_fit_are_said_with_their_numbers(files: dict[str, Path], judged: Judge, tmp_path: Path):
    graph = Graph(onnx.load(files["QDQ"]))
    next(FAULTS["zero point of an activation behind a ReLU"][1](graph))()
    onnx.save(graph.model, tmp_path / "faulty.onnx")
    report = judged(tmp_path / "faulty.onnx", runners=_FILE)
    assert "relu6" in report.headline
    assert "its zero point makes the range start at -0." in report.headline
    assert report.headline.count("its values start at 0") == 1


def test_a_calibration_on_other_data_than_the_inputs_is_broken(made: Made, judged: Judge, tmp_path: Path):
    # All ranges are clipped alike, so none is worse than the file's others.
    weak = _Images(strength=0.1)
    quantize_static(made.file, tmp_path / "weak.onnx", weak, activation_type=QuantType.QUInt8)
    report = judged(tmp_path / "weak.onnx", runners=_FILE)
    assert not report.passed
    assert "times what its bits explain" in report.headline


def test_a_tool_may_give_every_bias_steps_of_its_own(files: dict[str, Path], judged: Judge, tmp_path: Path):
    graph = Graph(onnx.load(files["QDQ"]))
    for bias in graph.weights(dims=1):
        whole, scale = (graph.constants[name] for name in bias.input[:2])
        bias.input[0] = graph.new(bias.input[0], 4 * whole)
        bias.input[1] = graph.new(bias.input[1], scale / np.float32(4))
    onnx.save(graph.model, tmp_path / "finer.onnx")
    assert judged(tmp_path / "finer.onnx", runners=_FILE).passed


@pytest.mark.parametrize(
    ("told", "place", "other"),
    [
        ("a layer left in float", 2, {"point": "float32, most others int8 with a scale per channel"}),
        # Its bias stays in the steps of the channels.
        ("one scale for all channels", 1, {"side": "int8 with one scale, most others int8 with a scale per channel"}),
    ],
)
def test_a_layer_of_another_precision_is_told_and_passes(
    told: str, place: int, other: dict[str, str], made: Made, files: dict[str, Path], judged: Judge, tmp_path: Path
):
    kind, plant = TOLD[told]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(made.file).graph.initializer}
    graph = Graph(onnx.load(files[kind]), weights)
    list(plant(graph))[place]()
    onnx.save(graph.model, tmp_path / "mixed.onnx")
    report = judged(tmp_path / "mixed.onnx", runners=_FILE)
    assert report.passed
    assert report.runners[0].other_kinds == other


def test_a_file_in_half_precision_is_judged_by_its_bits(made: Made, judged: Judge, tmp_path: Path):
    onnx.save(convert_float_to_float16(onnx.load(made.file)), tmp_path / "half.onnx")
    report = judged(tmp_path / "half.onnx")
    assert report.candidate is not None
    assert report.candidate.precision == "float16"
    assert report.passed
    worst = min(each.sqnr_db for each in report.runners[0].outputs if each.sqnr_db is not None)
    assert 60 < worst < 90


def test_what_float16_cannot_hold_is_named_with_its_largest_value(judged: Judge, tmp_path: Path):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1, bias=False), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1)).eval()
    torch.nn.init.constant_(module[0].weight, 60_000.0)
    torch.nn.init.constant_(module[2].weight, 1e-5)
    image = torch.rand(1, 3, 4, 4)
    artifact = export_artifact(build_probe(module, image), tmp_path / "artifact", name="large")
    torch.onnx.export(module, (image,), tmp_path / "large.onnx", dynamo=False, opset_version=17)
    half = convert_float_to_float16(onnx.load(tmp_path / "large.onnx"))
    onnx.save(half, tmp_path / "half.onnx")
    report = judged(tmp_path / "half.onnx", source=open_artifact(artifact))
    assert not report.passed
    assert report.headline.startswith(
        "Conv2d 0, in the file Conv '/0/Conv', is NaN or infinite in the file's float16. "
    )
    assert "The ONNX file is at fault: the values there reach 1" in report.headline
    assert ", and float16 holds up to 65,504" in report.headline
    assert {runner.name: runner.verdict for runner in report.runners} == {
        "onnx-float64": Verdict.NONFINITE,
        "onnx-cpu": Verdict.NONFINITE,
    }


def test_weights_of_4_bits_are_judged_by_theirs(made: Made, judged: Judge, tmp_path: Path):
    def stored(times: float) -> Path:
        model = onnx.version_converter.convert_version(onnx.load(made.file), 21)
        graph = model.graph
        node = next(each for each in graph.node if each.op_type == "Gemm")
        array = numpy_helper.to_array(next(each for each in graph.initializer if each.name == node.input[1]))
        scale = (np.abs(array).max(1) / 7).astype(np.float32)
        steps = np.rint(array / scale[:, None]).astype(np.int8)
        graph.initializer.extend(
            [
                helper.make_tensor("steps", TensorProto.INT4, steps.shape, steps.ravel()),
                numpy_helper.from_array(scale * np.float32(times), "scale"),
            ]
        )
        real = helper.make_node("DequantizeLinear", ["steps", "scale"], ["real"], axis=0)
        node.input[1] = "real"
        nodes = [real, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        onnx.save(model, tmp_path / f"{times}.onnx")
        return tmp_path / f"{times}.onnx"

    right, wrong = judged(stored(1.0), runners=_FILE), judged(stored(2.0), runners=_FILE)
    assert right.passed
    assert next(each.sqnr_db for each in right.runners[0].outputs if each.name == "head") < 35
    assert wrong.runners[0].culprit is not None
    assert wrong.runners[0].culprit.output == "head"


def test_a_goal_fails_what_is_right_and_not_good_enough(files: dict[str, Path], judged: Judge):
    met = judged(files["QDQ"], runners=_FILE, goal=Goal("dB", 20.0))
    missed = judged(files["QDQ"], runners=_FILE, goal=Goal("dB", 80.0))
    classes = judged(files["QDQ"], runners=_FILE, goal=Goal("top1", 1.0))
    assert (met.passed, missed.passed, classes.passed) == (True, False, True)
    assert missed.headline.startswith("The goal of 80.0 dB is not met: head reaches ")
    assert met.headline.startswith("All pass.")
    assert "The goal of 20.0 dB is met: head reaches " in met.headline
    assert missed.goal is not None
    assert [(each.runner, each.result) for each in missed.goal.reached] == [("onnx-float64", "head")]


def test_the_command_line_fails_under_a_goal_and_shows_the_worst_layers(
    made: Made, files: dict[str, Path], layerprobe: Callable[..., Any], tmp_path: Path
):
    def verified(*goal: object) -> Any:
        given = ("--against", made.artifact.path, "--runner", "onnx-float64", "-q", "--json", tmp_path / "report.json")
        return layerprobe("verify", files["QDQ"], *given, *goal)

    passed, failed = verified(), verified("--goal", "80 dB")
    assert (passed.code, failed.code) == (0, 1)
    assert "The lowest signal-to-noise ratios: " in passed.out
    assert failed.out.startswith("The goal of 80.0 dB is not met: head reaches ")
    assert json.loads((tmp_path / "report.json").read_text())["goal"]["passed"] is False
    wrong = verified("--goal", "very good")
    assert (wrong.code, "Goals are '30 dB'" in wrong.err) == (2, True)
    alone = layerprobe("verify", made.artifact.path, "--goal", "30 dB")
    assert (alone.code, "--goal is for --against MODEL" in alone.err) == (2, True)


def test_whole_steps_are_not_taken_for_the_numbers_that_they_are_nearly(judged: Judge, tmp_path: Path):
    # The steps of image and weights multiply to about one, and the bias is lost in what rounding to them makes.
    pixels = np.random.default_rng(0).standard_normal((1, 3, 16, 16), np.float32)
    image = torch.from_numpy(pixels)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3)).eval()
    weight = module[0].weight.data
    weight *= 255 / float(image.max() - image.min()) * 127 / float(weight.abs().max())
    probe = build_probe(module, image)
    source = open_artifact(export_artifact(probe, tmp_path / "artifact", reference_inputs={"image": (image,)}))
    torch.onnx.export(module, (image,), tmp_path / "float.onnx", dynamo=False, opset_version=13)
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "dynamic.onnx", weight_type=QuantType.QUInt8)
    report = judged(tmp_path / "dynamic.onnx", source, runners=_FILE)
    assert report.passed, report.headline
    assert report.outputs[0].computed_by is not None
    assert report.outputs[0].computed_by.startswith("Add")
