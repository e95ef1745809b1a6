"""Putting in order, and what is built on order: sort, topk, kthvalue, searchsorted, unique, bincount.

Positions are found without a gradient, then the values are gathered: dy goes to where each value came from.
NaN counts as larger than every number, as in PyTorch.
"""

from __future__ import annotations

import numpy as np

from tensor import dtypes
from tensor.checks import normalize_dim, require_integer, shape_text
from tensor.devices import namespace
from tensor.ops.aliases import numpy_names
from tensor.ops.extrema import ValuesIndices, as_lines, pick
from tensor.ops.gather import gather
from tensor.ops.shape import movedim, reshape
from tensor.tensor import Tensor, as_array, wrap

__all__ = [
    "argsort",
    "bincount",
    "bucketize",
    "kthvalue",
    "msort",
    "quantile",
    "searchsorted",
    "sort",
    "topk",
    "unique",
]
NOT_METHODS = ["bucketize", "searchsorted"]


def order(x, dim: int, descending: bool):
    """The positions that put the raw array x in order along `dim`; equal elements keep theirs."""
    xp = namespace(x)
    if not descending:
        return xp.argsort(x, axis=dim, kind="stable")
    backwards = xp.argsort(xp.flip(x, dim), axis=dim, kind="stable")  # flipped twice, equal ones keep their order
    return x.shape[dim] - 1 - xp.flip(backwards, dim)


@numpy_names
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesIndices:
    """(values, indices) of input in order along `dim`. Equal elements keep their order, with or without `stable`."""
    dim = normalize_dim("sort", dim, input.ndim)
    indices = wrap(order(as_lines(input), dim, descending))
    if input.ndim == 0:
        return ValuesIndices(input.clone(), reshape(indices, ()))
    return ValuesIndices(gather(input, dim, indices), indices)


@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that `sort` gives."""
    dim = normalize_dim("argsort", dim, input.ndim)
    return wrap(order(as_lines(input), dim, descending).reshape(input.shape))


def msort(input: Tensor) -> Tensor:
    """input in order along dim 0."""
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """(values, indices) of the k largest elements along `dim`, largest first (or smallest); always in order."""
    dim = normalize_dim("topk", dim, input.ndim)
    x = as_lines(input)
    if not 0 <= k <= x.shape[dim]:
        raise RuntimeError(f"topk: k = {k} is out of range for dim {dim} of length {x.shape[dim]}")
    xp = namespace(x)
    lines = xp.moveaxis(x, dim, -1)
    if 0 < k < lines.shape[-1] // 8:  # first the k best in any order, then only these in order
        near = xp.argpartition(lines, -k if largest else k - 1, axis=-1)
        near = near[..., -k:] if largest else near[..., :k]
        near = xp.sort(near, axis=-1)
        best = order(xp.take_along_axis(lines, near, axis=-1), -1, largest)
        index = xp.take_along_axis(near, best, axis=-1)
    else:
        index = order(lines, -1, largest)[..., :k]
    indices = wrap(xp.moveaxis(index, -1, dim))
    if input.ndim == 0 and k == 1:
        return ValuesIndices(input.clone(), reshape(indices, ()))
    return ValuesIndices(gather(input if input.ndim else reshape(input, 1), dim, indices), indices)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """(values, indices) of the k-th smallest element along `dim`, counted from 1."""
    dim = normalize_dim("kthvalue", dim, input.ndim)
    x = as_lines(input)
    if not 1 <= k <= x.shape[dim]:
        raise RuntimeError(f"kthvalue: k = {k} is out of range for length {x.shape[dim]}: it counts from 1")
    kth = namespace(x).arange(k - 1, k)  # an array, so that the dim stays with length 1
    return pick(input, dim, order(x, dim, False).take(kth, axis=dim), keepdim)


def quantile(
    input: Tensor, q, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The value below which the fraction q of the elements lies, along `dim` or of all; NaN where there is a NaN.

    q is a number, or a 1-dim Tensor for several, whose dim comes first in the result. Between two elements,
    `interpolation` takes "linear" their mixture, or the "lower", "higher", "nearest", or their "midpoint".
    """
    if not isinstance(q, Tensor):
        q = wrap(as_array(q, input.dtype, input.device))
    if input.numel() == 0 or ((q.array < 0) | (q.array > 1)).any():
        raise RuntimeError("quantile: input needs elements, and q lies between 0 and 1")
    x = reshape(input, -1) if dim is None or input.ndim == 0 else input
    axis = 0 if dim is None else normalize_dim("quantile", dim, input.ndim)
    lines = movedim(sort(x, axis).values, axis, -1)  # (..., n)
    rank = reshape(q, -1) * (lines.shape[-1] - 1)
    low, high = rank.detach().floor(), rank.detach().ceil()
    match interpolation:
        case "linear":
            weight = rank - low
        case "lower":
            weight = low - low
        case "higher":
            weight = high - low
        case "nearest":
            weight = rank.detach().round() - low
        case "midpoint":
            weight = (high - low) / 2
        case _:
            raise RuntimeError(f"quantile: there is no interpolation {interpolation!r}")
    below, above = lines[..., low.long()], lines[..., high.long()]  # (..., len(q))
    y = below + (above - below) * weight
    last = lines[..., -1:]  # a NaN is sorted to the end
    y = movedim(y.where(last == last, last), -1, 0)  # (len(q), ...)
    if keepdim:
        kept = [1] * input.ndim if dim is None else [1 if d == axis else n for d, n in enumerate(input.shape)]
        y = reshape(y, (q.numel(), *kept))
    return y if q.ndim else y[0]


