"""The same elements in another shape or order. Wherever NumPy can, the result is a view: it shares memory with x,
and a write to one is seen by the other.
"""

from __future__ import annotations

from tensor.checks import normalize_dim, normalize_dims, shape_args, shape_text
from tensor.devices import namespace
from tensor.inplace import Clone
from tensor.op import Op
from tensor.tensor import Tensor

__all__ = ["reshape", "permute", "transpose", "squeeze", "unsqueeze", "clone"]


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
        inverse = sorted(range(len(self.dims)), key=self.dims.__getitem__)
        return dy.transpose(inverse)


class Expand(Op):
    """y = x repeated along dimensions of length 1, without a copy;  the base class sums dy back."""

    vjp = "dx = Σ dy over the expanded dims"

    def forward(self, x, *, shape):
        return namespace(x).broadcast_to(x, shape)

    def backward(self, dy):
        return dy


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
    return tuple(count // known if n == -1 else n for n in shape)


def reshape(input: Tensor, *shape) -> Tensor:
    """The elements of input in row-major order, in another shape; one length may be -1. A view where possible."""
    return Reshape.apply(input, shape=infer_shape("reshape", input.numel(), shape_args(shape)))


def permute(input: Tensor, *dims) -> Tensor:
    """input with its dimensions in the order `dims`; a view."""
    order = normalize_dims("permute", shape_args(dims), input.ndim)
    if len(order) != input.ndim:
        raise RuntimeError(f"permute: got {len(order)} dims for a Tensor with {input.ndim}: name each once")
    return Permute.apply(input, dims=order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """input with two dimensions swapped; a view."""
    a, b = normalize_dim("transpose", dim0, input.ndim), normalize_dim("transpose", dim1, input.ndim)
    dims = list(range(input.ndim))
    if dims:
        dims[a], dims[b] = dims[b], dims[a]
    return Permute.apply(input, dims=tuple(dims))


def squeeze(input: Tensor, dim=None) -> Tensor:
    """input without its dimensions of length 1: all of them, or those named by `dim` where their length is 1."""
    dims = normalize_dims("squeeze", dim, input.ndim) if input.ndim else ()
    shape = tuple(n for d, n in enumerate(input.shape) if n != 1 or d not in dims)
    return Reshape.apply(input, shape=shape)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """input with a new dimension of length 1 at position `dim`; a view."""
    dim = normalize_dim("unsqueeze", dim, input.ndim + 1)
    return Reshape.apply(input, shape=(*input.shape[:dim], 1, *input.shape[dim:]))


def clone(input: Tensor) -> Tensor:
    """A copy of input in memory of its own, inside the graph."""
    return Clone.apply(input)
