"""Parts of a Tensor, as views: split, chunk, unbind, narrow, select."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence

import numpy as np

from tensor.checks import normalize_dim, shape_text
from tensor.devices import memory_owner, namespace
from tensor.op import Op
from tensor.ops.index import EVERYTHING, Slice
from tensor.tensor import Tensor

__all__ = [
    "chunk",
    "dsplit",
    "hsplit",
    "narrow",
    "select",
    "split",
    "split_with_sizes",
    "tensor_split",
    "unbind",
    "vsplit",
]


class Split(Op):
    """y_1, y_2, … = x cut along `dim` into parts of the lengths `sizes`;  dx = dy_1, dy_2, … joined again."""

    vjp = "dx = cat(dy_1, dy_2, …)"

    def forward(self, x, *, sizes, dim):
        self.dim = dim
        ends = list(itertools.accumulate(sizes, initial=0))
        return tuple(x[(*(EVERYTHING,) * dim, slice(a, b))] for a, b in itertools.pairwise(ends))

    def backward(self, *dys):
        whole = _already_joined(dys, self.dim)
        return namespace(*dys).concatenate(dys, axis=self.dim) if whole is None else whole


def _already_joined(parts: Sequence, dim: int):
    """The array in which `parts` follow one another along `dim`, if they are views into one; else None."""
    first = parts[0]
    owner = memory_owner(first)
    if not isinstance(owner, np.ndarray) or owner is first or not owner.flags.c_contiguous:
        return None
    start, length = _address(first), first.shape[dim]
    for part in parts[1:]:
        place = start + length * first.strides[dim]
        if memory_owner(part) is not owner or part.strides != first.strides or _address(part) != place:
            return None
        length += part.shape[dim]
    shape = (*first.shape[:dim], length, *first.shape[dim + 1 :])
    return np.ndarray(shape, first.dtype, buffer=owner, offset=start - _address(owner), strides=first.strides)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


class Unbind(Op):
    """y_i = x at position i of `dim`, which is dropped, for every i;  dx = the dy_i stacked again."""

    vjp = "dx = stack(dy_1, dy_2, …)"

    def forward(self, x, *, dim):
        self.dim = dim
        return tuple(x[(*(EVERYTHING,) * dim, i, ...)] for i in range(x.shape[dim]))

    def backward(self, *dys):
        return namespace(*dys).stack(dys, axis=self.dim)


def _require_dim(name: str, input: Tensor, dim: int) -> int:
    if input.ndim == 0:
        raise RuntimeError(f"{name}: expected a Tensor with at least 1 dim, this one has none")
    return normalize_dim(name, dim, input.ndim)


def split(input: Tensor, split_size_or_sections, dim: int = 0) -> tuple[Tensor, ...]:
    """input cut along `dim` into parts of one length (the last may be shorter), or of the lengths in a list; views.

    >>> q, k, v = qkv.split(n_embd, dim=2)
    """
    if isinstance(split_size_or_sections, list | tuple):
        return split_with_sizes(input, split_size_or_sections, dim)
    dim = _require_dim("split", input, dim)
    size, length = operator.index(split_size_or_sections), input.shape[dim]
    if size < 0 or (size == 0 and length > 0):
        raise RuntimeError(f"split: parts of length {size} do not fill dim {dim} of length {length}")
    starts = range(0, max(length, 1), max(size, 1))
    return Split.apply(input, sizes=[min(size, length - start) for start in starts], dim=dim)


def split_with_sizes(input: Tensor, split_sizes, dim: int = 0) -> tuple[Tensor, ...]:
    """input cut along `dim` into parts of the lengths `split_sizes`, which add up to its length; views."""
    dim = _require_dim("split", input, dim)
    sizes = [operator.index(n) for n in split_sizes]
    if sum(sizes) != input.shape[dim] or any(n < 0 for n in sizes):
        raise RuntimeError(
            f"split: the sizes {sizes} add up to {sum(sizes)}, they must add up to {input.shape[dim]}, "
            f"the length of dim {dim} of {shape_text(input.shape)}"
        )
    return Split.apply(input, sizes=sizes, dim=dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """input cut along `dim` into at most `chunks` parts of one length, the last may be shorter; views."""
    dim = _require_dim("chunk", input, dim)
    if chunks < 1:
        raise RuntimeError(f"chunk: needs at least 1 chunk, got {chunks}")
    if input.shape[dim] == 0:
        return Split.apply(input, sizes=[0] * chunks, dim=dim)
    return split(input, -(-input.shape[dim] // chunks), dim)


def tensor_split(input: Tensor, indices_or_sections, dim: int = 0) -> tuple[Tensor, ...]:
    """input cut along `dim` into n parts whose lengths differ by at most 1, or before each of a list of positions."""
    dim = _require_dim("tensor_split", input, dim)
    length = input.shape[dim]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, list | tuple):
        cuts = [slice(i).indices(length)[1] for i in indices_or_sections]
        bounds = itertools.pairwise([0, *cuts, length])
        return tuple(_slice(input, dim, a, max(a, b)) for a, b in bounds)
    if indices_or_sections < 1:
        raise RuntimeError(f"tensor_split: needs at least 1 section, got {indices_or_sections}")
    least, longer = divmod(length, indices_or_sections)
    sizes = [least + (i < longer) for i in range(indices_or_sections)]
    return Split.apply(input, sizes=sizes, dim=dim)


def _split_along(name: str, input: Tensor, indices_or_sections, dim: int) -> tuple[Tensor, ...]:
    if isinstance(indices_or_sections, int) and (indices_or_sections < 1 or input.shape[dim] % indices_or_sections):
        raise RuntimeError(
            f"{name}: dim {dim} of {shape_text(input.shape)} cannot be cut into {indices_or_sections} equal parts"
        )
    return tensor_split(input, indices_or_sections, dim)


def hsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """input cut into columns: equal parts along dim 1 (dim 0 of a 1-dim Tensor), or before given positions; views."""
    if input.ndim < 1:
        raise RuntimeError("hsplit: expected a Tensor with at least 1 dim, this one has none")
    return _split_along("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1)


def vsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """input cut into rows: equal parts along dim 0, or before given positions; views."""
    if input.ndim < 2:
        raise RuntimeError(f"vsplit: expected a Tensor with at least 2 dims, this one has {input.ndim}")
    return _split_along("vsplit", input, indices_or_sections, 0)


def dsplit(input: Tensor, indices_or_sections) -> tuple[Tensor, ...]:
    """input cut in depth: equal parts along dim 2, or before given positions; views."""
    if input.ndim < 3:
        raise RuntimeError(f"dsplit: expected a Tensor with at least 3 dims, this one has {input.ndim}")
    return _split_along("dsplit", input, indices_or_sections, 2)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices of input along `dim`, which is dropped; views."""
    return Unbind.apply(input, dim=_require_dim("unbind", input, dim))


def _slice(input: Tensor, dim: int, start: int, stop: int, step: int = 1) -> Tensor:
    parts = [EVERYTHING] * input.ndim
    parts[dim] = slice(start, stop, step)
    return Slice.apply(input, index=tuple(parts))


def narrow(input: Tensor, dim: int, start, length: int) -> Tensor:
    """`length` elements of input along `dim`, from `start` on; a view."""
    dim = _require_dim("narrow", input, dim)
    start, size = operator.index(start), input.shape[dim]
    first = start + size if start < 0 else start
    if not 0 <= first <= size or length < 0 or first + length > size:
        raise IndexError(f"narrow: start {start} and length {length} do not fit dim {dim} of length {size}")
    return _slice(input, dim, first, first + length)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """input at position `index` of `dim`, which is dropped; a view."""
    dim = _require_dim("select", input, dim)
    index = operator.index(index)
    if not -input.shape[dim] <= index < input.shape[dim]:
        raise IndexError(f"select: index {index} is out of range for dim {dim} of length {input.shape[dim]}")
    return Slice.apply(input, index=(*[EVERYTHING] * dim, index))
