"""The first line of a report: who is wrong, the file or the runtime, whether the result feels it; what isn't proven."""

import pytest

from report_making import make_facts, make_output, make_runner
from runtime.verdict.headline import headline
from runtime.verdict.ort_fusions import Fusion
from runtime.verdict.report import Culprit, Unopened, UnprobedReport

NAMES = ("conv1", "relu", "fc")


def _said(*runners, **more):
    return headline(runners, [make_facts(name) for name in NAMES], **more)


def _faulty(name="onnx-cpu", result=420.0, cause="runtime", culprit="conv1", **more):
    """A runner whose operation conv1 is wrong; a result that drifts behind it inherits that."""
    verdict = "inherited" if result is None or result > 16 else "pass"
    outputs = [
        make_output("conv1", 99.0, "drift", introduced=2000.0, inherited=0.5),
        make_output("relu", 99.0, "inherited", introduced=0.0, inherited=99.0),
        make_output("fc", result, verdict, relative_to_scale=0.25),
    ]
    blamed = Culprit(output=culprit, cause=cause, introduced=2000.0, **more)
    return make_runner(name, outputs, "drift", culprit=blamed)


def _sound(name, introduced=0.5, **more):
    return make_runner(name, [make_output(each, 1.0, introduced=introduced) for each in NAMES], **more)


WRONG = "Conv2d conv1 (net.py:7) introduced the largest error in onnx-cpu: 2e+03 times what its arithmetic may lose."


def test_a_failure_says_who_is_wrong_whose_fault_it_is_and_that_the_result_feels_it():
    assert _said(_faulty(), _sound("torchscript")) == (
        f"{WRONG} The runtime is at fault, or its settings: that operation's inputs were right. "
        "The result fc is off by 420 times float32's own error, of 16 that pass."
    )


def test_a_failure_that_the_result_does_not_feel_says_so():
    assert _said(_faulty(result=2.5)).endswith(
        "The model's results pass all the same: fc is off by 2.5 times float32's own error, of 16 that pass."
    )


def test_a_result_that_cannot_be_measured_is_told_and_one_that_is_not_known_is_not():
    assert _said(_faulty(result=None)).endswith("The result fc inherits its error.")
    assert "result" not in _said(_faulty().model_copy(update={"result": None}))


def test_a_fault_of_the_file_names_what_differs_and_measures_the_result_in_a_runtime():
    differs = ["its epsilon is 1e-05, the model's 0.001"]
    file, onnx_cpu = (_faulty(name, cause="export", differences=differs) for name in ("onnx-float64", "onnx-cpu"))
    assert _said(file, onnx_cpu) == (
        f"{WRONG.replace('onnx-cpu', 'onnx-float64')} The ONNX file is at fault: evaluated in float64, it still "
        "differs from the model; its epsilon is 1e-05, the model's 0.001. The result fc is off by 420 times float32's "
        "own error, of 16 that pass. onnx-cpu fails, too."
    )
    assert "The result fc is off by 0.25 of its largest value in float64." in _said(file)


def test_other_runners_that_fail_are_told_and_where_if_it_is_elsewhere():
    elsewhere = make_runner(
        "openvino",
        [make_output("relu", 50.0, "drift", introduced=50.0)],
        culprit=Culprit(output="relu", cause="runtime", introduced=50.0),
    )
    assert _said(_faulty(), elsewhere, _faulty("onnx-cuda")).endswith("openvino (at relu), onnx-cuda fail, too.")


def test_what_passes_tells_where_the_largest_error_was_introduced():
    assert _said(_sound("onnx-cpu"), _sound("torchscript", 1.25)) == (
        "All pass. Conv2d conv1 (net.py:7) introduced the largest error in torchscript: 1.25 times what its arithmetic "
        "may lose."
    )
    assert _said(_sound("onnx-float64", 0.0)) == "All pass."
    assert _said() == "Nothing was compared."


def test_what_float32_cant_settle_is_said_first_and_is_never_all_pass():
    outputs = [make_output("conv1"), make_output("relu", 2.0, "unproven"), make_output("fc", 3.0, "unproven")]
    said = _said(_sound("torchscript"), make_runner("onnx-cpu", outputs, "unproven"))
    assert said.startswith(
        "Nothing fails, but nothing is proven for relu, fc: float32 itself is over 1 % off float64 there, or "
        "infinite. Conv2d conv1"
    )


def test_a_result_that_is_proven_only_with_the_probes_outputs_is_told():
    unprobed = UnprobedReport(outputs=[make_output("fc", 1.0, "unproven")], difference=0.0, prevented=None)
    assert _said(_sound("onnx-cpu", unprobed=unprobed)).startswith("Nothing fails, but nothing is proven for fc: ")


def test_nodes_on_another_provider_are_the_headline_where_every_output_passes():
    misplaced = _sound("onnx-cuda", verdict="placement", misplaced=["Conv conv1", "Gemm fc"])
    assert _said(misplaced, _sound("onnx-cpu")) == (
        "onnx-cuda ran 2 compute nodes elsewhere than requested (Conv conv1, Gemm fc); every output passes. "
        "--allow-fallback lets that pass."
    )


def test_a_runner_that_cant_be_opened_is_told_before_those_that_pass():
    said = _said(_sound("onnx-cpu"), unopened={"torchscript": Unopened(reason="The file was altered.", exit_code=3)})
    assert said.startswith("torchscript can't be opened: The file was altered. The other runners pass. Conv2d conv1")


@pytest.mark.parametrize("culprit", ["relu", "fc"])
def test_a_fault_of_the_unprobed_model_alone_tells_its_result(culprit):
    fusion = Fusion(operations=("Conv", "Relu"), nodes=("conv1", "relu"))
    unprobed = UnprobedReport(outputs=[make_output("fc", 30.0, "drift")], difference=30.0, prevented=[fusion])
    blamed = Culprit(output=culprit, cause="runtime", introduced=30.0, only_unprobed=True)
    runner = _sound("openvino", verdict="drift", first_failing="fc", culprit=blamed, unprobed=unprobed)
    said = _said(runner)
    assert "is off by 30 times float32's own error" in said
    assert said.endswith("it fuses wrongly where only the results are requested.")
