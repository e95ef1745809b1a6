"""Running sums, products and extremes along a dim: y_i is made of x_1, …, x_i. And diff, which undoes a cumsum."""

from __future__ import annotations

from tensor import dtypes
from tensor.checks import normalize_dim
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.aliases import numpy_names
from tensor.ops.cast import cast
from tensor.ops.extrema import ValuesIndices, as_lines
from tensor.ops.gather import gather
from tensor.ops.join import cat
from tensor.ops.shape import reshape
from tensor.ops.split import narrow
from tensor.tensor import Tensor, wrap

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp"]
IN_PLACE = ["cumprod", "cumsum"]


def reverse_cumsum(x, dim: int):
    """y_j = Σ_{i ≥ j} x_i along `dim`, for raw arrays."""
    xp = namespace(x)
    return xp.flip(xp.cumsum(xp.flip(x, dim), axis=dim), dim)


def scan(x, dim: int, join):
    """Running `join` along `dim` for raw arrays: y_i = join(x_1, …, x_i), where join is associative.

    After the step with reach r, each y_i holds the last 2r elements up to i: log₂ n whole-array steps.
    """
    lines = namespace(x).moveaxis(x, dim, 0)
    reach = 1
    while reach < lines.shape[0]:
        lines = namespace(x).concatenate([lines[:reach], join(lines[:-reach], lines[reach:])])
        reach *= 2
    return namespace(x).moveaxis(lines, 0, dim)


class Cumsum(Op):
    """y_i = Σ_{j ≤ i} x_j;  x_j is in every y_i from i = j on."""

    vjp = "dx_j = Σ_{i ≥ j} dy_i"

    def forward(self, x, *, dim):
        self.dim = dim
        return namespace(x).cumsum(x, axis=dim, dtype=x.dtype)

    def backward(self, dy):
        return reverse_cumsum(dy, self.dim)


class Cumprod(Op):
    """y_i = Π_{j ≤ i} x_j;  dx_j = Σ_{i ≥ j} dy_i Π_{k ≤ i, k ≠ j} x_k.

    Without zeros that is Σ_{i ≥ j} dy_i y_i / x_j. It holds before the first zero too; after it all is 0. At it,
    the products without it are what the scan gives with a 1 in its place.
    """

    vjp = "dx_j = Σ_{i ≥ j} dy_i y_i / x_j"

    def forward(self, x, *, dim):
        self.x, self.dim = x, dim
        self.y = namespace(x).cumprod(x, axis=dim, dtype=x.dtype)
        return self.y

    def backward(self, dy):
        xp, zero = namespace(dy), self.x == 0
        dx = reverse_cumsum(dy * self.y, self.dim) / xp.where(zero, 1, self.x)
        first = zero & (xp.cumsum(zero, axis=self.dim) == 1)
        without = xp.cumprod(xp.where(first, 1, self.x), axis=self.dim)
        return xp.where(first, reverse_cumsum(dy * without, self.dim), dx)


class LogCumsumExp(Op):
    """y_i = ln Σ_{j ≤ i} exp x_j;  dx_j = Σ_{i ≥ j} dy_i exp(x_j − y_i).

    That sum can overflow although dx does not, so it is taken as a logarithm, of positive and negative dy apart.
    """

    vjp = "dx_j = Σ_{i ≥ j} dy_i exp(x_j − y_i)"

    def forward(self, x, *, dim):
        self.x, self.dim = x, dim
        self.y = scan(x, dim, namespace(x).logaddexp)
        return self.y

    def backward(self, dy):
        xp = namespace(dy)

        def part(dy):
            log_terms = xp.where(dy > 0, xp.log(xp.where(dy > 0, dy, 1)) - self.y, -xp.inf)
            log_sum = xp.flip(scan(xp.flip(log_terms, self.dim), self.dim, xp.logaddexp), self.dim)
            return xp.exp(self.x + log_sum)

        return part(dy) - part(-dy)


def _scan(op, name: str, input: Tensor, dim: int, dtype=None) -> Tensor:
    if dtype is None:
        dtype = input.dtype if dtypes.is_floating(input.dtype) else dtypes.int64
    x = cast(input, dtype)
    dim = normalize_dim(name, dim, x.ndim)
    return op.apply(x, dim=dim) if x.ndim else x.clone()


@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype=None) -> Tensor:
    """Running sum along `dim`. Integers and bools sum to int64."""
    return _scan(Cumsum, "cumsum", input, dim, dtype)


@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype=None) -> Tensor:
    """Running product along `dim`. Integers and bools multiply to int64."""
    return _scan(Cumprod, "cumprod", input, dim, dtype)


@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """ln of the running sum of eˣ along `dim`, without overflow."""
    dtype = input.dtype if dtypes.is_floating(input.dtype) else dtypes.get_default_dtype()
    return _scan(LogCumsumExp, "logcumsumexp", input, dim, dtype)


def _running_extreme(name: str, input: Tensor, dim: int, join: str) -> ValuesIndices:
    """Running extremes and their positions, of equal ones the last: find the positions, then gather."""
    dim = normalize_dim(name, dim, input.ndim)
    x = as_lines(input)
    xp = namespace(x)
    best = scan(x, dim, getattr(xp, join))  # a NaN stays
    place = xp.arange(x.shape[dim]).reshape((-1,) + (1,) * (x.ndim - dim - 1))
    hit = (x == best) | (x != x)
    index = wrap(scan(xp.where(hit, place, 0), dim, xp.maximum))
    values = gather(input if input.ndim else reshape(input, 1), dim, index)
    return ValuesIndices(reshape(values, input.shape), reshape(index, input.shape))


def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """(values, indices) of the largest element so far along `dim`, of equal ones the last; from a NaN on it is NaN."""
    return _running_extreme("cummax", input, dim, "maximum")


def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """(values, indices) of the smallest element so far along `dim`, of equal ones the last; from a NaN on it is NaN."""
    return _running_extreme("cummin", input, dim, "minimum")


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Differences of neighbours along `dim`, y_i = x_{i+1} − x_i, taken n times.

    `prepend` and `append` are joined to input first.
    """
    if input.ndim == 0:
        raise RuntimeError("diff: expected a Tensor with at least 1 dim, this one has none")
    if n < 0:
        raise RuntimeError(f"diff: n must be ≥ 0, got {n}")
    dim = normalize_dim("diff", dim, input.ndim)
    if n == 0:
        return input.clone()
    ends = [x for x in (prepend, input, append) if x is not None]
    x = cat(ends, dim) if len(ends) > 1 else input
    for _ in range(n):
        length = x.shape[dim] - 1
        if length < 0:
            break
        left, right = narrow(x, dim, 0, length), narrow(x, dim, 1, length)
        x = right != left if x.dtype == dtypes.bool_ else right - left
    return x
