"""Reading and writing elements by position: `x[index]` and `x[index] = value`, in every form PyTorch knows.

An index is worked off in two steps. Its *basic* parts (integers, slices, None, ...) give a view. What is
left are *advanced* parts, integer arrays and bool masks, which pick single positions of that view and give a
copy. Reading and writing are each other's transpose: the gradient of a read is a write of dy into zeros, adding
where a position was read twice.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from tensor.checks import shape_text
from tensor.devices import CPU, is_array, namespace
from tensor.inplace import assign
from tensor.kernels import kernels
from tensor.late_checks import require_all
from tensor.modes import state
from tensor.op import Op
from tensor.ops.cast import cast
from tensor.tensor import Tensor, as_array, wrap

__all__ = ["index_put"]
IN_PLACE = ["index_put"]

EVERYTHING = slice(None)


class Slice(Op):
    """y = x[index] for integers, slices and None: a view;  dx is zero but for dx[index] = dy."""

    vjp = "dx = 0;  dx[index] = dy"

    def forward(self, x, *, index):
        self.shape, self.index = x.shape, (*index, ...)  # with the ... a single element is a view too
        return x[self.index]

    def backward(self, dy):
        dx = namespace(dy).zeros(self.shape, dy.dtype)
        dx[self.index] = dy
        return dx


class Index(Op):
    """y = x[index] for integer arrays: a copy;  dx is zero but for dx[index] += dy."""

    vjp = "dx = 0;  dx[index] += dy"

    def forward(self, x, *, index):
        self.shape, self.index = x.shape, index
        return x[index]

    def backward(self, dy):
        return sum_at(self.shape, self.index, dy)


class IndexPut(Op):
    """y = x but for y[index] = value, or y[index] += value to accumulate.

    What is overwritten gets no gradient; what is added to keeps it.
    """

    vjp = "dx = dy with dx[index] = 0 unless accumulating;  dvalue = dy[index]"

    def forward(self, x, value, *, index, accumulate):
        self.index, self.accumulate = index, accumulate
        if accumulate:
            return x + sum_at(x.shape, index, namespace(x).broadcast_to(value, x[index].shape))
        y = x.copy()
        y[index] = value
        return y

    def backward(self, dy):
        if self.accumulate:
            return dy, dy[self.index]
        dx = dy.copy()
        dx[self.index] = 0
        return dx, dy[self.index]


def sum_at(shape: tuple[int, ...], index: tuple, values):
    """Zeros of `shape` with y[index] += values, adding up where `index` names a position more than once."""
    width = math.prod(shape[1:])
    if len(index) == 1 and width > 1:  # whole rows, as in an embedding: much faster than add.at
        rows = kernels(values).embedding_backward(values.reshape(-1, width), index[0].ravel() % shape[0], shape[0])
        return rows.reshape(shape)
    y = namespace(values).zeros(shape, values.dtype)
    combine_at(namespace(values).add, y, index, values)
    return y


def combine_at(ufunc, y, at: tuple, values) -> None:
    """`ufunc.at(y, at, values)`: y[at] = ufunc(y[at], values), y in row-major order, once for each time a place occurs.

    CuPy adds in this way numbers of these dtypes alone, does not multiply, and rounds the largest and smallest of
    float64 to float32. Else the first values for each place are combined in one go there, then the second ones, …
    """
    xp = namespace(y)
    if xp is np or (ufunc is xp.add and y.dtype.char in "ilqefd"):
        ufunc.at(y, at, values)
        return
    chosen, flat = xp.arange(y.size).reshape(y.shape)[at], y.reshape(-1)
    values, places = xp.broadcast_to(values, chosen.shape).reshape(-1), chosen.reshape(-1)
    order = xp.argsort(places, kind="stable")
    places, values = places[order], values[order]
    turns = xp.arange(places.size) - xp.searchsorted(places, places)  # which of those for its place a value is
    for turn in range(int(turns.max()) + 1 if turns.size else 0):
        now = turns == turn
        flat[places[now]] = ufunc(flat[places[now]], values[now])


# ---------------------------------------------------------------------- reading an index


def split_index(index, shape: tuple[int, ...], xp) -> tuple[tuple, tuple]:
    """`index` as (basic, advanced): x[index] = x[basic][advanced].

    `basic` is integers, slices and None; `advanced` has one entry per dim of x[basic], an integer array or a
    full slice, and is empty where the index has no advanced part. Raises IndexError where the index does not fit.
    """
    parts = _fill_ellipsis([_plain(p, xp) for p in (index if isinstance(index, tuple) else (index,))], shape)
    basic: list = []
    advanced: list = []
    dim = 0
    for part in parts:
        if is_array(part) and part.dtype.kind == "b":
            _check_mask(part, shape, dim)
            if part.ndim == 0:  # x[True] is x[None], x[False] an empty copy of it
                basic.append(None)
                advanced.append(xp.zeros(int(part), np.int64))
            else:
                basic += [EVERYTHING] * part.ndim
                advanced += xp.nonzero(part)
            dim += part.ndim
        elif is_array(part):
            check_range(part, dim, shape[dim])
            basic.append(EVERYTHING)
            advanced.append(part)
            dim += 1
        elif part is None:
            basic.append(None)
            advanced.append(EVERYTHING)
        elif isinstance(part, slice):
            basic.append(part)
            advanced.append(EVERYTHING)
            dim += 1
        else:
            if not -shape[dim] <= part < shape[dim]:
                raise IndexError(f"index {part} is out of range for dim {dim} of length {shape[dim]}")
            basic.append(part)
            dim += 1
    while advanced and isinstance(advanced[-1], slice):
        advanced.pop()
    return tuple(basic), tuple(advanced)


def _plain(part, xp):
    """One part of an index as None, Ellipsis, a slice, an int, or an array of integers or bools."""
    if part is None or part is Ellipsis:
        return part
    if isinstance(part, slice):
        if part.step is not None and operator.index(part.step) <= 0:
            raise ValueError(f"a slice needs a step of at least 1, got {part.step}: use flip() to go backwards")
        return part
    if isinstance(part, Tensor):
        part = part.array
    elif isinstance(part, bool | np.bool_):
        return xp.asarray(part)
    elif isinstance(part, list | tuple | range):
        part = as_array(list(part), device=CPU) if len(part) else np.zeros(0, np.int64)
    elif not is_array(part):
        try:
            return operator.index(part)
        except TypeError:
            raise IndexError(
                f"a Tensor is indexed by integers, slices, None, ..., bools, or Tensors of these, "
                f"not by {type(part).__name__}"
            ) from None
    if part.dtype.kind == "u":
        raise IndexError(f"a {part.dtype} index is ambiguous: use .bool() for a mask, .long() for positions")
    if part.dtype.kind not in "ib":
        raise IndexError(f"an index Tensor holds integers or bools, this one is {part.dtype}: convert it with .long()")
    if part.ndim == 0 and part.dtype.kind == "i":
        return int(part)
    return xp.array(part)  # a copy: backward needs the index as it is now


def _fill_ellipsis(parts: list, shape: tuple[int, ...]) -> list:
    """`parts` with full slices for the Ellipsis, or at the end, so that every dim of `shape` has its part."""
    used = sum(0 if p is None or p is Ellipsis else p.ndim if _is_mask(p) else 1 for p in parts)
    if used > len(shape):
        raise IndexError(f"too many indices: {used} for a Tensor with {len(shape)} dimension(s)")
    dots = [i for i, p in enumerate(parts) if p is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can have only one ellipsis (...)")
    at = dots[0] if dots else len(parts)
    return [*parts[:at], *[EVERYTHING] * (len(shape) - used), *parts[at + 1 :]]


def _is_mask(part) -> bool:
    return is_array(part) and part.dtype.kind == "b"


def _check_mask(mask, shape: tuple[int, ...], dim: int) -> None:
    if mask.shape != shape[dim : dim + mask.ndim]:
        raise IndexError(
            f"a mask of shape {shape_text(mask.shape)} does not fit dims {dim} to {dim + mask.ndim - 1} "
            f"of a Tensor of shape {shape_text(shape)}"
        )


def check_range(index, dim: int, length: int) -> None:
    """IndexError unless every element of an integer array is a position along a dim of this length."""
    fine = (index >= -length) & (index < length)
    require_all(fine, lambda: IndexError(f"index {index[~fine][0]} is out of range for dim {dim} of length {length}"))


# ---------------------------------------------------------------------- the operators


def getitem(input: Tensor, index) -> Tensor:
    """input[index], for every index NumPy and PyTorch know: a view for integers, slices and None, else a copy."""
    target, advanced = _basic_view(input, index)
    return Index.apply(target, index=advanced) if advanced else target


def setitem(input: Tensor, index, value, name: str = "setitem") -> None:
    """input[index] = value, in place; value is broadcast to the shape of input[index]. `name` is for error messages."""
    target, advanced = _basic_view(input, index)
    shape = target.array[advanced].shape if advanced else target.shape
    value = _fitting(name, value, target, shape)
    if not advanced:
        assign(target, value.expand(shape), name)
    elif state.grad_enabled and (target.requires_grad or value.requires_grad):
        assign(target, IndexPut.apply(target, value, index=advanced, accumulate=False), name)
    else:
        target.array[advanced] = value.array
        target.mark_written()


def index_put(input: Tensor, indices, values, accumulate: bool = False) -> Tensor:
    """A copy of input with `values` written at input[indices] (a tuple of Tensors), or added there to accumulate."""
    indices = tuple(i.unsqueeze(0) if isinstance(i, Tensor) and i.ndim == 0 else i for i in indices)
    basic, advanced = split_index(indices, input.shape, namespace(input.array))
    if any(part != EVERYTHING for part in basic):
        raise IndexError("index_put: the indices must be a tuple of integer Tensors or masks")
    values = _fitting("index_put", values, input, input.array[advanced].shape)
    return IndexPut.apply(input, values, index=advanced, accumulate=accumulate)


def _basic_view(input: Tensor, index) -> tuple[Tensor, tuple]:
    """The view that the basic parts of `index` take of input, and the advanced parts that are left."""
    basic, advanced = split_index(index, input.shape, namespace(input.array))
    if advanced and all(part == EVERYTHING for part in basic):
        return input, advanced
    return Slice.apply(input, index=basic), advanced


def _fitting(name: str, value, target: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`value` as a Tensor of the target's dtype that broadcasts to `shape`."""
    if not isinstance(value, Tensor):
        value = wrap(as_array(value, target.dtype, target.device))
    value = cast(value, target.dtype)
    while value.ndim > len(shape) and value.shape[0] == 1:  # PyTorch lets (1, 3) be written where (3,) fits
        value = value.squeeze(0)
    if any(n not in (1, m) for n, m in zip(value.shape[::-1], shape[::-1], strict=False)) or value.ndim > len(shape):
        raise RuntimeError(
            f"{name}: a value of shape {shape_text(value.shape)} does not broadcast to {shape_text(shape)}, "
            f"the shape of what is written"
        )
    return value


def fill_value(name: str, value, target: Tensor) -> Tensor:
    """`value`, a number or a 0-dim Tensor, as a Tensor of the target's dtype; a float does not fill integers."""
    if not isinstance(value, Tensor):
        floating = isinstance(value, float | np.floating)
        value = wrap(as_array(value, None if floating and target.dtype.kind != "f" else target.dtype, target.device))
    if value.ndim:
        raise RuntimeError(f"{name}: value is a number or a 0-dim Tensor, got one of shape {shape_text(value.shape)}")
    if value.dtype.kind == "f" and target.dtype.kind != "f":
        raise RuntimeError(f"{name}: a floating value cannot fill a Tensor of {target.dtype}: convert one of them")
    return cast(value, target.dtype)
