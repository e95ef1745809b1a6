"""Reading and writing whole slices along one dim, by position: index_select, index_add, index_copy, index_fill, …"""

from __future__ import annotations

import math

from tensor.checks import normalize_dim, require_integer, shape_text
from tensor.devices import namespace
from tensor.ops.index import EVERYTHING, Index, IndexPut, check_range, fill_value, getitem
from tensor.ops.shape import reshape
from tensor.tensor import Tensor

__all__ = ["index_add", "index_copy", "index_fill", "index_select", "select_scatter", "slice_scatter"]
IN_PLACE = ["index_add", "index_copy", "index_fill"]


def _one_dim_index(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[int, tuple]:
    """dim counted from the front, and the advanced index that takes positions `index` along it."""
    require_integer(name, "index", index)
    if index.ndim > 1:
        raise IndexError(f"{name}: the index must have 1 dim, got shape {shape_text(index.shape)}")
    dim = normalize_dim(name, dim, input.ndim)
    at = index.array.flatten()  # a copy: backward needs the index as it is now
    check_range(at, dim, input.shape[dim] if input.ndim else 1)
    return dim, (*[EVERYTHING] * dim, at)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of input at the positions `index` along `dim`; a copy."""
    _, at = _one_dim_index("index_select", input, dim, index)
    if input.ndim == 0:
        return reshape(Index.apply(reshape(input, 1), index=at), ())
    return Index.apply(input, index=at)


def _index_write(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor, accumulate: bool) -> Tensor:
    dim, at = _one_dim_index(name, input, dim, index)
    x = input if input.ndim else reshape(input, 1)
    expected = (*x.shape[:dim], index.numel(), *x.shape[dim + 1 :])
    if source.shape != expected and not (source.numel() == 1 == math.prod(expected)):
        raise RuntimeError(
            f"{name}: source has shape {shape_text(source.shape)}, {shape_text(expected)} is needed: "
            f"input's shape with the length of index along dim {dim}"
        )
    if source.dtype != input.dtype:
        raise RuntimeError(f"{name}: source must be {input.dtype} as input is, got {source.dtype}: convert it")
    y = IndexPut.apply(x, reshape(source, expected), index=at, accumulate=accumulate)
    return y if input.ndim else reshape(y, ())


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha=1) -> Tensor:
    """A copy of input with alpha · source added to its slices at the positions `index` along `dim`."""
    return _index_write("index_add", input, dim, index, source if alpha == 1 else source * alpha, accumulate=True)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of input with `source` in place of its slices at the positions `index` along `dim`."""
    return _index_write("index_copy", input, dim, index, source, accumulate=False)


def index_fill(input: Tensor, dim: int, index: Tensor, value) -> Tensor:
    """A copy of input filled with `value` (a number or 0-dim Tensor) at the positions `index` along `dim`."""
    x = input if input.ndim else reshape(input, 1)
    dim, at = _one_dim_index("index_fill", x, dim, index)
    at = (*at[:-1], namespace(x.array).unique(at[-1] % x.shape[dim]))  # a position counts once in value's gradient
    value = fill_value("index_fill", value, input)
    y = IndexPut.apply(x, value, index=at, accumulate=False)
    return y if input.ndim else reshape(y, ())


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of input with `src` at position `index` of `dim`."""
    return _view_write("select_scatter", input, src, dim, index)


def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start=None, end=None, step: int = 1) -> Tensor:
    """A copy of input with `src` at input[start:end:step] along `dim`."""
    return _view_write("slice_scatter", input, src, dim, slice(start, end, step))


def _view_write(name: str, input: Tensor, src: Tensor, dim: int, part) -> Tensor:
    at = (*[EVERYTHING] * normalize_dim(name, dim, input.ndim), part)
    y = input.clone()
    shape = getitem(y, at).shape
    if src.shape != shape:
        raise RuntimeError(f"{name}: src has shape {shape_text(src.shape)}, the part it replaces {shape_text(shape)}")
    y[at] = src
    return y
