"""Reductions: sum, mean, max, … over some dimensions or all.

Going back, the gradient of a reduced dimension is put back with length 1 (`restore`) and broadcasts to x's shape.
"""

from __future__ import annotations

import math

from tensor import dtypes
from tensor.checks import normalize_dims
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.cast import cast
from tensor.tensor import Tensor

__all__ = ["sum", "mean"]


def restore(dy, dims: tuple[int, ...], keepdim: bool):
    """dy with the reduced `dims` back as dimensions of length 1."""
    return dy if keepdim else namespace(dy).expand_dims(dy, dims)


class Sum(Op):
    """y = Σ x over `dims`;  every element counts once, so ∂y/∂x_i = 1."""

    vjp = "dx_i = dy"

    def forward(self, x, *, dims, keepdim):
        self.shape, self.dims, self.keepdim = x.shape, dims, keepdim
        return x.sum(axis=dims, keepdims=keepdim)

    def backward(self, dy):
        return namespace(dy).broadcast_to(restore(dy, self.dims, self.keepdim), self.shape)


def sum(input: Tensor, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """Sum of the elements over `dim` (an int, several, or None for all). Integers and bools sum to int64."""
    if dtype is not None:
        input = cast(input, dtype)
    elif not dtypes.is_floating(input.dtype):
        input = cast(input, dtypes.int64)
    return Sum.apply(input, dims=normalize_dims("sum", dim, input.ndim), keepdim=keepdim)


def mean(input: Tensor, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """Arithmetic mean over `dim` (an int, several, or None for all) of a floating-point Tensor."""
    if dtype is not None:
        input = cast(input, dtype)
    if not dtypes.is_floating(input.dtype):
        raise RuntimeError(f"mean: expected a floating-point Tensor, got {input.dtype}: call .float() first")
    dims = normalize_dims("mean", dim, input.ndim)
    count = math.prod(input.shape[d] for d in dims)
    return sum(input, dim, keepdim) / count if count else sum(input, dim, keepdim) * math.nan
