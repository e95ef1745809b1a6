"""Filling parameters with their first values, in place. Every function returns the Tensor it filled.

For a weight (out, in, …) fan_in counts the inputs that each output sums over, and fan_out the reverse. To keep the
variance of activations from layer to layer, weights get a variance of about 1/fan_in (Glorot and Bengio 2010; He et
al. 2015, arXiv:1502.01852).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Concatenate, ParamSpec

import numpy as np

from tensor import Tensor, eye, no_grad, randn_like, where
from tensor.inplace import assign
from tensor.tensor import wrap

P = ParamSpec("P")
_skipping = ContextVar("skipping", default=False)


@contextmanager
def skip_init() -> Iterator[None]:
    """In this block the functions of this file leave their tensor as it is, for a model whose weights come from a file.

    Drawing the 124 million numbers of the smallest GPT-2, only to overwrite them, takes seconds.
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def _fills(function: Callable[Concatenate[Tensor, P], Tensor]) -> Callable[Concatenate[Tensor, P], Tensor]:
    """What the functions below share: they record no graph, and do nothing inside `skip_init`."""

    @functools.wraps(function)
    @no_grad()
    def fill(tensor: Tensor, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        return tensor if _skipping.get() else function(tensor, *args, **kwargs)

    return fill


@_fills
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Numbers drawn evenly from [a, b)."""
    return tensor.uniform_(a, b)


@_fills
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Numbers drawn from a normal distribution."""
    return tensor.normal_(mean, std)


@_fills
def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
    """Numbers from a normal distribution cut to [a, b]: those outside are drawn again until they fall inside."""
    if not a < b or mean < a - 2 * std or mean > b + 2 * std:
        raise ValueError(
            f"trunc_normal_: the mean ({mean}) must lie within 2 std of the interval [{a}, {b}], and a below b"
        )
    values = randn_like(tensor) * std + mean
    while (outside := (values < a) | (values > b)).any():
        values = where(outside, randn_like(values) * std + mean, values)
    return assign(tensor, values, "trunc_normal_")


@_fills
def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere."""
    return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


@_fills
def eye_(tensor: Tensor) -> Tensor:
    """The identity: 1 on the diagonal of a matrix, 0 elsewhere."""
    _require_matrix("eye_", tensor, exactly=True)
    return assign(tensor, eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device), "eye_")


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Drawn evenly from [−a, a] with a = gain √(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    a = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -a, a)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with std = gain √(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))))


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Drawn evenly from [−b, b] with b = gain √(3 / fan) (He et al. 2015). `a` is the slope of a leaky_relu."""
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Normal with std = gain / √fan (He et al. 2015). `a` is the slope of a leaky_relu."""
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


@_fills
def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """A random matrix whose rows (or columns, if fewer) are orthogonal and of length `gain` (Saxe et al. 2013)."""
    _require_matrix("orthogonal_", tensor)
    rows, columns = tensor.shape[0], tensor.numel() // max(tensor.shape[0], 1)
    drawn = randn_like(tensor, device="cpu").array.reshape(rows, columns)  # on every device the same
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.sign(np.diagonal(r))  # without this, the distribution would not be even
    q = q.T if rows < columns else q
    return assign(tensor, wrap(gain * q.reshape(tensor.shape)).to(tensor.device), "orthogonal_")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much to scale weights before this nonlinearity, so that the variance stays; param: leaky_relu's slope."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity not in gains:
        names = ", ".join([*gains, "leaky_relu"])
        raise ValueError(f"calculate_gain: there is no gain for {nonlinearity!r}: choose from {names}")
    return gains[nonlinearity]


def _kaiming_std(name: str, x: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = _fans(name, x)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _fans(name: str, x: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, …)."""
    _require_matrix(name, x)
    each = math.prod(x.shape[2:])
    return x.shape[1] * each, x.shape[0] * each


def _require_matrix(name: str, x: Tensor, exactly: bool = False) -> None:
    if x.ndim != 2 if exactly else x.ndim < 2:
        raise ValueError(
            f"{name}: needs {'a matrix' if exactly else 'at least 2 dims, (out, in, …)'}, got shape {tuple(x.shape)}"
        )
