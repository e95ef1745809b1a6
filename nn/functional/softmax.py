"""Softmax: scores to probabilities along one dimension.

    y_i = exp(x_i) / Σ_j exp(x_j)

The fused operations with their derivation stand in `tensor/ops/softmax.py`, since `softmax` is a Tensor method as well;
here is the definition they are held to.
"""

from __future__ import annotations

import tensor
from tensor import Tensor


def softmax_composed(input: Tensor, dim: int) -> Tensor:
    """The definition, from primitive operations. Taking the maximum off first changes nothing but keeps exp finite."""
    e = (input - input.detach().amax(dim, keepdim=True)).exp()
    return e / e.sum(dim, keepdim=True)


def log_softmax_composed(input: Tensor, dim: int) -> Tensor:
    """ln softmax(x) = x − max x − ln Σ exp(x − max x): no exp is divided, so none can underflow to ln 0."""
    shifted = input - input.detach().amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


def softmax(input: Tensor, dim: int | None = None, dtype=None) -> Tensor:
    """exp(x) / Σ exp(x) along `dim`, computed in `dtype` if given; the result sums to 1 there."""
    return tensor.softmax(input, _dim("softmax", input, dim), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, dtype=None) -> Tensor:
    """ln softmax(x) along `dim`, computed stably."""
    return tensor.log_softmax(input, _dim("log_softmax", input, dim), dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, dtype=None) -> Tensor:
    """softmax(−x) along `dim`."""
    return softmax(-input, dim, dtype)


def _dim(name: str, input: Tensor, dim: int | None) -> int:
    if dim is None:
        raise TypeError(
            f"{name}: pass dim, the dimension to normalise over (dim=-1 for the last); input is {tuple(input.shape)}"
        )
    return dim
