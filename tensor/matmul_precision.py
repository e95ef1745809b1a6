"""How exactly a GPU multiplies float32 matrices, under PyTorch's names."""

from __future__ import annotations

import numpy as np

from tensor.devices import cupy_or_reason

__all__ = ["get_float32_matmul_precision", "set_float32_matmul_precision"]

_precision = ["highest"]


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` set: "highest" at the start."""
    return _precision[0]


def set_float32_matmul_precision(precision: str) -> None:
    """With "highest", cuBLAS multiplies float32 matrices in float32. With "high" or "medium" it rounds elements to
    TF32, 10 bits instead of 23, for tensor cores, and sums in float32. Nothing changes on the CPU.
    """
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"the precision must be 'highest', 'high' or 'medium', got {precision!r}")
    _precision[0] = precision
    cupy = cupy_or_reason()
    if not isinstance(cupy, str):
        linalg = cupy._core._routines_linalg
        kind = linalg.COMPUTE_TYPE_DEFAULT if precision == "highest" else linalg.COMPUTE_TYPE_TF32
        linalg.set_compute_type(np.float32, kind)
