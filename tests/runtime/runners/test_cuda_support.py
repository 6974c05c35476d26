"""CUDA: what can be checked without a GPU, and (marked `cuda`) what needs one."""

import os
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import onnxruntime
import pytest

from conftest import ROOT, VARIANTS
from export import export_artifact
from probe import build_probe, load_model
from runtime import RunnerUnavailable, Settings, open_artifact, verify
from runtime.bench.benchmarking import benchmark
from runtime.runners.cuda_support import load_cuda_libraries, why_no_cuda
from runtime.runners.onnx import OnnxRunner
from runtime.runners.torch_export import TorchExportRunner
from runtime.runners.torchscript import TorchScriptRunner
from runtime.verdict.verdict_kinds import Verdict

NO_GPU_BUILD = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()


@pytest.mark.skipif(NO_GPU_BUILD or sys.platform != "linux", reason="onnxruntime has no CUDA build here")
def test_every_library_of_the_cuda_provider_is_installed_but_the_driver():
    provider = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    nvidia = Path(onnxruntime.__file__).parent.parent / "nvidia"
    folders = sorted({str(library.parent) for library in nvidia.rglob("lib*.so*")})
    assert folders
    listing = subprocess.run(
        ["ldd", provider],
        env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    missing = {line.split()[0] for line in listing.splitlines() if "not found" in line}
    assert "libcublas" in listing
    assert missing <= {"libcuda.so.1"}
    # cuDNN is loaded by name at run time, so ldd can't see it.
    assert any(nvidia.rglob("libcudnn.so.9"))


@pytest.mark.skipif(NO_GPU_BUILD, reason="onnxruntime has no CUDA build here")
def test_the_libraries_come_with_this_projects_own_requirements():
    assert files("layerprobe")
    requirements = ROOT / "pyproject.toml"
    assert "onnxruntime-gpu[cuda,cudnn]" in requirements.read_text()


@pytest.mark.skipif(why_no_cuda() is None, reason="CUDA works here")
@pytest.mark.parametrize(
    "command", [("grid", "{photo}", "-o", "{out}/maps.png"), ("run", "{photo}", "-o", "{out}/t.safetensors")]
)
def test_cuda_asked_for_without_a_driver_ends_with_4_and_says_so(exported, photo, tmp_path, layerprobe, command):
    name, *rest = (part.format(photo=photo, out=tmp_path) for part in command)
    outcome = layerprobe(name, exported("cnn2").path, *rest, "--provider", "cuda")
    assert outcome.code == 4
    assert why_no_cuda() in outcome.err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(why_no_cuda() is None, reason="CUDA works here")
def test_auto_takes_the_cpu_and_says_so(exported, photo, tmp_path, layerprobe):
    outcome = layerprobe("grid", exported("cnn2").path, photo, "-o", tmp_path / "maps.png", "--provider", "auto")
    assert outcome.code == 0
    assert "by onnx-cpu on CPUExecutionProvider" in outcome.out


@pytest.mark.skipif(NO_GPU_BUILD, reason="onnxruntime has no CUDA build here")
def test_a_library_that_is_missing_beside_a_driver_is_named_with_what_installs_it(
    exported, photo, tmp_path, layerprobe, monkeypatch
):
    monkeypatch.setattr("runtime.runners.cuda_support.why_no_driver", lambda: None)
    monkeypatch.setattr("runtime.runners.cuda_support._LIBRARIES", ("libnowhere.so.{}",))
    major = onnxruntime.cuda_version.partition(".")[0]
    said = f"libnowhere.so.{major} can't be loaded: pip install 'onnxruntime-gpu[cuda,cudnn]>="
    refused = layerprobe("run", exported("cnn2").path, photo, "-o", tmp_path / "t.safetensors", "--provider", "cuda")
    assert (refused.code, said in refused.err) == (4, True)
    done = layerprobe("run", exported("cnn2").path, photo, "-o", tmp_path / "t.safetensors")
    assert (done.code, f"on CPUExecutionProvider (the GPU is not used: {said}" in done.out) == (0, True)


@pytest.mark.skipif(NO_GPU_BUILD or sys.platform != "linux", reason="onnxruntime has no CUDA build here")
def test_libraries_in_another_folder_of_packages_are_taken_before_the_systems(monkeypatch, tmp_path):
    # ONNX Runtime in a virtual environment that sees PyTorch outside of it: a second cuDNN would stop PyTorch.
    major = onnxruntime.cuda_version.partition(".")[0]
    outside = [f"cu{major}/lib/libcublasLt.so.{major}", "cudnn/lib/libcudnn.so.9"]
    for name in outside:
        library = tmp_path / "outside" / "nvidia" / name
        library.parent.mkdir(parents=True, exist_ok=True)
        library.touch()
    inside = tmp_path / "inside" / "onnxruntime"
    inside.mkdir(parents=True)
    loaded = []
    monkeypatch.syspath_prepend(tmp_path / "outside")
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    monkeypatch.setattr(onnxruntime, "__file__", str(inside / "__init__.py"))
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda directory: loaded.append("the loader's path"))
    monkeypatch.setattr("ctypes.CDLL", loaded.append)
    load_cuda_libraries()
    wanted = [str(tmp_path / "outside" / "nvidia" / name) for name in outside]
    assert [name for name in loaded if name in wanted] == wanted
    assert loaded[-1] == "the loader's path"


