"""Picking and placing single elements by a Tensor of positions: gather, scatter, take.

Gathering and scattering are each other's transpose: the gradient of picking elements is adding dy where they came
from, the gradient of placing them is picking dy where they went.
"""

from __future__ import annotations

import math

import numpy as np

from tensor import dtypes
from tensor.checks import broadcast_shape, normalize_dim, require_integer, shape_text
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.index import Index, check_range, combine_at
from tensor.ops.shape import expand, reshape
from tensor.tensor import Tensor, as_array, wrap

__all__ = ["gather", "scatter", "scatter_add", "scatter_reduce", "take", "take_along_dim"]
IN_PLACE = ["scatter", "scatter_add", "scatter_reduce"]


def positions(index, dim: int) -> tuple:
    """The advanced index that takes index[i, j, …] along `dim` and i, j, … itself along every other dim."""
    xp = namespace(index)
    grid = [xp.arange(n).reshape((-1,) + (1,) * (index.ndim - d - 1)) for d, n in enumerate(index.shape)]
    grid[dim : dim + 1] = [index]
    return tuple(grid)


class Gather(Op):
    """y_ij = x_(index_ij) j for dim 0, and likewise for any other;  every dy_ij is added to where it came from."""

    vjp = "dx = 0;  dx[index] += dy along dim"

    def forward(self, x, index, *, dim):
        self.shape, self.index, self.dim = x.shape, index, dim
        return x[positions(index, dim)]

    def backward(self, dy):
        dx = namespace(dy).zeros(self.shape, dy.dtype)
        combine_at(namespace(dy).add, dx, positions(self.index, self.dim), dy)
        return dx, None


class Scatter(Op):
    """y = x with y_(index_ij) j = src_ij for dim 0, and likewise for any other.

    What is overwritten gets no gradient. (Where an index occurs twice, either src may win.)
    """

    vjp = "dx = dy with dx[index] = 0 along dim;  dsrc = dy[index]"

    def forward(self, x, index, src, *, dim):
        self.index, self.dim, self.shape = index, dim, src.shape
        y = x.copy()
        y[positions(index, dim)] = src[corner(index.shape)]
        return y

    def backward(self, dy):
        at = positions(self.index, self.dim)
        dx = dy.copy()
        dx[at] = 0
        return dx, None, in_corner(dy[at], self.shape)


class ScatterAdd(Op):
    """y = x with y_(index_ij) j += src_ij for dim 0, and likewise for any other."""

    vjp = "dx = dy;  dsrc = dy[index]"

    def forward(self, x, index, src, *, dim):
        self.index, self.dim, self.shape = index, dim, src.shape
        y = x.copy()
        combine_at(namespace(x).add, y, positions(index, dim), src[corner(index.shape)])
        return y

    def backward(self, dy):
        return dy, None, in_corner(dy[positions(self.index, self.dim)], self.shape)


class ScatterExtreme(Op):
    """y = x with y_(index_ij) j = max(itself, src_ij) for dim 0 (or min), and likewise for any other.

    dy goes to the elements that equal y, in equal parts.
    """

    vjp = "dx = dy/n ⊙ [x = y];  dsrc = dy[index]/n ⊙ [src = y[index]];  n elements share one y"

    def forward(self, x, index, src, *, dim, largest):
        self.x, self.index, self.src, self.dim = x, index, src, dim
        self.y = x.copy()
        ufunc = namespace(x).maximum if largest else namespace(x).minimum
        combine_at(ufunc, self.y, positions(index, dim), src[corner(index.shape)])
        return self.y

    def backward(self, dy):
        at = positions(self.index, self.dim)
        from_x = (self.x == self.y).astype(dy.dtype)
        from_src = (self.src[corner(self.index.shape)] == self.y[at]).astype(dy.dtype)
        count = from_x.copy()
        combine_at(namespace(dy).add, count, at, from_src)
        part = dy / count
        return part * from_x, None, in_corner(part[at] * from_src, self.src.shape)


