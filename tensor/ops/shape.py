"""The same elements in another shape or order. Most results are views: they share memory with x, and a
write to one is seen by the other. Where PyTorch copies (flip, roll, repeat), so do we.
"""

from __future__ import annotations

import math

from tensor.checks import broadcast_shape as common_shape
from tensor.checks import normalize_dim, normalize_dims, shape_args, shape_text
from tensor.devices import namespace
from tensor.inplace import Clone
from tensor.op import Op
from tensor.tensor import Tensor

__all__ = [
    "adjoint",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "clone",
    "contiguous",
    "expand",
    "expand_as",
    "flatten",
    "moveaxis",
    "movedim",
    "permute",
    "ravel",
    "reshape",
    "reshape_as",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unfold",
    "unsqueeze",
    "view",
    "view_as",
]
NOT_METHODS = ["atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors"]


class Reshape(Op):
    """y = x read in row-major order into another shape;  dx = dy in x's shape."""

    vjp = "dx = reshape(dy, shape of x)"

    def forward(self, x, *, shape):
        self.shape = x.shape
        return x.reshape(shape)

    def backward(self, dy):
        return dy.reshape(self.shape)


class Permute(Op):
    """y = x with its dimensions in the order `dims`;  dx = dy in the inverse order."""

    vjp = "dx = permute(dy, inverse of dims)"

    def forward(self, x, *, dims):
        self.dims = dims
        return x.transpose(dims)

    def backward(self, dy):
        return dy.transpose([self.dims.index(d) for d in range(dy.ndim)])


class Expand(Op):
    """y = x repeated along dimensions of length 1, without a copy;  the base class sums dy back."""

    vjp = "dx = Σ dy over the expanded dims"

    def forward(self, x, *, shape):
        x = x.reshape((1,) * (len(shape) - x.ndim) + x.shape)
        return x if x.shape == shape else namespace(x).broadcast_to(x, shape)

    def backward(self, dy):
        return dy


class Unfold(Op):
    """y = the windows x[..., i : i + size, ...] for i = 0, step, 2 step, … along `dim`; the window is y's last dim.

    Windows overlap, so an element of x collects dy from each window it is in.
    """

    vjp = "dx_i = Σ dy over the windows with x_i"

    def forward(self, x, *, dim, size, step):
        self.shape, self.dim, self.step = x.shape, dim, step
        windows = namespace(x).lib.stride_tricks.sliding_window_view(x, size, axis=dim)
        return windows[(slice(None),) * dim + (slice(None, None, step),)].copy()

    def backward(self, dy):
        dx = namespace(dy).zeros(self.shape, dy.dtype)
        before = (slice(None),) * self.dim
        for offset in range(dy.shape[-1]):  # the elements at one offset of all windows are distinct
            stop = offset + self.step * (dy.shape[self.dim] - 1) + 1
            dx[(*before, slice(offset, stop, self.step))] += dy[..., offset]
        return dx


