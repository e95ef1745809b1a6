"""The functions of `cupy.cuda.thrust`, which are compiled for GPUs alone, by NumPy: sorting along the last axis."""

from __future__ import annotations

import ctypes

import numpy as np

available = True


def _array(pointer: int, dtype, shape) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(pointer), dtype).reshape(shape)


def sort(dtype, data: int, keys: int, shape) -> None:
    """Sort the array at the address `data` in place."""
    if np.prod(shape):
        _array(data, dtype, shape).sort(axis=-1, kind="stable")


def argsort(dtype, indices: int, data: int, keys: int, shape) -> None:
    """Write the order that sorts `data` to `indices`, and sort `data` as Thrust does."""
    if np.prod(shape):
        array = _array(data, dtype, shape)
        _array(indices, np.intp, shape)[...] = array.argsort(axis=-1, kind="stable")
        array.sort(axis=-1, kind="stable")


def lexsort(dtype, indices: int, keys: int, k: int, n: int) -> None:
    """Write the order of n columns by k rows of keys, the last row first, to `indices`."""
    if n:
        _array(indices, np.intp, (n,))[...] = np.lexsort(_array(keys, dtype, (k, n)))
