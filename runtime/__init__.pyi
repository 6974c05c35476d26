from .artifact import Artifact as Artifact
from .artifact import open_artifact as open_artifact
from .benchmarking import benchmark as benchmark
from .comparison import OutputComparison as OutputComparison
from .comparison import compare_output as compare_output
from .errors import ArtifactError as ArtifactError
from .errors import ImageError as ImageError
from .errors import InputError as InputError
from .errors import LayerprobeError as LayerprobeError
from .errors import OutputError as OutputError
from .errors import RunnerUnavailable as RunnerUnavailable
from .errors import UsageError as UsageError
from .feature_grid import count_pages as count_pages
from .feature_grid import draw_grid as draw_grid
from .image_reading import read_image as read_image
from .image_statistics import channel_statistics as channel_statistics
from .manifest import Manifest as Manifest
from .manifest import Preprocessing as Preprocessing
from .onnx_runner import OnnxRunner as OnnxRunner
from .picture_saving import save_picture as save_picture
from .preprocessing import preprocess as preprocess
from .preprocessing import preprocess_files as preprocess_files
from .reporting.report import Report as Report
from .runners import RUNNERS as RUNNERS
from .runners import open_runner as open_runner
from .settings import Settings as Settings
from .torchscript_runner import TorchScriptRunner as TorchScriptRunner
from .verification import verify as verify

__all__ = [
    "RUNNERS",
    "Artifact",
    "ArtifactError",
    "ImageError",
    "InputError",
    "LayerprobeError",
    "Manifest",
    "OnnxRunner",
    "OutputComparison",
    "OutputError",
    "Preprocessing",
    "Report",
    "RunnerUnavailable",
    "Settings",
    "TorchScriptRunner",
    "UsageError",
    "benchmark",
    "channel_statistics",
    "compare_output",
    "count_pages",
    "draw_grid",
    "open_artifact",
    "open_runner",
    "preprocess",
    "preprocess_files",
    "read_image",
    "save_picture",
    "verify",
]
