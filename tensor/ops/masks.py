"""Picking and placing elements by a mask of bools: masked_fill, masked_select, masked_scatter, nonzero."""

from __future__ import annotations

import numpy as np

from tensor import dtypes
from tensor.checks import broadcast_shape
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.index import IndexPut, fill_value, getitem
from tensor.ops.shape import expand, reshape
from tensor.tensor import Tensor, wrap

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero"]
IN_PLACE = ["masked_fill", "masked_scatter"]


class MaskedFill(Op):
    """y = value where mask, else x."""

    vjp = "dx = dy where not mask, else 0;  dvalue = Σ dy where mask"

    def forward(self, x, mask, value):
        self.mask = mask
        return namespace(x).where(mask, value, x)

    def backward(self, dy):
        xp = namespace(dy)
        dvalue = xp.where(self.mask, dy, 0) if self.needs[2] else None
        return xp.where(self.mask, 0, dy), None, dvalue


def _require_mask(name: str, mask: Tensor) -> Tensor:
    if mask.dtype != dtypes.bool_:
        raise RuntimeError(f"{name}: the mask must hold bools, got {mask.dtype}: compare (mask != 0), or use .bool()")
    return mask


def masked_fill(input: Tensor, mask: Tensor, value) -> Tensor:
    """A copy of input with `value` (a number or 0-dim Tensor) where the mask, which is broadcast, is True."""
    _require_mask("masked_fill", mask)
    broadcast_shape("masked_fill", input.shape, mask.shape)
    return MaskedFill.apply(input, mask, fill_value("masked_fill", value, input))


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of input where the mask is True, as one dim; input and mask are broadcast."""
    shape = broadcast_shape("masked_select", input.shape, _require_mask("masked_select", mask).shape)
    return getitem(expand(input, shape), expand(mask, shape))


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of input in which the elements where the mask is True are the first elements of `source`, in order."""
    shape = broadcast_shape("masked_scatter", input.shape, _require_mask("masked_scatter", mask).shape)
    at = nonzero(expand(mask, shape), as_tuple=True)
    count = at[0].numel()
    if count > source.numel():
        raise RuntimeError(f"masked_scatter: the mask picks {count} element(s), source has only {source.numel()}")
    if source.dtype != input.dtype:
        raise RuntimeError(f"masked_scatter: source must be {input.dtype} as input is, got {source.dtype}")
    x = expand(input, shape) if shape else reshape(input, 1)
    y = IndexPut.apply(x, reshape(source, -1)[:count], index=tuple(i.array for i in at), accumulate=False)
    return y if shape else reshape(y, ())


def nonzero(input: Tensor, *, as_tuple: bool = False):
    """The positions of the elements that are not 0: (count, ndim) int64, or with as_tuple one Tensor for each dim."""
    xp = namespace(input.array)
    found = xp.nonzero(input.array if input.ndim else input.array.reshape(1))
    if as_tuple:
        return tuple(wrap(i) for i in found)
    return wrap(xp.stack(found, axis=1) if input.ndim else xp.zeros((found[0].size, 0), np.int64))


def argwhere(input: Tensor) -> Tensor:
    """The positions of the elements that are not 0, one a row: (count, ndim) int64."""
    return nonzero(input)