class ScatterProd(Op):
    """y = x with y_(index_ij) j *= src_ij for dim 0, and likewise for any other.

    As in `Prod`, a factor's gradient is the product of the other factors of the same y: y over it without
    zeros, and 0 beside a zero.
    """

    vjp = "dx = dy · Π src sent there;  dsrc = dy[index] · Π the other factors"

    def forward(self, x, index, src, *, dim):
        self.x, self.index, self.src, self.dim = x, index, src, dim
        y = x.copy()
        combine_at(namespace(x).multiply, y, positions(index, dim), src[corner(index.shape)])
        return y

    def backward(self, dy):
        xp, at = namespace(dy), positions(self.index, self.dim)
        x_zero, src = self.x == 0, self.src[corner(self.index.shape)]
        src_zero = src == 0
        x, src = xp.where(x_zero, 1, self.x), xp.where(src_zero, 1, src)
        product, zeros = x.copy(), x_zero.astype(int)
        combine_at(xp.multiply, product, at, src)
        combine_at(xp.add, zeros, at, src_zero)
        dx = dy * xp.where(zeros - x_zero > 0, 0, product / x)
        dsrc = dy[at] * xp.where(zeros[at] - src_zero > 0, 0, product[at] / src)
        return dx, None, in_corner(dsrc, self.src.shape)


def corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The index of the leading part of `shape` in a larger array."""
    return tuple(slice(n) for n in shape)


def in_corner(part, shape: tuple[int, ...]):
    """`part` in the leading corner of zeros of `shape`; itself if it fills them."""
    if part.shape == shape:
        return part
    whole = namespace(part).zeros(shape, part.dtype)
    whole[corner(part.shape)] = part
    return whole


# ---------------------------------------------------------------------- along a dim


def _lifted(*tensors) -> list[Tensor]:
    """0-dim Tensors as 1-dim ones, which is how PyTorch looks at them here; copies, which x.scatter_() may outlive."""
    return [x if x.ndim else reshape(x.clone(), 1) for x in tensors]


def _as_deep_as(original: Tensor, y: Tensor) -> Tensor:
    """y without the dim that `_lifted` gave to a 0-dim original."""
    return y if original.ndim else reshape(y, ())


def _along(name: str, input: Tensor, dim: int, index: Tensor, src: Tensor | None = None):
    """Check a gather or scatter, and return its Tensors with at least 1 dim, and dim counted from the front."""
    require_integer(name, "index", index)
    dim = normalize_dim(name, dim, input.ndim)
    x, i = _lifted(input, index)
    if index.numel() == 0:  # nothing to pick or place, wherever
        return x, reshape(i, (0,) * x.ndim), src if src is None else _lifted(src)[0], dim
    if x.ndim != i.ndim or any(i.shape[d] > x.shape[d] for d in range(x.ndim) if d != dim):
        raise RuntimeError(
            f"{name}: an index of shape {shape_text(index.shape)} does not fit input of shape "
            f"{shape_text(input.shape)}: it needs as many dims, and but for dim {dim} no longer ones"
        )
    check_range(i.array, dim, x.shape[dim])
    if src is not None:
        (src,) = _lifted(src)
        if src.ndim != i.ndim or any(m > n for m, n in zip(i.shape, src.shape, strict=True)):
            raise RuntimeError(
                f"{name}: src has shape {shape_text(src.shape)}, it must be as long as the index, "
                f"{shape_text(index.shape)}, along every dim"
            )
        if src.dtype != input.dtype:
            raise RuntimeError(f"{name}: src must be {input.dtype} as input is, got {src.dtype}: convert it with .to()")
    return x, i, src, dim


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The elements of input at the positions `index` along `dim`; the result has the shape of index.

    y[i, j] = x[index[i, j], j] for dim 0, y[i, j] = x[i, index[i, j]] for dim 1. (`sparse_grad` is accepted and
    without effect: gradients are dense.)
    """
    x, i, _, d = _along("gather", input, dim, index)
    if index.numel() == 0:
        return reshape(Index.apply(reshape(x, -1), index=(namespace(x.array).zeros(0, np.int64),)), index.shape)
    return _as_deep_as(index, Gather.apply(x, i, dim=d))


