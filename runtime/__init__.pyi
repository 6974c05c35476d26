from .artifact.errors import ArtifactError as ArtifactError
from .artifact.errors import CaptureError as CaptureError
from .artifact.errors import ExecutionError as ExecutionError
from .artifact.errors import ExportError as ExportError
from .artifact.errors import FolderExists as FolderExists
from .artifact.errors import ImageError as ImageError
from .artifact.errors import InputError as InputError
from .artifact.errors import LayerprobeError as LayerprobeError
from .artifact.errors import ModelError as ModelError
from .artifact.errors import OutputError as OutputError
from .artifact.errors import RunnerUnavailable as RunnerUnavailable
from .artifact.errors import UsageError as UsageError
from .artifact.errors import WeightsError as WeightsError
from .artifact.folder import Artifact as Artifact
from .artifact.folder import open_artifact as open_artifact
from .artifact.manifest import Input as Input
from .artifact.manifest import Manifest as Manifest
from .artifact.manifest import Output as Output
from .artifact.manifest import Preprocessing as Preprocessing
from .artifact.selection import select_outputs as select_outputs
from .bench.benchmarking import benchmark as benchmark
from .maps.feature_grid import count_pages as count_pages
from .maps.feature_grid import draw_grid as draw_grid
from .maps.picture_saving import save_picture as save_picture
from .runners.base import Runner as Runner
from .runners.registry import RUNNERS as RUNNERS
from .runners.registry import open_runner as open_runner
from .runners.settings import Settings as Settings
from .runs.image_reading import read_image as read_image
from .runs.image_statistics import channel_statistics as channel_statistics
from .runs.preprocessing import preprocess as preprocess
from .runs.preprocessing import preprocess_files as preprocess_files
from .runs.recorded_run import open_run as open_run
from .verdict.drift import OutputComparison as OutputComparison
from .verdict.drift import compare_output as compare_output
from .verdict.report import Report as Report
from .verdict.verdict_kinds import Verdict as Verdict
from .verdict.verification import verify as verify

__all__ = [
    "RUNNERS",
    "Artifact",
    "ArtifactError",
    "CaptureError",
    "ExecutionError",
    "ExportError",
    "FolderExists",
    "ImageError",
    "Input",
    "InputError",
    "LayerprobeError",
    "Manifest",
    "ModelError",
    "Output",
    "OutputComparison",
    "OutputError",
    "Preprocessing",
    "Report",
    "Runner",
    "RunnerUnavailable",
    "Settings",
    "UsageError",
    "Verdict",
    "WeightsError",
    "benchmark",
    "channel_statistics",
    "compare_output",
    "count_pages",
    "draw_grid",
    "open_artifact",
    "open_run",
    "open_runner",
    "preprocess",
    "preprocess_files",
    "read_image",
    "save_picture",
    "select_outputs",
    "verify",
]
