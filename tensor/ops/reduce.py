"""Reductions that every element takes part in: sum, mean, prod, var, norm, any, all, …

Going back, the gradient of a reduced dim is put back with length 1 (`restore`) and broadcasts to x's shape.
"""

from __future__ import annotations

import math

from tensor import dtypes
from tensor.checks import broadcast_shape, normalize_dims, shape_args, shape_text
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.aliases import numpy_names
from tensor.ops.cast import cast
from tensor.tensor import Tensor, wrap

__all__ = [
    "all",
    "any",
    "count_nonzero",
    "dist",
    "logsumexp",
    "mean",
    "nanmean",
    "nansum",
    "norm",
    "prod",
    "std",
    "std_mean",
    "sum",
    "sum_to_size",
    "var",
    "var_mean",
]
NOT_METHODS = ["std_mean", "var_mean"]


def restore(y, dims: tuple[int, ...], keepdim: bool):
    """A reduced array with the reduced `dims` back as dims of length 1."""
    if keepdim:
        return y
    shape = list(y.shape)
    for d in sorted(dims):
        shape.insert(d, 1)
    return y.reshape(shape)


def reduced_dims(name: str, dim, ndim: int) -> tuple[int, ...]:
    """The dims a reduction goes over: those named, or all for None and for an empty list. None of a 0-dim Tensor."""
    dims = normalize_dims(name, dim, ndim)
    return () if ndim == 0 else dims or tuple(range(ndim))


class Sum(Op):
    """y = Σ x over `dims`;  every element counts once, so ∂y/∂x_i = 1."""

    vjp = "dx_i = dy"

    def forward(self, x, *, dims, keepdim):
        self.shape, self.dims, self.keepdim = x.shape, dims, keepdim
        return x.sum(axis=dims, keepdims=keepdim, dtype=x.dtype)  # NumPy would widen uint8

    def backward(self, dy):
        return namespace(dy).broadcast_to(restore(dy, self.dims, self.keepdim), self.shape)


class Mean(Sum):
    """y = Σ x / n over the n elements of `dims`;  ∂y/∂x_i = 1/n."""

    vjp = "dx_i = dy / n"

    def forward(self, x, *, dims, keepdim):
        self.count = math.prod(x.shape[d] for d in dims)
        total = super().forward(x, dims=dims, keepdim=keepdim)
        return total / self.count if self.count else total * math.nan

    def backward(self, dy):
        return super().backward(dy / self.count if self.count else dy * math.nan)


class Prod(Op):
    """y = Π x over `dims`;  ∂y/∂x_i = the product of the others.

    Without zeros that is y / x_i. An element beside a zero has the gradient 0; the only zero has the others' product.
    """

    vjp = "dx_i = dy Π_{j≠i} x_j"

    def forward(self, x, *, dims, keepdim):
        self.x, self.dims, self.keepdim = x, dims, keepdim
        self.y = namespace(x).asarray(x.prod(axis=dims, keepdims=keepdim))
        return self.y

    def backward(self, dy):
        xp, zero = namespace(dy), self.x == 0
        if not zero.any():
            return restore(dy * self.y, self.dims, self.keepdim) / self.x
        x = xp.where(zero, 1, self.x)
        product = x.prod(axis=self.dims, keepdims=True)  # of what is not zero
        other_zeros = zero.sum(axis=self.dims, keepdims=True) - zero
        return restore(dy, self.dims, self.keepdim) * xp.where(other_zeros > 0, 0, product / x)


class Var(Op):
    """y = Σ (x − x̄)² / (n − correction) over `dims`.

    x̄ depends on every x_i too, but its share vanishes, because Σ (x − x̄) = 0. What is left is
    ∂y/∂x_i = 2 (x_i − x̄) / (n − correction).
    """

    vjp = "dx_i = dy · 2 (x_i − x̄) / (n − correction)"

    def forward(self, x, *, dims, keepdim, correction):
        self.x, self.dims, self.keepdim = x, dims, keepdim
        self.count = math.prod(x.shape[d] for d in dims)
        self.scale = 1 / (self.count - correction) if self.count > correction else math.inf
        d = self.centered()
        return self.scale * (d * d).sum(axis=dims, keepdims=keepdim)

    def centered(self):
        """x − x̄."""
        return self.x - self.x.sum(axis=self.dims, keepdims=True) / max(self.count, 1)

    def backward(self, dy):
        return restore(dy, self.dims, self.keepdim) * (2 * self.scale) * self.centered()


class Std(Var):
    """y = √var;  dy/dvar = 1 / (2 y), taken as 0 where y = 0."""

    vjp = "dx_i = dy (x_i − x̄) / ((n − correction) y)"

    def forward(self, x, *, dims, keepdim, correction):
        self.y = namespace(x).sqrt(super().forward(x, dims=dims, keepdim=keepdim, correction=correction))
        return self.y

    def backward(self, dy):
        return super().backward(namespace(dy).where(self.y == 0, 0, dy / (2 * self.y)))


