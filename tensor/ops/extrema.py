"""Reductions that pick elements: max, min, argmax, median, …

The forms with one dim first find positions, without a gradient, and then `gather` the values there: all of
dy goes to the element that was picked. The forms that return no positions (amax, amin, and max, min without dim)
share dy evenly among equal elements. PyTorch does the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tensor.checks import normalize_dim, shape_text
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.aliases import numpy_names
from tensor.ops.gather import gather
from tensor.ops.reduce import reduced_dims, restore
from tensor.ops.shape import reshape, squeeze
from tensor.tensor import Tensor, wrap

__all__ = [
    "amax",
    "amin",
    "aminmax",
    "argmax",
    "argmin",
    "max",
    "median",
    "min",
    "nanmedian",
]


class ValuesIndices(NamedTuple):
    """Elements of a Tensor and where along the dim they were."""

    values: Tensor
    indices: Tensor


class MinMax(NamedTuple):
    """The smallest and the largest elements."""

    min: Tensor
    max: Tensor


class Amax(Op):
    """y = max x over `dims`;  dy goes to the elements with x = y, in equal parts."""

    vjp = "dx_i = dy / n ⊙ [x_i = y],  n elements equal y"

    def forward(self, x, *, dims, keepdim):
        self.x, self.dims, self.keepdim = x, dims, keepdim
        self.y = namespace(x).asarray(self.extreme(x, axis=dims, keepdims=keepdim))
        return self.y

    @staticmethod
    def extreme(x, **axes):
        return x.max(**axes)

    def backward(self, dy):
        hit = self.x == restore(self.y, self.dims, self.keepdim)
        return restore(dy, self.dims, self.keepdim) * hit / hit.sum(axis=self.dims, keepdims=True)


class Amin(Amax):
    """y = min x over `dims`;  dy goes to the elements with x = y, in equal parts."""

    @staticmethod
    def extreme(x, **axes):
        return x.min(**axes)


class Median(Amax):
    """y = the median of all x, the lower one of an even count;  dy goes to the elements with x = y, in equal parts."""

    @staticmethod
    def extreme(x, **axes):
        return x.ravel()[median_position(x.reshape(1, -1))[0, 0]]


class NanMedian(Amax):
    """y = the median of the x that are not NaN;  dy goes to the elements with x = y, in equal parts."""

    @staticmethod
    def extreme(x, **axes):
        return x.ravel()[median_position(x.reshape(1, -1), skip_nan=True)[0, 0]]


def _require_elements(name: str, input: Tensor, dims) -> None:
    if any(input.shape[d] == 0 for d in dims):
        raise IndexError(
            f"{name}: a Tensor of shape {shape_text(input.shape)} has no elements to pick from: "
            f"reduce over a dim of non-zero length"
        )


def _require_some(name: str, input: Tensor) -> None:
    if input.numel() == 0:
        raise RuntimeError(f"{name}: the Tensor of shape {shape_text(input.shape)} has no elements: give a dim")


@numpy_names
def amax(input: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """The largest elements over `dim` (an int, several, or None for all); equal ones share the gradient."""
    dims = reduced_dims("amax", dim, input.ndim)
    _require_elements("amax", input, dims)
    return Amax.apply(input, dims=dims, keepdim=keepdim)


@numpy_names
def amin(input: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """The smallest elements over `dim` (an int, several, or None for all); equal ones share the gradient."""
    dims = reduced_dims("amin", dim, input.ndim)
    _require_elements("amin", input, dims)
    return Amin.apply(input, dims=dims, keepdim=keepdim)


@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """(min, max) along `dim`, or of all."""
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def pick(input: Tensor, dim: int, index, keepdim: bool) -> ValuesIndices:
    """The elements of input at the positions in the raw array `index` along `dim`, where it has length 1."""
    indices = wrap(index)
    values = gather(input if input.ndim else reshape(input, 1), dim, indices)
    if input.ndim == 0 or not keepdim:
        return ValuesIndices(squeeze(values, dim), squeeze(indices, dim))
    return ValuesIndices(values, indices)


def as_lines(input: Tensor):
    """The raw array of input, with at least 1 dim."""
    return input.array if input.ndim else input.array.reshape(1)


def first_extreme(name: str, x, axis: int | None = None):
    """x.argmax(axis) or x.argmin(axis): of equal elements the first, and the first NaN where there is one."""
    found = getattr(x, name)(axis=axis)
    if isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return found
    nan = namespace(x).isnan(x)  # CuPy finds any NaN
    return namespace(x).where(nan.any(axis=axis), nan.argmax(axis=axis), found)


def _arg(name: str, input: Tensor, dim: int | None, keepdim: bool):
    """The positions of the largest (argmax) or smallest (argmin) elements, as a raw array; of equal ones the first."""
    if dim is None:
        _require_some(name, input)
        index = first_extreme(name, input.array)
        return index.reshape((1,) * input.ndim if keepdim else ())
    dim = normalize_dim(name, dim, input.ndim)
    _require_elements(name, input, (dim,) if input.ndim else ())
    index = first_extreme(name, as_lines(input), dim)
    return namespace(input.array).expand_dims(index, dim) if keepdim and input.ndim else index


@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The position of the largest element along `dim` (of the flattened input if None); of equal ones the first."""
    return wrap(namespace(input.array).asarray(_arg("argmax", input, dim, keepdim)))