def infer_shape(name: str, count: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with a -1 filled in so that it holds `count` elements; RuntimeError if it cannot."""
    known = 1
    for n in shape:
        if n < -1:
            raise RuntimeError(f"{name}: a length must be ≥ 0, or -1 for 'whatever is left', got {shape_text(shape)}")
        known *= n if n != -1 else 1
    blanks = shape.count(-1)
    if blanks > 1:
        raise RuntimeError(f"{name}: only one length can be -1, got {shape_text(shape)}")
    if (blanks and (known == 0 or count % known)) or (not blanks and known != count):
        raise RuntimeError(f"{name}: {count} element(s) do not fit shape {shape_text(shape)}")
    return tuple([count // known if n == -1 else n for n in shape]) if blanks else shape


# ---------------------------------------------------------------------- another shape


def reshape(input: Tensor, shape, *more) -> Tensor:
    """The elements of input in row-major order, in another shape; one length may be -1. A view where possible."""
    return Reshape.apply(input, shape=infer_shape("reshape", input.numel(), shape_args((shape, *more))))


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """input in the shape of `other`; a view where possible."""
    return reshape(input, other.shape)


def view(input: Tensor, shape, *more) -> Tensor:
    """`reshape` that never copies: RuntimeError where the elements do not lie in memory in the order that takes."""
    y = Reshape.apply(input, shape=infer_shape("view", input.numel(), shape_args((shape, *more))))
    if y.array.size and y._counter is not input._counter:  # else they share memory
        raise RuntimeError(
            f"view: a Tensor of shape {shape_text(input.shape)} with strides {input.stride()} cannot be seen as "
            f"{shape_text(y.shape)} without a copy: use reshape(), or contiguous() first"
        )
    return y


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of `other`."""
    return view(input, other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """input with the dims `start_dim` to `end_dim` (included) merged into one; a view where possible."""
    first = normalize_dim("flatten", start_dim, input.ndim)
    last = normalize_dim("flatten", end_dim, input.ndim)
    if first > last:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    merged = math.prod(input.shape[first : last + 1])
    return reshape(input, (*input.shape[:first], merged, *input.shape[last + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """input as one dimension; a view where possible."""
    return flatten(input)


def unflatten(input: Tensor, dim: int, sizes) -> Tensor:
    """input with `dim` split into dims of the lengths `sizes`, of which one may be -1; a view."""
    dim = normalize_dim("unflatten", dim, input.ndim)
    sizes = infer_shape("unflatten", input.shape[dim], shape_args((sizes,)))
    return view(input, (*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))


def squeeze(input: Tensor, dim=None) -> Tensor:
    """input without its dims of length 1: all of them, or those named by `dim` where their length is 1; a view."""
    dims = normalize_dims("squeeze", dim, input.ndim)
    return Reshape.apply(input, shape=tuple(n for d, n in enumerate(input.shape) if n != 1 or d not in dims))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """input with a new dim of length 1 at position `dim`; a view."""
    dim = normalize_dim("unsqueeze", dim, input.ndim + 1)
    return Reshape.apply(input, shape=(*input.shape[:dim], 1, *input.shape[dim:]))


def _at_least(tensors, dims: int, grow):
    """`grow` each of the Tensors that has fewer than `dims` dims; a tuple of them if several were given."""
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        return _several(tensors[0], dims, grow)
    return _several(tensors, dims, grow) if len(tensors) != 1 else _several(tensors, dims, grow)[0]


def _several(tensors, dims: int, grow) -> tuple[Tensor, ...]:
    return tuple(grow(x) if x.ndim < dims else x for x in tensors)


def atleast_1d(*tensors):
    """Each Tensor with at least 1 dim; takes and returns one, or several (as a tuple)."""
    return _at_least(tensors, 1, lambda x: reshape(x, 1))


def atleast_2d(*tensors):
    """Each Tensor with at least 2 dims, new ones in front: (n) becomes (1, n)."""
    return _at_least(tensors, 2, lambda x: reshape(x, (1, -1)) if x.numel() else reshape(x, (1, 0)))


def atleast_3d(*tensors):
    """Each Tensor with at least 3 dims: (n) becomes (1, n, 1), and (m, n) becomes (m, n, 1)."""
    return _at_least(tensors, 3, lambda x: unsqueeze(x if x.ndim == 2 else atleast_2d(x), -1))


# ---------------------------------------------------------------------- another order of dims


def permute(input: Tensor, dims, *more) -> Tensor:
    """input with its dims in the order `dims`; a view."""
    order = normalize_dims("permute", shape_args((dims, *more)), input.ndim)
    if len(order) != input.ndim:
        raise RuntimeError(f"permute: got {len(order)} dims for a Tensor with {input.ndim}: name each once")
    return Permute.apply(input, dims=order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """input with two dims swapped; a view."""
    ndim = input.ndim
    a, b = normalize_dim("transpose", dim0, ndim), normalize_dim("transpose", dim1, ndim)
    dims = list(range(ndim))
    if dims:
        dims[a], dims[b] = dims[b], dims[a]
    return Permute.apply(input, dims=tuple(dims))


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose` under another name."""
    return transpose(input, dim0, dim1)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a Tensor with fewer than 2 dims as it is; a view."""
    if input.ndim > 2:
        raise RuntimeError(f"t: expected at most 2 dims, got {input.ndim}: use .mT, or transpose(dim0, dim1)")
    return Permute.apply(input, dims=tuple(reversed(range(input.ndim))))


def adjoint(input: Tensor) -> Tensor:
    """input with its last two dims swapped (of a real Tensor the conjugate transpose); a view."""
    return matrix_transpose(input)


def matrix_transpose(input: Tensor) -> Tensor:
    """`x.mT`: a stack of matrices (..., m, n) with each transposed: (..., n, m); a view."""
    if input.ndim < 2:
        raise RuntimeError(f"mT: matrices have at least 2 dims, this Tensor has shape {shape_text(input.shape)}")
    return transpose(input, -2, -1)


def reverse_dims(input: Tensor) -> Tensor:
    """`x.T`: input with its dims in reverse order; a view."""
    return Permute.apply(input, dims=tuple(reversed(range(input.ndim))))


def movedim(input: Tensor, source, destination) -> Tensor:
    """input with the dims `source` moved to the positions `destination`, the others in their order; a view."""
    start = normalize_dims("movedim", source, input.ndim)
    end = normalize_dims("movedim", destination, input.ndim)
    if len(start) != len(end):
        raise RuntimeError(f"movedim: {len(start)} source dim(s) for {len(end)} destination(s)")
    if input.ndim == 0:
        return Permute.apply(input, dims=())
    goes = dict(zip(end, start, strict=True))
    rest = (d for d in range(input.ndim) if d not in start)
    return Permute.apply(input, dims=tuple(goes[d] if d in goes else next(rest) for d in range(input.ndim)))


def moveaxis(input: Tensor, source, destination) -> Tensor:
    """`movedim` under NumPy's name."""
    return movedim(input, source, destination)


# ---------------------------------------------------------------------- repeated without a copy


def expand(input: Tensor, size, *more) -> Tensor:
    """input with its dims of length 1 repeated to `size` (-1 keeps a length), new dims in front; a view."""
    size = shape_args((size, *more))
    extra = len(size) - input.ndim
    if extra < 0:
        raise RuntimeError(f"expand: {shape_text(size)} has fewer dims than the Tensor, {shape_text(input.shape)}")
    old = (None,) * extra + tuple(input.shape)
    shape = tuple(m if n == -1 else n for m, n in zip(old, size, strict=True))
    for d, (m, n) in enumerate(zip(old, shape, strict=True)):
        if n is None or n < 0 or (m not in (None, 1) and m != n):
            raise RuntimeError(
                f"expand: {shape_text(input.shape)} does not expand to {shape_text(size)}: at dim {d} only a "
                f"length of 1 can be repeated, and a new dim needs its length"
            )
    return Expand.apply(input, shape=shape)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """input expanded to the shape of `other`; a view."""
    return expand(input, other.shape)


def broadcast_to(input: Tensor, size) -> Tensor:
    """`expand` under NumPy's name."""
    return expand(input, size)


def broadcast_shapes(*shapes) -> tuple[int, ...]:
    """The shape that Tensors of `shapes` take together under broadcasting."""
    return common_shape("broadcast_shapes", *[(s,) if isinstance(s, int) else tuple(s) for s in shapes])


def broadcast_tensors(*tensors) -> tuple[Tensor, ...]:
    """The Tensors, each expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    shape = common_shape("broadcast_tensors", *[x.shape for x in tensors])
    return tuple(expand(x, shape) for x in tensors)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The windows of `size` elements along `dimension`, each `step` after the last, as a new last dim.

    A copy, where PyTorch gives a view: overlapping windows cannot be told apart when one is written to.
    """
    dim = normalize_dim("unfold", dimension, input.ndim)
    x = input if input.ndim else reshape(input, 1)
    if step < 1 or not 0 <= size <= x.shape[dim]:
        raise RuntimeError(
            f"unfold: size {size} and step {step} do not fit length {x.shape[dim]}: "
            f"size is at most the length, step at least 1"
        )
    windows = Unfold.apply(x, dim=dim, size=size, step=step)
    return windows if input.ndim else reshape(windows[:1], size)


# ---------------------------------------------------------------------- in memory


def clone(input: Tensor) -> Tensor:
    """A copy of input in memory of its own, inside the graph."""
    return Clone.apply(input)


def contiguous(input: Tensor) -> Tensor:
    """input itself if its elements lie in memory in row-major order, else a copy that does."""
    return input if input.is_contiguous() else Clone.apply(input)