class LogSumExp(Op):
    """y = ln Σ eˣ over `dims`, computed as m + ln Σ eˣ⁻ᵐ with m = max x so that nothing overflows.

    ∂y/∂x_i = e^x_i / Σ eˣ = e^(x_i − y): the softmax.
    """

    vjp = "dx_i = dy · exp(x_i − y)"

    def forward(self, x, *, dims, keepdim):
        xp = namespace(x)
        self.x, self.dims, self.keepdim = x, dims, keepdim
        if x.size:
            m = x.max(axis=dims, keepdims=True)
            m = xp.where(xp.isinf(m), 0, m)  # −inf − −inf would be NaN
        else:
            m = xp.zeros([1 if d in dims else n for d, n in enumerate(x.shape)], x.dtype)
        y = m + xp.log(xp.exp(x - m).sum(axis=dims, keepdims=True))
        self.y = y if keepdim else y.squeeze(axis=dims)
        return self.y

    def backward(self, dy):
        y = restore(self.y, self.dims, self.keepdim)
        return restore(dy, self.dims, self.keepdim) * namespace(dy).exp(self.x - y)


class Norm(Op):
    """y = (Σ |x|ᵖ)^(1/p) over `dims`; for p = 0 how many are not 0, for p = ±inf the largest or smallest |x|.

    ∂y/∂x_i = sign(x_i) (|x_i| / y)ᵖ⁻¹, and 0 where x_i or y is 0. For p = ±inf, dy goes to the elements with |x_i| = y,
    in equal parts.
    """

    vjp = "dx_i = dy · sign(x_i) (|x_i| / y)ᵖ⁻¹"

    def forward(self, x, *, p, dims, keepdim):
        xp = namespace(x)
        self.x, self.p, self.dims, self.keepdim = x, p, dims, keepdim
        size = abs(x)
        if p == 0:
            y = (x != 0).sum(axis=dims, keepdims=keepdim).astype(x.dtype)
        elif p == math.inf:
            y = size.max(axis=dims, keepdims=keepdim)
        elif p == -math.inf:
            y = size.min(axis=dims, keepdims=keepdim)
        elif p == 1:
            y = size.sum(axis=dims, keepdims=keepdim)
        elif p == 2:
            y = xp.sqrt((x * x).sum(axis=dims, keepdims=keepdim))
        else:
            y = (size**p).sum(axis=dims, keepdims=keepdim) ** (1 / p)
        self.y = xp.asarray(y)
        return self.y

    def backward(self, dy):
        xp, p, x = namespace(dy), self.p, self.x
        y, dy = restore(self.y, self.dims, self.keepdim), restore(dy, self.dims, self.keepdim)
        if p == 0:
            return xp.zeros_like(x)
        if math.isinf(p):
            hit = (abs(x) == y) | xp.isnan(x)
            return dy / hit.sum(axis=self.dims, keepdims=True) * xp.where(hit, xp.sign(x), 0)
        if p == 1:
            return dy * xp.sign(x)
        slope = x / y if p == 2 else xp.sign(x) * (abs(x) / y) ** (p - 1)
        return dy * xp.where((y == 0) | ((x == 0) & (p < 2)), 0, slope)


# ---------------------------------------------------------------------- sums and products


def _summable(input: Tensor, dtype) -> Tensor:
    """input in `dtype`, or if None, integers and bools in int64."""
    if dtype is None:
        dtype = input.dtype if dtypes.is_floating(input.dtype) else dtypes.int64
    return cast(input, dtype)


def require_floating(name: str, input: Tensor, dtype=None) -> Tensor:
    """input in `dtype`, or as it is; RuntimeError if that is not floating-point."""
    if dtype is not None:
        input = cast(input, dtype)
    if not dtypes.is_floating(input.dtype):
        raise RuntimeError(f"{name}: expected a floating-point Tensor, got {input.dtype}: call .float() first")
    return input


