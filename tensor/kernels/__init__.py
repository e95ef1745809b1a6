"""The inner loops worth fusing, each in several implementations with the same names, arguments and results.

numpy_kernels   the readable reference, for NumPy and CuPy arrays: tiles that stay in the cache, `out=` for fresh arrays
numba_kernels   compiled, one pass over each row, on all cores; for float32 and float64 on the CPU

`kernels(x)` picks one for the array x: numba's where Numba is installed (the extra `fast`), else NumPy's. The
environment variable TENSOR_KERNELS=numpy|numba, or `use_kernels("numpy")`, decides it instead.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import types

import numpy as np

from tensor.kernels import numpy_kernels

CHOICES = ("numpy", "numba")

_chosen: list[types.ModuleType] = []  # empty until the first array asks; numba is not imported before


def use_kernels(name: str | None = None) -> None:
    """Use the kernels called `name` ("numpy" or "numba") from here on; None means the default again.

    Raises ValueError for another name, and RuntimeError for numba where it is not installed.
    """
    _chosen[:] = [_load(name)]


def kernels(x) -> types.ModuleType:
    """The module with the kernels for the array x."""
    if not _chosen:
        use_kernels(None)
    compiled = isinstance(x, np.ndarray) and x.dtype.char in "fd"
    return _chosen[0] if compiled else numpy_kernels


def _load(name: str | None) -> types.ModuleType:
    installed = importlib.util.find_spec("numba") is not None
    if name is None:
        name = os.environ.get("TENSOR_KERNELS") or ("numba" if installed else "numpy")
    if name not in CHOICES:
        raise ValueError(f"there are no kernels called {name!r}: TENSOR_KERNELS must be numpy or numba")
    if name == "numba" and not installed:
        raise RuntimeError("TENSOR_KERNELS=numba, but Numba is not installed: run `pip install tinygrad-gpt[fast]`")
    return importlib.import_module(f"tensor.kernels.{name}_kernels")
