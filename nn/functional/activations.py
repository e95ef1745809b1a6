"""The other activation functions, each a short formula over primitive operations that have their own gradients.

A branch that is not taken must not overflow, or its gradient would be 0 · ∞: so exponentials get clamped arguments.
Where PyTorch has `inplace=True`, it is taken here too: the result is then written into the input.
"""

from __future__ import annotations

import functools

import tensor
from tensor import Tensor
from tensor.inplace import assign
from tensor.ops.cast import as_float

__all__ = [
    "celu",
    "elu",
    "glu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
    "threshold",
]

# Self-normalising networks (Klambauer et al. 2017, arXiv:1706.02515): with these two, mean 0 and variance 1 are kept.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _or_in_place(function):
    """Give an activation the argument `inplace`."""

    @functools.wraps(function)
    def with_inplace(input: Tensor, *args, inplace: bool = False, **kwargs) -> Tensor:
        y = function(input, *args, **kwargs)
        return assign(input, y, function.__name__) if inplace else y

    return with_inplace


def sigmoid(input: Tensor) -> Tensor:
    """σ(x) = 1 / (1 + e^(−x))."""
    return tensor.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """(eˣ − e^(−x)) / (eˣ + e^(−x))."""
    return tensor.tanh(input)


@_or_in_place
def relu(input: Tensor) -> Tensor:
    """max(x, 0)."""
    return tensor.relu(input)


@_or_in_place
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x clamped to [min_val, max_val]; the gradient is 0 outside and at the two ends."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val ({min_val}) must not be above max_val ({max_val})")
    inside = (input > min_val) & (input < max_val)
    return tensor.where(inside, input, input.detach().clamp(min_val, max_val))


@_or_in_place
def relu6(input: Tensor) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0)


@_or_in_place
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope · x."""
    return tensor.where(input > 0, input, input * negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight · x with a learned weight: one number, or one for each channel (dim 1)."""
    if weight.numel() == 1:
        weight = weight.reshape(())
    elif input.ndim > 1:
        weight = weight.reshape(-1, *[1] * (input.ndim - 2))
    return tensor.where(input > 0, input, input * weight)


@_or_in_place
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """x where x > threshold, else value."""
    return input.masked_fill(input <= threshold, value)


@_or_in_place
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (eˣ − 1)."""
    return tensor.where(input > 0, input, alpha * tensor.expm1(input.clamp(max=0)))


@_or_in_place
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (e^(x/alpha) − 1): an elu with slope 1 on both sides of 0."""
    return tensor.where(input > 0, input, alpha * tensor.expm1(input.clamp(max=0) / alpha))


@_or_in_place
def selu(input: Tensor) -> Tensor:
    """SELU_SCALE · elu(x, SELU_ALPHA)."""
    return SELU_SCALE * elu(input, SELU_ALPHA)


@_or_in_place
def silu(input: Tensor) -> Tensor:
    """x σ(x), also called swish."""
    return input * sigmoid(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(beta x)) / beta: a smooth relu; x itself where beta x > threshold."""
    scaled = input * beta
    smooth = tensor.log1p(tensor.exp(scaled.clamp(max=threshold))) / beta
    return tensor.where(scaled > threshold, input, smooth)


def logsigmoid(input: Tensor) -> Tensor:
    """ln σ(x) = −ln(1 + e^(−x)), without overflow on either side."""
    x = as_float(input)
    return -tensor.logaddexp(-x, tensor.zeros_like(x))


@_or_in_place
def mish(input: Tensor) -> Tensor:
    """x tanh(softplus(x)) (Misra 2019, arXiv:1908.08681)."""
    return input * tanh(softplus(input))


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (1 + tensor.abs(input))


@_or_in_place
def hardsigmoid(input: Tensor) -> Tensor:
    """min(max(x + 3, 0), 6) / 6: σ in three straight lines."""
    return relu6(input + 3) / 6


@_or_in_place
def hardswish(input: Tensor) -> Tensor:
    """x · hardsigmoid(x)."""
    return input * hardsigmoid(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a σ(b), where a and b are the two halves of the input along `dim` (Dauphin et al. 2016, arXiv:1612.08083)."""
    if input.ndim == 0 or input.shape[dim] % 2:
        raise RuntimeError(
            f"glu: the input {tuple(input.shape)} must have an even length along dim {dim}, it is halved there"
        )
    a, b = tensor.chunk(input, 2, dim)
    return a * sigmoid(b)
