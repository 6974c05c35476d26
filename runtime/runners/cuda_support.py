"""Whether ONNX Runtime's GPU providers can work on this machine, and if not, why, in words that a user can act on."""

import ctypes
import io
import sys
from contextlib import redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path

from ..artifact.errors import how_to_install

__all__ = [
    "CUDA",
    "CUDNN",
    "TENSORRT",
    "load_cuda_libraries",
    "load_driver",
    "why_gpu_is_unused",
    "why_no_cuda",
    "why_no_driver",
    "why_no_tensorrt",
]

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_TENSORRT_LIBRARY = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
_LIBRARIES = (
    ("cudart64_{}.dll", "cublasLt64_{}.dll", "cublas64_{}.dll", "curand64_10.dll")
    if sys.platform == "win32"
    else ("libcudart.so.{}", "libcublasLt.so.{}", "libcublas.so.{}", "libcurand.so.10")
)
"""What ONNX Runtime's CUDA provider can't be loaded without, by CUDA's major version."""
CUDNN = "cudnn64_9.dll" if sys.platform == "win32" else "libcudnn.so.9"
_PLACE = "*/bin/**/{}" if sys.platform == "win32" else "*/lib/{}"
"""A library in the folder of all nvidia packages."""
_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def why_no_cuda() -> str | None:
    """Return the reason why CUDA can't be used, or None if driver, GPU and the right onnxruntime are available."""
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        return f"this onnxruntime was built without CUDA: {how_to_install('cuda')}"
    return why_no_driver() or _missing_library()


def why_gpu_is_unused() -> str | None:
    """Return why a GPU that the driver finds can't be used; None if it can, or there is none."""
    return why_no_cuda() if why_no_driver() is None else None


def why_no_tensorrt() -> str | None:
    """Return the reason why TensorRT can't be used, or None if it is installed and CUDA works."""
    import onnxruntime

    if TENSORRT not in onnxruntime.get_available_providers():
        return f"this onnxruntime was built without TensorRT: {how_to_install('cuda')}"
    reason = why_no_driver() or _missing_library()
    if reason:
        return reason
    if not _load_tensorrt():
        return (
            f"TensorRT is not installed ({_TENSORRT_LIBRARY} can't be loaded): {how_to_install('tensorrt')}, "
            "or put its folder on the loader's path"
        )
    return None


def _load_tensorrt() -> bool:
    """Load TensorRT's libraries, from its Python package if they aren't on the loader's path."""
    package = find_spec("tensorrt_libs")
    folders = [Path(folder) for folder in (package.submodule_search_locations or ())] if package else []
    for name in (_TENSORRT_LIBRARY, _TENSORRT_LIBRARY.replace("nvinfer", "nvonnxparser")):
        for file in (name, *(str(folder / name) for folder in folders)):
            try:
                ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)
                break
            except OSError:
                continue
        else:
            return False
    return True


def why_no_driver() -> str | None:
    """Return the reason why no GPU can be used, or None if the driver finds one."""
    driver = load_driver()
    if driver is None:
        return f"the NVIDIA driver is missing ({_DRIVER} can't be loaded)"
    status = driver.cuInit(0)
    count = ctypes.c_int(0)
    if status != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return f"the NVIDIA driver finds no GPU (cuInit returned {status})"
    return None


def _missing_library() -> str | None:
    """Return which of CUDA's libraries can't be loaded, and what installs it; None if they are all there."""
    load_cuda_libraries()
    for name in _needed_libraries():
        try:
            ctypes.CDLL(name)
        except OSError:
            return f"{name} can't be loaded: {how_to_install('cuda')}"
    return None


def _needed_libraries() -> list[str]:
    """Return the names of the libraries for the CUDA that ONNX Runtime is built for; none if it is built without."""
    import onnxruntime

    major = str(getattr(onnxruntime, "cuda_version", "")).partition(".")[0]
    return [library.format(major) for library in _LIBRARIES] if major else []


def load_driver() -> ctypes.CDLL | None:
    """Return the NVIDIA driver's library, or None if it is missing."""
    try:
        return ctypes.CDLL(_DRIVER)
    except OSError:
        return None


def load_cuda_libraries() -> None:
    """Load the CUDA and cuDNN libraries of the installed nvidia packages, which aren't on the loader's path.

    The empty directory means those packages first, not an installed PyTorch, which may bring another CUDA version.
    """
    import onnxruntime

    _load_from_other_folders()
    # It prints what it doesn't find; `_missing_library` says that in our own words.
    with redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls(directory="")


def _load_from_other_folders() -> None:
    """Load what nvidia packages have that are in another folder of packages than ONNX Runtime.

    It finds only those beside itself, and otherwise takes the system's: a virtual environment that sees PyTorch outside
    of it would then have a cuDNN that PyTorch refuses, since a process has only one.
    """
    import onnxruntime

    beside, packages = Path(onnxruntime.__file__).parents[1] / "nvidia", find_spec("nvidia")
    folders = [Path(each) for each in (packages.submodule_search_locations or ())] if packages else []
    others = [folder for folder in folders if folder != beside]
    for name in (*_needed_libraries(), CUDNN) if others else ():
        place = _PLACE.format(name)
        if not any(beside.glob(place)):
            library = next((path for folder in others for path in folder.glob(place)), None)
            if library is not None:
                with suppress(OSError):  # it is as if it weren't there
                    ctypes.CDLL(str(library))
