"""Changing what a Tensor is made of: its dtype, its device; and the promotion rules that use it."""

from __future__ import annotations

import numpy as np

from tensor import dtypes
from tensor.checks import broadcast_shape
from tensor.devices import Device, device_of, move
from tensor.inplace import Clone
from tensor.op import Op
from tensor.tensor import Tensor

__all__ = ["is_floating_point", "is_tensor", "numel"]
METHODS = ["to", "type_as"]  # no functions
NOT_METHODS = ["is_floating_point", "is_tensor", "numel"]  # Tensor has them


class Cast(Op):
    """y = x in another dtype;  dx = dy (the base class brings dy back to x's dtype)."""

    vjp = "dx = dy"

    def forward(self, x, *, dtype):
        return x.astype(dtype, copy=False)

    def backward(self, dy):
        return dy


class Move(Op):
    """y = x on another device;  dx = dy, moved back."""

    vjp = "dx = dy"

    def forward(self, x, *, device):
        self.home = device_of(x)
        return move(x, device)

    def backward(self, dy):
        return move(dy, self.home)


def cast(x: Tensor, dtype) -> Tensor:
    """x in `dtype`; x itself if it has that dtype already."""
    return x if x.array.dtype == dtype else Cast.apply(x, dtype=dtypes.check_supported(dtype))


def as_float(input: Tensor) -> Tensor:
    """input as it is if floating, else in the default floating-point dtype (exp of integers is a float)."""
    return input if input.array.dtype.kind == "f" else cast(input, dtypes.get_default_dtype())


def to(input: Tensor, *args, dtype=None, device=None, non_blocking: bool = False, copy: bool = False) -> Tensor:
    """input in another dtype and/or on another device: `x.to("cuda")`, `x.to(float64)`, `x.to(other)`.

    Returns `input` itself where nothing changes, unless `copy=True`. `non_blocking` is accepted and without effect.
    """
    flags = [a for a in args if isinstance(a, bool)]  # by position: non_blocking, copy
    copy = copy or flags[1:] == [True]
    for a in args:
        if isinstance(a, bool):
            continue
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, str | Device) and str(a).partition(":")[0] in ("cpu", "cuda"):
            device = a
        else:
            dtype = a
    out = input if dtype is None else cast(input, np.dtype(dtype))
    if device is not None and out.device != Device(device):
        out = Move.apply(out, device=Device(device))
    return Clone.apply(out) if copy and out is input else out


def is_tensor(obj) -> bool:
    """Is it a Tensor?"""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Is the dtype float16, float32 or float64?"""
    return input.is_floating_point()


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.numel()


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """input in the dtype of `other`."""
    return cast(input, other.dtype)


def promote(name: str, *operands, to_float: bool = False) -> list:
    """Bring Tensors and numbers to one dtype by PyTorch's rules, and check that their shapes broadcast.

    Numbers come back as Python numbers: NumPy and CuPy let those take the array's dtype. With `to_float`
    integers become the default floating-point dtype, as in true division.
    """
    arrays = [x.array for x in operands if isinstance(x, Tensor)]
    if not arrays:
        kinds = ", ".join(type(x).__name__ for x in operands)
        raise TypeError(f"{name}: at least one operand must be a Tensor, got {kinds}")
    target, shape = arrays[0].dtype, arrays[0].shape
    same = True
    for a in arrays:
        same = same and a.dtype == target
        if a.shape != shape:
            broadcast_shape(name, *[a.shape for a in arrays])
    if same and target.kind == "f" and len(arrays) == len(operands):
        return list(operands)  # the common case
    if not same or (target.kind != "f" and len(arrays) < len(operands)):  # numbers never widen a float
        target = dtypes.result_type(*operands)
    if to_float and target.kind != "f":
        target = dtypes.get_default_dtype()
    return [cast(x, target) if isinstance(x, Tensor) else number(x, target) for x in operands]


def number(x, dtype):
    """The number x as a Python number that `dtype` can hold: integers wrap around, as in C (300 is 44 in uint8)."""
    if dtype.kind == "f" and isinstance(x, float | int):
        return float(x)
    if not dtypes.is_scalar(x):
        raise TypeError(f"expected a Tensor or a number, got {type(x).__name__}")
    return np.asarray(x).astype(dtype).item() if dtype.kind in "iu" else dtype.type(x).item()