@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The position of the smallest element along `dim` (of the flattened input if None); of equal ones the first."""
    return wrap(namespace(input.array).asarray(_arg("argmin", input, dim, keepdim)))


def _extreme(name: str, input: Tensor, dim: int, keepdim: bool) -> ValuesIndices:
    dim = normalize_dim(name, dim, input.ndim)
    _require_elements(name, input, (dim,) if input.ndim else ())
    xp = namespace(input.array)
    index = first_extreme("arg" + name, as_lines(input), dim)
    return pick(input, dim, xp.expand_dims(index, dim), keepdim)


@numpy_names
def max(input: Tensor, dim=None, keepdim: bool = False, *, other=None):
    """`max(x)`: the largest element. `max(x, dim)`: (values, indices) along dim. `max(x, y)`: see `maximum`.

    Without dim equal elements share the gradient; with dim it goes to the one at `indices`, the first of them.
    """
    if isinstance(dim, Tensor) or other is not None:
        return input.maximum(dim if other is None else other)
    if dim is None:
        _require_some("max", input)
        return amax(input)
    return _extreme("max", input, dim, keepdim)


@numpy_names
def min(input: Tensor, dim=None, keepdim: bool = False, *, other=None):
    """`min(x)`: the smallest element. `min(x, dim)`: (values, indices) along dim. `min(x, y)`: see `minimum`.

    Without dim equal elements share the gradient; with dim it goes to the one at `indices`, the first of them.
    """
    if isinstance(dim, Tensor) or other is not None:
        return input.minimum(dim if other is None else other)
    if dim is None:
        _require_some("min", input)
        return amin(input)
    return _extreme("min", input, dim, keepdim)


# ---------------------------------------------------------------------- medians


def median_position(x, skip_nan: bool = False):
    """Where the median (of an even count the lower one) lies along the last dim, kept with length 1.

    A NaN is the median, unless skipped: then it is the median of what is not NaN.
    """
    xp = namespace(x)
    order = xp.argsort(x, axis=-1, kind="stable")  # NaN last
    n = x.shape[-1]
    nans = xp.isnan(x).sum(axis=-1, keepdims=True) if x.dtype.kind == "f" else xp.zeros((*x.shape[:-1], 1), int)
    middle = xp.maximum(n - nans - 1, 0) // 2
    if not skip_nan:
        middle = xp.where(nans > 0, n - nans, middle)  # the first NaN
    return xp.take_along_axis(order, middle, axis=-1)


def _median(name: str, input: Tensor, dim: int, keepdim: bool, skip_nan: bool) -> ValuesIndices:
    dim = normalize_dim(name, dim, input.ndim)
    _require_elements(name, input, (dim,) if input.ndim else ())
    xp = namespace(input.array)
    index = median_position(xp.moveaxis(as_lines(input), dim, -1), skip_nan)
    return pick(input, dim, xp.moveaxis(index, -1, dim), keepdim)


@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False):
    """`median(x)`: the median. `median(x, dim)`: (values, indices) along dim. Of an even count it is the lower one."""
    if dim is not None:
        return _median("median", input, dim, keepdim, skip_nan=False)
    if input.numel() == 0:
        return input.sum() * math.nan
    return Median.apply(input, dims=tuple(range(input.ndim)), keepdim=False)


@numpy_names
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False):
    """`median` of the elements that are not NaN."""
    if dim is not None:
        return _median("nanmedian", input, dim, keepdim, skip_nan=True)
    if input.numel() == 0:
        return input.sum() * math.nan
    return NanMedian.apply(input, dims=tuple(range(input.ndim)), keepdim=False)
