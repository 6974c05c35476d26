"""Every intermediate tensor of a PyTorch CNN by name: export it, run it anywhere, look at it, prove it.

    import layerprobe as lp

    lp.show(model, "photo.jpg").save("maps.png")         # model and photo -> a picture of every map
    probe = lp.build_probe(model, example)               # model -> every tensor by name, in PyTorch
    artifact = lp.export_artifact(probe, "folder")       # -> a folder that needs neither the source nor PyTorch
    arrays = lp.open_runner(artifact).run({"x": images}) # -> NumPy arrays by name, in ONNX Runtime and others
    lp.save_picture(lp.draw_grid(arrays, lp.open_artifact(artifact).manifest.outputs), "maps.png")
    assert lp.verify(artifact, trust=True).passed        # every tensor, in every runner, against float64
    assert lp.verify_candidate("theirs.onnx", artifact).passed  # somebody else's file of the model

This module is a table of contents: each name is imported when it is first used, so that drawing a picture doesn't load
PyTorch. Where an artifact is taken, its path is taken as well. Without `trust`, programs run by their runners' names
only: TorchScript and torch.export's files of a stranger can do whatever you can.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export import export_artifact, export_onnx
    from probe import (
        CNN2,
        CNN3,
        CNN11,
        LoadedModel,
        LoadedOnnx,
        OnnxProbe,
        Probe,
        StaleProbeWarning,
        TrainingModeWarning,
        average_probe,
        build_probe,
        load_model,
        load_onnx,
        load_weights,
        on_pixels,
    )
    from runtime import (
        RUNNERS,
        Artifact,
        ArtifactError,
        CaptureError,
        ClassActivation,
        ExecutionError,
        ExportError,
        FolderExists,
        GridStyle,
        ImageError,
        Input,
        InputError,
        LayerprobeError,
        Manifest,
        ModelError,
        Output,
        OutputError,
        Photo,
        Picture,
        Preprocessing,
        Report,
        Runner,
        RunnerUnavailable,
        Settings,
        UsageError,
        Verdict,
        WeightsError,
        benchmark,
        channel_statistics,
        class_activation,
        draw_channels,
        draw_class_activations,
        draw_comparison,
        draw_grid,
        draw_pages,
        open_artifact,
        open_run,
        open_runner,
        preprocess,
        preprocess_files,
        read_image,
        save_picture,
        save_pictures,
        seen_photo,
        select_outputs,
        show,
        table,
        verify,
        verify_candidate,
    )

# fmt: off
__all__ = [  # noqa: RUF022 - in the order of the work, as a table of contents is
    # model and photo -> picture
    "show",
    # model -> probe
    "build_probe", "average_probe", "on_pixels", "load_model", "load_weights", "Probe", "LoadedModel",
    "CNN2", "CNN3", "CNN11",
    # ONNX file of whatever origin -> probe
    "load_onnx", "LoadedOnnx", "OnnxProbe",
    # probe -> artifact
    "export_artifact", "export_onnx", "Preprocessing",
    # an artifact, and what is in it
    "open_artifact", "select_outputs", "Artifact", "Manifest", "Input", "Output",
    # artifact -> arrays
    "open_runner", "preprocess_files", "preprocess", "read_image", "channel_statistics", "open_run", "Runner",
    "Settings", "RUNNERS",
    # a photo -> what in it speaks for a class
    "class_activation", "draw_class_activations", "ClassActivation",
    # arrays -> pictures, verdicts, times
    "draw_grid", "draw_pages", "draw_channels", "draw_comparison", "GridStyle", "seen_photo", "Photo", "Picture",
    "save_picture", "save_pictures", "table", "verify", "verify_candidate", "Report", "Verdict", "benchmark",
    # what can go wrong
    "LayerprobeError", "UsageError", "ModelError", "CaptureError", "WeightsError", "ExportError", "FolderExists",
    "ArtifactError", "InputError", "ImageError", "OutputError", "ExecutionError", "RunnerUnavailable",
    "StaleProbeWarning", "TrainingModeWarning",
]

_HOME = {"export_artifact": "export", "export_onnx": "export"} | dict.fromkeys([
    "build_probe", "average_probe", "on_pixels", "load_model", "load_weights", "Probe", "LoadedModel",
    "CNN2", "CNN3", "CNN11", "load_onnx", "LoadedOnnx", "OnnxProbe",
    "StaleProbeWarning", "TrainingModeWarning",
], "probe")
# fmt: on
"""The package that a name is from, where that isn't `runtime`."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'layerprobe' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME.get(name, "runtime")), name)
    globals()[name] = value  # from now on, without this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
