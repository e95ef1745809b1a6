"""Making Tensors."""

from __future__ import annotations

import numpy as np

from tensor import dtypes
from tensor.checks import shape_args
from tensor.devices import CPU, Device, array_module
from tensor.tensor import Tensor, as_array, wrap

__all__ = ["as_tensor", "from_numpy", "ones", "tensor", "zeros"]


def tensor(data, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of `data`: a number, nested lists, an array or a Tensor.

    Python floats take the default dtype, integers int64, arrays keep their own.
    """
    return Tensor(data, dtype, device, requires_grad)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """`data` as a Tensor; itself or sharing its memory where it already fits."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    return wrap(as_array(data, dtype, device))


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}; tensor(...) takes anything")
    dtypes.check_supported(array.dtype)
    return wrap(np.asarray(array))


def _new(fill, shape, dtype, device, requires_grad) -> Tensor:
    place = Device(device or CPU)
    out = wrap(array_module(place).full(shape, fill, dtypes.check_supported(dtype or dtypes.get_default_dtype())))
    return out.requires_grad_() if requires_grad else out


def zeros(*size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A Tensor of zeros."""
    return _new(0, shape_args(size), dtype, device, requires_grad)


def ones(*size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A Tensor of ones."""
    return _new(1, shape_args(size), dtype, device, requires_grad)