def scatter(input: Tensor, dim: int, index: Tensor, src=None, *, value=None, reduce: str | None = None) -> Tensor:
    """A copy of input with the elements of src (a Tensor or one number) at the positions `index` along `dim`.

    y[index[i, j], j] = src[i, j] for dim 0. With reduce="add" src is added there, as in `scatter_add`.
    """
    src = value if src is None else src
    if not isinstance(src, Tensor):
        number = as_array(src, input.dtype, input.device)
        src = expand(wrap(number), index.shape)
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if reduce is not None:
        raise RuntimeError(f"scatter: reduce is None or 'add', got {reduce!r}: see scatter_reduce()")
    x, i, src, d = _along("scatter", input, dim, index, src)
    return _as_deep_as(input, Scatter.apply(x, i, src, dim=d))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of input with the elements of src added at the positions `index` along `dim`.

    y[index[i, j], j] += src[i, j] for dim 0.
    """
    x, i, src, d = _along("scatter_add", input, dim, index, src)
    return _as_deep_as(input, ScatterAdd.apply(x, i, src, dim=d))


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of input in which all elements of src that `index` sends to one position along `dim` become one.

    `reduce` is "sum", "prod", "mean", "amax" or "amin". The element of input that was there counts too, unless
    include_self is False; where nothing is sent it stays.
    """
    neutral = {"sum": 0, "prod": 1, "mean": 0, "amax": -math.inf, "amin": math.inf}
    if reduce not in neutral:
        raise RuntimeError(f"scatter_reduce: reduce is one of {', '.join(neutral)}, got {reduce!r}")
    x, i, src, d = _along("scatter_reduce", input, dim, index, src)
    if not include_self:
        start = neutral[reduce]
        if not dtypes.is_floating(x.dtype) and math.isinf(start):
            limits = np.iinfo(x.dtype) if x.dtype.kind != "b" else None
            start = (limits.min if start < 0 else limits.max) if limits else start > 0
        x = scatter(x, d, i, value=start)
    if reduce in ("amax", "amin"):
        y = ScatterExtreme.apply(x, i, src, dim=d, largest=reduce == "amax")
    else:
        y = (ScatterProd if reduce == "prod" else ScatterAdd).apply(x, i, src, dim=d)
    if reduce == "mean":
        xp = namespace(x.array)
        count = xp.full(x.shape, 1 if include_self else 0, np.int64)
        combine_at(xp.add, count, positions(i.array, d), 1)
        count = wrap(xp.maximum(count, 1))
        y = y / count if dtypes.is_floating(y.dtype) else wrap(y.array // count.array)
    return _as_deep_as(input, y)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` that broadcasts input and indices; without dim it picks from the flattened input."""
    require_integer("take_along_dim", "indices", indices)
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1))
    dim = normalize_dim("take_along_dim", dim, input.ndim)
    if input.ndim != indices.ndim:
        raise RuntimeError(f"take_along_dim: input has {input.ndim} dims and indices {indices.ndim}: they must agree")

    def without(shape):  # both broadcast in all dims but `dim`
        return (*shape[:dim], 1, *shape[dim + 1 :])

    shape = broadcast_shape("take_along_dim", without(input.shape), without(indices.shape))
    shape_x = (*shape[:dim], input.shape[dim], *shape[dim + 1 :])
    shape_i = (*shape[:dim], indices.shape[dim], *shape[dim + 1 :])
    return gather(expand(input, shape_x), dim, expand(indices, shape_i))


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of input at the positions `index`, counted in row-major order; the result has index's shape."""
    require_integer("take", "index", index)
    check_range(index.array, 0, input.numel())
    return Index.apply(reshape(input, -1), index=(index.array.copy(),))  # backward needs the index as it is now
