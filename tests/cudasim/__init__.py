"""Real CuPy on a machine with no GPU: `cudasim.start()` before CuPy is imported. README.md tells how it works."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import warnings

from cudasim.build import directory, folder, why_not

__all__ = ["copies", "launches", "shuffled", "start", "started", "why_not"]

_libraries: list[ctypes.CDLL] = []  # libcuda.so.1 first; empty until start()


def started() -> bool:
    """Is CUDA simulated in this process?"""
    return bool(_libraries)


def start() -> None:
    """Simulate two CUDA devices in this process from here on. RuntimeError where that cannot be (`why_not`)."""
    if started():
        return
    if reason := why_not():
        raise RuntimeError(reason)
    if "cupy" in sys.modules or "cupy_backends" in sys.modules:
        raise RuntimeError("cudasim: start it before CuPy is imported")
    from cudasim import compiler, redirect, thrust

    built = directory()
    os.environ["CUPY_CACHE_DIR"] = str(built / "cupy")
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB's kernels are compiled for GPUs alone
    os.environ["NUMBA_DISABLE_CUDA"] = "1"  # Numba would find this driver too, and cannot use it
    nvrtc = folder("nvidia.cuda_nvrtc") / "lib" / "libnvrtc.so.12"
    libraries = (built / "libcuda.so.1", built / "libcublasLt.so.12", built / "libcublas.so.12", nvrtc)
    # whoever asks for a library by one of these names later gets the one that is loaded
    _libraries.extend(ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL) for library in libraries)
    (runtime,) = (folder("cupy").parent / "cupy_backends" / "cuda" / "api").glob("runtime.*.so")
    redirect.redirect(runtime, _libraries[0])
    sys.modules["cupy.cuda.thrust"] = thrust
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no CUDA toolkit
        compiler.install()


# ---------------------------------------------------------------------- what tests ask

KINDS = ["host to host", "host to device", "device to host", "device to device"]


def copies() -> dict[str, int]:
    """How often memory has been copied, by direction."""
    return {kind: _libraries[0].cudasim_copies(i) for i, kind in enumerate(KINDS)}


def launches() -> int:
    """How many kernels have been launched."""
    return _libraries[0].cudasim_launches()


@contextlib.contextmanager
def shuffled(seed: int):
    """Run blocks and warps in an order drawn from `seed`: a kernel that lacks a barrier then gives wrong results."""
    _libraries[0].cudasim_shuffle(seed)
    try:
        yield
    finally:
        _libraries[0].cudasim_shuffle(0)
