"""Dropout: in training, each element is set to zero with probability p and the others are scaled by 1 / (1 − p).

The scale keeps the expectation, so that evaluation is the identity (Srivastava et al. 2014, JMLR 15).
Element by element; x and y have any shape.
"""

from __future__ import annotations

import tensor
from tensor import Op, Tensor
from tensor.inplace import assign


def dropout_composed(input: Tensor, keep: Tensor, p: float) -> Tensor:
    """The definition for given `keep` (bool, of the input's shape)."""
    return input * keep.to(input.dtype) * (1 / (1 - p) if p < 1 else 0.0)


class Dropout(Op):
    """y = x ⊙ keep · scale, with scale = 1 / (1 − p). keep is a constant, so dx = dy ⊙ keep · scale."""

    vjp = "dx = dy ⊙ keep / (1 − p)"

    def forward(self, x, *, keep, scale):
        self.keep, self.scale = keep, scale
        y = x * keep
        y *= scale
        return y

    def backward(self, dy):
        dx = dy * self.keep
        dx *= self.scale
        return dx


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero elements with probability p and scale the others by 1 / (1 − p); the input itself unless `training`."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, from 0 to 1, got {p}")
    if not training or p == 0:
        return input
    keep = tensor.rand(input.shape, dtype=tensor.float32, device=input.device).array >= p
    y = Dropout.apply(input, keep=keep, scale=1 / (1 - p) if p < 1 else 0.0)
    return assign(input, y, "dropout") if inplace else y
