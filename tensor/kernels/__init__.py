"""The inner loops worth fusing, each in several implementations with the same names, arguments and results.

numpy_kernels   the readable reference, for NumPy and CuPy arrays: tiles that stay in the cache, `out=` for fresh arrays
numba_kernels   compiled, one pass over each row, on all cores; for float32 and float64 on the CPU
float16         those of float32, for float16 arrays on the CPU
cuda_kernels    CUDA C (cuda/*.cu), compiled by CuPy; for float16, float32 and float64 on a GPU

`kernels(x)` picks one for the array x. On the CPU it is numba's where Numba works (the extra `fast` installs it), else
NumPy's, with one line on standard error that says so; on a GPU it is CUDA's. The environment variable
TENSOR_KERNELS=numpy|numba, or `use_kernels("numpy")`, decides it instead; numpy means on a GPU, too.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types

import numpy as np

from tensor.kernels import numpy_kernels

CHOICES = ("numpy", "numba")
INSTALL = "run `pip install tinygrad-gpt[fast]`"

_chosen: dict[str, types.ModuleType] = {}  # by device; empty until an array asks: nothing is imported before


class UnusableKernels(ValueError):
    """The kernels that were asked for by name do not exist, or do not work here."""


def use_kernels(name: str | None = None) -> None:
    """Use the kernels called `name` ("numpy" or "numba") from here on; None means the default again.

    Raises UnusableKernels for another name, and for numba where it is not installed or does not work.
    """
    name = name or os.environ.get("TENSOR_KERNELS") or None
    _chosen["cpu"] = _load(name)
    _chosen["cuda"] = numpy_kernels if name == "numpy" else importlib.import_module("tensor.kernels.cuda_kernels")


def kernels(x) -> types.ModuleType:
    """The module with the kernels for the array x."""
    if not _chosen:
        use_kernels(None)
    if isinstance(x, np.ndarray):
        if x.dtype.char == "e":
            return importlib.import_module("tensor.kernels.float16")
        return _chosen["cpu"] if x.dtype.char in "fd" else numpy_kernels
    return _chosen["cuda"] if x.dtype.char in "efd" else numpy_kernels


def _load(name: str | None) -> types.ModuleType:
    if name is not None and name not in CHOICES:
        raise UnusableKernels(f"there are no kernels called {name!r}: TENSOR_KERNELS must be numpy or numba")
    if name == "numpy":
        return numpy_kernels
    if importlib.util.find_spec("numba") is None:
        problem = f"Numba is not installed: {INSTALL}"
    else:
        try:
            numba_kernels = importlib.import_module("tensor.kernels.numba_kernels")
            x = np.zeros((1, 1, 1, 1), np.float32)
            numba_kernels.attention(x, x, x, scale=1.0, causal=True)  # the most demanding: what cannot compile shows
            return numba_kernels
        except Exception as error:  # whatever a Numba that does not fit this Python or NumPy comes up with
            problem = f"Numba does not work here ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
            if "no locator available" in str(error):
                problem = "Numba finds no folder that it may keep compiled code in: set NUMBA_CACHE_DIR to one"
    if name == "numba":
        raise UnusableKernels(f"TENSOR_KERNELS=numba, but {problem}")
    print(f"tensor: NumPy's kernels, the slower ones, as {problem}", file=sys.stderr)
    return numpy_kernels
