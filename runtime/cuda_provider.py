"""Whether ONNX Runtime's CUDA provider can work on this machine, and if not, why not, in words a user can act on."""

import ctypes
import sys

__all__ = ["PROVIDER", "load_cuda_libraries", "why_no_cuda", "why_no_driver"]

PROVIDER = "CUDAExecutionProvider"
_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def why_no_cuda() -> str | None:
    """Return the reason why CUDA can't be used, or None where driver, GPU and the right onnxruntime are there."""
    import onnxruntime

    if PROVIDER not in onnxruntime.get_available_providers():
        return "this onnxruntime was built without CUDA: install onnxruntime-gpu[cuda,cudnn]"
    return why_no_driver()


def why_no_driver() -> str | None:
    """Return the reason why no GPU can be reached, or None where the driver finds one."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return f"the NVIDIA driver is missing ({_DRIVER} can't be loaded)"
    status = driver.cuInit(0)
    count = ctypes.c_int(0)
    if status != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return f"the NVIDIA driver finds no GPU (cuInit gave {status})"
    return None


def load_cuda_libraries() -> None:
    """Load the CUDA and cuDNN libraries of the installed nvidia packages, which no loader path leads to.

    An empty directory: those packages first, not an installed PyTorch, which may bring another CUDA version.
    """
    import onnxruntime

    onnxruntime.preload_dlls(directory="")