@pytest.mark.parametrize("runner", [TorchScriptRunner, TorchExportRunner])
def test_a_cudnn_that_pytorch_refuses_is_no_bug_of_ours(exported, monkeypatch, runner):
    def refuse():
        raise RuntimeError("cuDNN version incompatibility: compiled against (9, 19, 0)\nbut found (9, 14, 0)")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.backends.cudnn.version", refuse)
    with pytest.raises(RunnerUnavailable, match="can't use the cuDNN that is loaded: cuDNN version incompatibility"):
        runner(open_artifact(exported("cnn2").path), "on-cuda", "cuda")


@pytest.mark.skipif(NO_GPU_BUILD or why_no_cuda() is None, reason="needs a CUDA build, and no GPU")
def test_a_session_that_fell_back_to_the_cpu_is_an_error(exported, monkeypatch, capfd):
    monkeypatch.setattr("runtime.runners.onnx_session.why_no_cuda", lambda: None)
    with pytest.raises(RunnerUnavailable, match="fell back to CPUExecutionProvider"):
        OnnxRunner(open_artifact(exported("cnn2").path), "onnx-cuda", "cuda")
    # What ONNX Runtime's own logger calls an error of a library or of cuDNN, before it takes another way.
    assert "onnxruntime:Default" not in capfd.readouterr().err


@pytest.mark.cuda
@pytest.mark.parametrize("variant", VARIANTS)
def test_cuda_agrees_with_float64_on_every_output_and_runs_all_of_it(exported, variant):
    report = verify(exported(variant), ["onnx-cuda", "torchscript-cuda", "torch-export-cuda"])
    assert {runner.name: runner.verdict for runner in report.runners} == dict.fromkeys(
        ("onnx-cuda", "torchscript-cuda", "torch-export-cuda"), Verdict.PASS
    )
    assert report.runners[0].providers[0] == "CUDAExecutionProvider"
    assert report.runners[0].misplaced == []


@pytest.mark.cuda
def test_tf32_shows_in_every_runtime_as_the_fault_of_a_convolution(exported):
    report = verify(
        exported("cnn2"), ["onnx-cuda", "torchscript-cuda", "torch-export-cuda"], settings=Settings(tf32=True)
    )
    convolutions = {output.name for output in report.outputs if output.label == "Conv2d"}
    for runner in report.runners:
        assert runner.verdict is Verdict.DRIFT
        assert runner.culprit.output in convolutions
        assert runner.culprit.cause != "export"


@pytest.mark.cuda
def test_auto_takes_cuda_where_it_works(exported, photo, tmp_path, layerprobe):
    outcome = layerprobe("grid", exported("cnn2").path, photo, "-o", tmp_path / "maps.png")
    assert outcome.code == 0
    assert "by onnx-cuda on CUDAExecutionProvider" in outcome.out


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """An artifact with an averaged probe beside the full one."""
    loaded = load_model("cnn2")
    folder = tmp_path_factory.mktemp("cuda") / "both"
    return open_artifact(export_artifact(build_probe(loaded.module, *loaded.example), folder, averaged=True))


@pytest.mark.cuda
def test_the_averaged_probe_averages_on_the_gpu(both):
    report = verify(both.averaged(), ["onnx-cuda"])
    assert report.passed
    assert report.runners[0].misplaced == []


@pytest.mark.cuda
def test_bench_tells_a_gpus_memory_and_what_fetching_takes(both):
    timings = benchmark(both, ["onnx-cuda"], repeats=2).timings
    assert [timing.variant for timing in timings] == ["plain", "averaged", "full"]
    for timing in timings:
        assert timing.gpu_mb is not None
        assert timing.transfer_ms > 0
