"""Checks on arguments that many ops share, and the sentences their errors teach with."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence

import numpy as np

from tensor.tensor import Tensor


def shape_text(shape) -> str:
    """A shape as people write it: (3, 4), and (3,) for one dimension."""
    return str(tuple(shape))


def broadcast_shape(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape of `shapes` under broadcasting; RuntimeError naming the dimension that disagrees.

    Shapes are aligned at their last dimension; along each, lengths agree or are 1.
    """
    result: list[int] = []
    for back in range(1, max(map(len, shapes), default=0) + 1):
        length = 1
        for s in shapes:
            other = s[-back] if len(s) >= back else 1
            if length == 1:
                length = other
            elif other not in (1, length):
                a, b = sorted((length, other))
                listed = " and ".join(shape_text(s) for s in shapes)
                raise RuntimeError(
                    f"{name}: shapes {listed} do not broadcast: at dim {-back} one has {a} and the other {b}; "
                    f"lengths must be equal, or one of them 1"
                )
        result.append(length)
    return tuple(reversed(result))


def check_devices(name: str, tensors: Sequence[Tensor]) -> None:
    """RuntimeError naming the devices unless all `tensors` are on the same one."""
    first = tensors[0].array
    for x in tensors:
        same_kind = type(x.array) is type(first)
        if not same_kind or (type(first) is not np.ndarray and x.array.device.id != first.device.id):
            places = " and ".join(str(x.device) for x in tensors)
            raise RuntimeError(
                f"{name}: the inputs are on different devices ({places}): move them to the same one with .to(device)"
            )


def normalize_dim(name: str, dim: int, ndim: int) -> int:
    """`dim` counted from the front; IndexError if a Tensor with `ndim` dimensions has no such one."""
    dim = operator.index(dim)
    width = ndim or 1  # a 0-dim Tensor takes dim 0 and -1, as in PyTorch
    if not -width <= dim < width:
        raise IndexError(f"{name}: dim {dim} is out of range for {ndim} dimension(s): use {-width} to {width - 1}")
    return dim % width


def normalize_dims(name: str, dim, ndim: int) -> tuple[int, ...]:
    """A dim, several, or None for all, as a tuple counted from the front; each at most once."""
    if dim is None:
        return tuple(range(ndim))
    if not isinstance(dim, Iterable):
        dim = (dim,)
    dims = tuple(normalize_dim(name, d, ndim) for d in dim)
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"{name}: a dim appears twice in {dims}")
    return dims


def shape_args(shape: tuple) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` mean the same shape."""
    if len(shape) == 1 and isinstance(shape[0], Iterable) and not (isinstance(shape[0], Tensor) and shape[0].ndim == 0):
        shape = tuple(shape[0])
    return tuple(map(operator.index, shape))


def require_tensor(name: str, value) -> Tensor:
    """`value` if it is a Tensor; TypeError saying how to make one."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {type(value).__name__}; make one with tensor.tensor(...)")
    return value


def require_integer(name: str, what: str, x: Tensor) -> Tensor:
    """`x` if it holds integers; IndexError naming its role."""
    if x.dtype.kind not in "iu":
        raise IndexError(f"{name}: {what} must hold integers (int64), got {x.dtype}; convert it with .long()")
    return x