@numpy_names
def sum(input: Tensor, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """Sum of the elements over `dim` (an int, several, or None for all). Integers and bools sum to int64."""
    return Sum.apply(_summable(input, dtype), dims=reduced_dims("sum", dim, input.ndim), keepdim=keepdim)


def sum_to_size(input: Tensor, size, *more) -> Tensor:
    """input summed over the dims along which `size` would be broadcast to input's shape."""
    size = shape_args((size, *more))
    extra = input.ndim - len(size)
    if extra < 0 or broadcast_shape("sum_to_size", size, input.shape) != input.shape:
        raise RuntimeError(f"sum_to_size: {shape_text(size)} does not broadcast to {shape_text(input.shape)}")
    grown = [d for d in range(input.ndim) if d < extra or size[d - extra] != input.shape[d]]
    return (sum(input, grown, keepdim=True) if grown else input).reshape(size)


@numpy_names
def nansum(input: Tensor, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """`sum` that takes NaN for 0."""
    return sum(input.masked_fill(input != input, 0), dim, keepdim, dtype=dtype)  # only NaN differs from itself


@numpy_names
def mean(input: Tensor, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """Arithmetic mean over `dim` (an int, several, or None for all) of a floating-point Tensor; NaN of nothing."""
    input = require_floating("mean", input, dtype)
    return Mean.apply(input, dims=reduced_dims("mean", dim, input.ndim), keepdim=keepdim)


@numpy_names
def nanmean(input: Tensor, dim=None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """`mean` of the elements that are not NaN; NaN where there are none."""
    input = require_floating("nanmean", input, dtype)
    return nansum(input, dim, keepdim) / sum(input == input, dim, keepdim)


@numpy_names
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype=None) -> Tensor:
    """Product of the elements along `dim`, or of all. Integers and bools multiply to int64."""
    dims = reduced_dims("prod", dim, input.ndim)
    return Prod.apply(_summable(input, dtype), dims=dims, keepdim=keepdim and dim is not None)


# ---------------------------------------------------------------------- spread


def _spread(op, name: str, input: Tensor, dim, unbiased, correction, keepdim: bool) -> Tensor:
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}: give unbiased or correction, not both")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    dims = reduced_dims(name, dim, input.ndim)
    return op.apply(require_floating(name, input), dims=dims, keepdim=keepdim, correction=correction)


@numpy_names
def var(input: Tensor, dim=None, unbiased: bool | None = None, keepdim: bool = False, *, correction=None) -> Tensor:
    """Variance over `dim`: Σ (x − x̄)² / (n − correction).

    `correction` is 1 by default (Bessel's: the unbiased estimate); `unbiased=False` is correction 0.
    """
    return _spread(Var, "var", input, dim, unbiased, correction, keepdim)


@numpy_names
def std(input: Tensor, dim=None, unbiased: bool | None = None, keepdim: bool = False, *, correction=None) -> Tensor:
    """Standard deviation over `dim`, the square root of `var`. Where it is 0, its gradient is taken as 0."""
    return _spread(Std, "std", input, dim, unbiased, correction, keepdim)


@numpy_names
def var_mean(input: Tensor, dim=None, unbiased: bool | None = None, keepdim: bool = False, *, correction=None):
    """(var, mean) over `dim`."""
    spread = var(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


@numpy_names
def std_mean(input: Tensor, dim=None, unbiased: bool | None = None, keepdim: bool = False, *, correction=None):
    """(std, mean) over `dim`."""
    spread = std(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


# ---------------------------------------------------------------------- norms


def norm(input: Tensor, p="fro", dim=None, keepdim: bool = False, dtype=None) -> Tensor:
    """p-norm over `dim` (an int, several, or None for all): (Σ |x|ᵖ)^(1/p).

    "fro" and None mean p = 2; inf and -inf the largest and smallest |x|; 0 counts what is not 0.
    """
    if p is None or p == "fro":
        p = 2
    elif isinstance(p, str):
        raise RuntimeError(f"norm: p is a number or 'fro', got {p!r}")
    dims = reduced_dims("norm", dim, input.ndim)
    return Norm.apply(require_floating("norm", input, dtype), p=float(p), dims=dims, keepdim=keepdim)


def dist(input: Tensor, other: Tensor, p=2) -> Tensor:
    """The p-norm of input − other."""
    return norm(input - other, p)


@numpy_names
def logsumexp(input: Tensor, dim, keepdim: bool = False) -> Tensor:
    """ln Σ eˣ over `dim`, without overflow."""
    if not dtypes.is_floating(input.dtype):
        input = cast(input, dtypes.get_default_dtype())
    return LogSumExp.apply(input, dims=reduced_dims("logsumexp", dim, input.ndim), keepdim=keepdim)


# ---------------------------------------------------------------------- truth


def _truth(name: str, input: Tensor, dim, keepdim: bool) -> Tensor:
    dims = reduced_dims(name, dim, input.ndim)
    answer = getattr(namespace(input.array), name)(input.array, axis=dims, keepdims=keepdim)
    dtype = dtypes.uint8 if input.dtype == dtypes.uint8 else dtypes.bool_
    return wrap(namespace(input.array).asarray(answer, dtype))


@numpy_names
def any(input: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """Is any element along `dim`, or of all, not 0? A bool Tensor (for uint8 a uint8 one, as in PyTorch)."""
    return _truth("any", input, dim, keepdim)


@numpy_names
def all(input: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """Are all elements along `dim`, or all there are, not 0? A bool Tensor (for uint8 a uint8 one, as in PyTorch)."""
    return _truth("all", input, dim, keepdim)


@numpy_names
def count_nonzero(input: Tensor, dim=None) -> Tensor:
    """How many elements over `dim`, or of all, are not 0; int64."""
    return sum(input != 0, dim)
