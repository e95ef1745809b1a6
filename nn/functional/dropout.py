"""Dropout: in training, each element is set to zero with probability p and the others are scaled by 1 / (1 − p).

The scale keeps the expectation, so that evaluation is the identity (Srivastava et al. 2014, JMLR 15).
Element by element; x and y have any shape.
"""

from __future__ import annotations

from tensor import Op, Tensor
from tensor.inplace import assign
from tensor.kernels import kernels
from tensor.random import default_generator


def dropout_composed(input: Tensor, keep: Tensor, p: float) -> Tensor:
    """The definition for given `keep` (bool, of the input's shape)."""
    return input * keep.to(input.dtype) * (1 / (1 - p) if p < 1 else 0.0)


class Dropout(Op):
    """y = x ⊙ keep / (1 − p). keep is a constant, so dx = dy ⊙ keep / (1 − p).

    The mask is not stored: it is a function of `seed`, and backward makes it again (tensor/kernels/random_bits.py).
    """

    vjp = "dx = dy ⊙ keep / (1 − p)"

    def forward(self, x, *, p, seed):
        self.p, self.seed = p, seed
        return kernels(x).dropout(x, p, seed)

    def backward(self, dy):
        return kernels(dy).dropout(dy, self.p, self.seed)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero elements with probability p and scale the others by 1 / (1 − p); the input itself unless `training`."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, from 0 to 1, got {p}")
    if not training or p == 0:
        return input
    y = Dropout.apply(input, p=p, seed=draw_seed()) if p < 1 else input * 0.0
    return assign(input, y, "dropout") if inplace else y


def draw_seed() -> int:
    """A seed for one mask: the next 64 bits of the global random stream."""
    return int.from_bytes(default_generator.numpy.bytes(8), "little")
