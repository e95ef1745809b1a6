"""Writing over a whole Tensor: fill_, zero_, copy_. All are `x[...] = value`, so what was there gets the gradient 0."""

from __future__ import annotations

from tensor.checks import require_tensor
from tensor.ops.cast import to
from tensor.ops.index import fill_value, setitem
from tensor.tensor import Tensor

__all__ = ["copy_", "fill", "fill_", "zero_"]
NOT_METHODS = ["fill"]


def fill(input: Tensor, value) -> Tensor:
    """A Tensor like input with `value`, a number or a 0-dim Tensor, everywhere."""
    return fill_(input.clone(), value)


def fill_(input: Tensor, value) -> Tensor:
    """Write `value`, a number or a 0-dim Tensor, everywhere, in place; returns input."""
    setitem(input, ..., fill_value("fill_", value, input), "fill_")
    return input


def zero_(input: Tensor) -> Tensor:
    """Write 0 everywhere, in place; returns input."""
    setitem(input, ..., 0, "zero_")
    return input


def copy_(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write the values of src in place, broadcast and brought to input's dtype and device; returns input.

    `non_blocking` is accepted and without effect.
    """
    setitem(input, ..., to(require_tensor("copy_", src), dtype=input.dtype, device=input.device), "copy_")
    return input