# ---------------------------------------------------------------------- finding a place in an order


def searchsorted(
    sorted_sequence: Tensor,
    values,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where to insert `values` in a sorted sequence so that it stays sorted: before equal elements, or after (`right`).

    A 1-dim sequence serves all values. Else its leading dims are those of `values`, line by line. `sorter` is an
    argsort of a sequence that is not in order.
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side is 'left' or 'right' and must agree with right={right}, got {side!r}")
    xp = namespace(sorted_sequence.array)
    side = "right" if right or side == "right" else "left"
    sequence = sorted_sequence.array
    if sorter is not None:
        require_integer("searchsorted", "sorter", sorter)
        sequence = xp.take_along_axis(sequence, sorter.array, axis=-1)
    wanted = values.array if isinstance(values, Tensor) else as_array(values, device=sorted_sequence.device)
    if sequence.ndim == 1:
        found = xp.searchsorted(sequence, wanted, side=side)
    elif sequence.shape[:-1] == wanted.shape[:-1]:
        found = xp.zeros(wanted.shape, np.int64)
        for line in np.ndindex(*sequence.shape[:-1]):
            found[line] = xp.searchsorted(sequence[line], wanted[line], side=side)
    else:
        raise RuntimeError(
            f"searchsorted: the sequence has shape {shape_text(sequence.shape)} and the values "
            f"{shape_text(wanted.shape)}: all dims but the last must agree, or the sequence have 1 dim"
        )
    return wrap(xp.asarray(found, np.int32 if out_int32 else np.int64))


def bucketize(input, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The bucket of each element between sorted 1-dim `boundaries`: how many are smaller (`right`: or equal)."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize: the boundaries have 1 dim, got shape {shape_text(boundaries.shape)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# ---------------------------------------------------------------------- counting


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
):
    """The different elements of input, in order; with `dim`, its different slices along it.

    With return_inverse or return_counts a tuple: also, for each element, which one it is (values[inverse] is input),
    and how often each occurs. They come in order always.
    """
    x = input.array
    if dim is not None:
        dim = normalize_dim("unique", dim, input.ndim)
    values, inverse, counts = namespace(x).unique(x, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    inverse = inverse.reshape(x.shape if dim is None else -1)
    if not return_inverse and not return_counts:
        return wrap(values)
    extra = [wrap(a) for a, asked in ((inverse, return_inverse), (counts, return_counts)) if asked]
    return (wrap(values), *extra)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, … occurs in a 1-dim Tensor of integers; with `weights`, the sum of their weights."""
    require_integer("bincount", "input", input)
    if input.ndim != 1 or minlength < 0 or (input.numel() and int(input.array.min()) < 0):
        raise RuntimeError(
            f"bincount: expected a 1-dim Tensor of integers ≥ 0 and minlength ≥ 0, got shape {shape_text(input.shape)}"
        )
    if weights is None:
        return wrap(namespace(input.array).bincount(input.array, minlength=minlength))
    if weights.shape != input.shape:
        raise RuntimeError(f"bincount: weights have shape {shape_text(weights.shape)}, input {shape_text(input.shape)}")
    if weights.requires_grad:
        raise RuntimeError("bincount has no gradient rule: detach() the weights")
    total = namespace(input.array).bincount(input.array, weights=weights.array, minlength=minlength)
    return wrap(total.astype(weights.dtype if weights.dtype == dtypes.float32 else dtypes.float64))
