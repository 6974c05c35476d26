"""What the runners of PyTorch's two model files have in common: a device, the settings, arrays in and out.

Opening a file, cutting it to some outputs and calling it is in `torchscript.py` and `torch_export.py`. It imports
PyTorch.
"""

import sys
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray

from ..artifact.errors import ArtifactError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import Manifest
from ..artifact.plain_text import is_utf8
from ..artifact.tensors import as_array
from .base import Runner
from .machine import Facts, cpu_name, gpu_facts
from .settings import Settings

__all__ = ["TorchFileRunner", "as_tensors", "torch_facts", "torch_set"]


class TorchFileRunner(Runner):
    """A PyTorch model file on one device: the target `cpu` or `cuda`."""

    file: ClassVar[str]

    def _open(self, artifact: Artifact) -> None:
        reason = _why_no_cuda() if self.target == "cuda" else None
        if reason:
            raise RunnerUnavailable(f"CUDA was requested, but {reason}.\nUse --provider cpu.")
        file = artifact.file(self.file)
        try:
            opened = self._load_quietly(_readable(file))
        except ArtifactError:
            raise
        except Exception as error:
            raise self._load_failure(file, error) from error
        self._module: Any = self._cut(opened)
        self.facts = torch_facts(self.settings, self.target) | self._own_facts()

    def _compute(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        with torch_set(self.settings):
            found = self._call(as_tensors(self.manifest, inputs, self.target))
        if list(found) != self.names:
            raise ArtifactError(f"{self.file} returns other outputs than the manifest lists.\nExport it again.")
        return {name: as_array(tensor) for name, tensor in found.items()}

    def _load_quietly(self, file: Path | BytesIO) -> Any:
        with warnings.catch_warnings():
            # TorchScript warns at each load that it is deprecated; the artifact offers it for those who deploy it.
            warnings.simplefilter("ignore")
            try:
                return self._load(file)
            except Exception as error:
                if "torchvision" not in str(error) or "torchvision" in sys.modules or not find_spec("torchvision"):
                    raise
                # A detection or a deformable convolution needs torchvision's operators, which importing it registers.
                import_module("torchvision")
                return self._load(file)

    def _load_failure(self, file: Path, error: Exception) -> ArtifactError | RunnerUnavailable:
        reason = self._reason(error)
        if "Unknown builtin op" in str(error) or "Could not find schema" in str(error):
            # Not the file's fault: its operators come with a package that registers them when it is imported.
            return RunnerUnavailable(
                f"{self.name} can't run {self.manifest.model}: {file.name} uses an operator that no installed package "
                f"has registered: {reason}"
            )
        return ArtifactError(f"{file} can't be loaded as {self.runtime}: {reason}")

    @abstractmethod
    def _load(self, file: Path | BytesIO) -> Any:
        """Load the file on the device."""

    @abstractmethod
    def _cut(self, opened: Any) -> Any:
        """Return a callable for the outputs of `names`; what they don't need is dropped."""

    @abstractmethod
    def _call(self, tensors: Sequence[torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """Return the outputs by name."""

    @abstractmethod
    def _own_facts(self) -> Facts:
        """Return the facts that are specific to this kind of file."""


def _why_no_cuda() -> str | None:
    """Return the reason why PyTorch can't use CUDA, or None if it can."""
    if not torch.cuda.is_available():
        return "PyTorch finds no GPU it can use"
    try:
        torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        # Another cuDNN than PyTorch's was found first, by the loader's path or by what ran earlier in this process.
        return f"PyTorch can't use the cuDNN that is loaded: {first_line(error)}"
    return None


def _readable(file: Path) -> Path | BytesIO:
    """Return what PyTorch reads: it takes no path that isn't UTF-8, but then the content."""
    return file if is_utf8(str(file)) else BytesIO(file.read_bytes())


@contextmanager
def torch_set(settings: Settings) -> Iterator[None]:
    """Run the body without gradients, with the precision and the threads of the settings."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        # "highest" also keeps bfloat16 out of a CPU's matrix products, even if the caller has allowed it.
        torch.set_float32_matmul_precision("high" if settings.tf32 else "highest")
        if settings.threads:
            torch.set_num_threads(settings.threads)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=settings.tf32):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        if settings.threads:
            torch.set_num_threads(threads)


def torch_facts(settings: Settings, device: str) -> Facts:
    """Return what may explain a drift, as PyTorch reports it under these settings."""
    with torch_set(settings):
        facts: Facts = {
            "runtime": "PyTorch",
            "version": torch.__version__,
            "device": cpu_name(),
            "threads": torch.get_num_threads(),
        }
        if device == "cuda":
            facts |= gpu_facts()
            facts["cuda"] = torch.version.cuda or ""
            facts["cudnn"] = torch.backends.cudnn.version() or 0  # type: ignore[no-untyped-call]
            facts["tf32"] = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
            facts["convolution_search"] = "exhaustive" if torch.backends.cudnn.benchmark else "heuristic"
        else:
            facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    return facts


def as_tensors(manifest: Manifest, arrays: Mapping[str, NDArray[Any]], device: str = "cpu") -> list[torch.Tensor]:
    """Return checked inputs as tensors of the model's dtypes, in its order.

    Copies: a model may write into its input, and the arrays are the caller's.
    """
    return [
        torch.from_numpy(arrays[entry.name]).to(device, getattr(torch, entry.dtype), copy=True)
        for entry in manifest.inputs
    ]
