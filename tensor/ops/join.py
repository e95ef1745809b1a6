"""Several Tensors as one: cat, stack and their relatives; and pad, which puts a border around one."""

from __future__ import annotations

import functools
import itertools

from tensor import dtypes
from tensor.checks import normalize_dim, require_tensor, shape_args, shape_text
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.aliases import numpy_names
from tensor.ops.cast import cast
from tensor.ops.index import EVERYTHING, Index
from tensor.ops.shape import atleast_1d, atleast_2d, atleast_3d, expand, reshape, unsqueeze
from tensor.tensor import Tensor

__all__ = [
    "block_diag",
    "cartesian_prod",
    "cat",
    "column_stack",
    "concat",
    "concatenate",
    "constant_pad_nd",
    "dstack",
    "hstack",
    "row_stack",
    "stack",
    "vstack",
]
NOT_METHODS = __all__


class Cat(Op):
    """y = the inputs one after the other along `dim`;  each gets its part of dy."""

    vjp = "dx_i = the part of dy that came from x_i"

    def forward(self, *xs, dim):
        self.dim = dim
        self.ends = list(itertools.accumulate((x.shape[dim] for x in xs), initial=0))
        return namespace(*xs).concatenate(xs, axis=dim)

    def backward(self, dy):
        before = (EVERYTHING,) * self.dim
        return tuple(dy[(*before, slice(a, b))] for a, b in itertools.pairwise(self.ends))


class ConstantPad(Op):
    """y = x inside a border of `value`, `widths[d]` = (before, after) wide along dim d; negative widths crop.

    dx is dy without the border, and 0 where x was cropped.
    """

    vjp = "dx = dy without the border"

    def forward(self, x, *, widths, value):
        self.shape = x.shape
        # The same elements, counted in x and in y:
        self.inner = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths, strict=True))
        shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
        self.outer = tuple(slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(shape, widths, strict=True))
        y = namespace(x).full(shape, value, x.dtype)
        y[self.outer] = x[self.inner]
        return y

    def backward(self, dy):
        dx = namespace(dy).zeros(self.shape, dy.dtype)
        dx[self.inner] = dy[self.outer]
        return dx


def _listed(name: str, tensors) -> list[Tensor]:
    """The Tensors as a list, brought to one dtype."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{name}: expected a tuple or list of Tensors, got one Tensor")
    tensors = [require_tensor(name, x) for x in tensors]
    if not tensors:
        raise RuntimeError(f"{name}: expected at least one Tensor, got an empty list")
    target = functools.reduce(dtypes.promote_types, [x.dtype for x in tensors])
    return [cast(x, target) for x in tensors]


@numpy_names
def cat(tensors, dim: int = 0) -> Tensor:
    """The Tensors one after the other along `dim`; their other lengths agree. (An empty (0,) Tensor is passed over.)"""
    tensors = _listed("cat", tensors)
    first = next((x for x in tensors if x.shape != (0,)), tensors[0])
    if first.ndim == 0:
        raise RuntimeError("cat: 0-dim Tensors have no dim to be joined along: use stack()")
    dim = normalize_dim("cat", dim, first.ndim)
    nothing = (*first.shape[:dim], 0, *first.shape[dim + 1 :])
    tensors = [reshape(x, nothing) if x.shape == (0,) else x for x in tensors]
    for i, x in enumerate(tensors):
        same = x.ndim == first.ndim and all(d == dim or x.shape[d] == first.shape[d] for d in range(x.ndim))
        if not same:
            raise RuntimeError(
                f"cat: the shapes must agree but for dim {dim}; the first is {shape_text(first.shape)}, "
                f"number {i} is {shape_text(x.shape)}"
            )
    return Cat.apply(*tensors, dim=dim)


@numpy_names
def concat(tensors, dim: int = 0) -> Tensor:
    """`cat` under another name."""
    return cat(tensors, dim)


@numpy_names
def concatenate(tensors, dim: int = 0) -> Tensor:
    """`cat` under NumPy's name."""
    return cat(tensors, dim)


@numpy_names
def stack(tensors, dim: int = 0) -> Tensor:
    """The Tensors, all of one shape, side by side along a new dim at position `dim`."""
    tensors = _listed("stack", tensors)
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise RuntimeError(
                f"stack: all shapes must be equal; the first is {shape_text(tensors[0].shape)}, "
                f"number {i} is {shape_text(x.shape)}"
            )
    dim = normalize_dim("stack", dim, tensors[0].ndim + 1)
    return Cat.apply(*[unsqueeze(x, dim) for x in tensors], dim=dim)


def hstack(tensors) -> Tensor:
    """The Tensors side by side: along dim 1, or dim 0 if they have 1 dim."""
    tensors = atleast_1d(list(tensors))
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors) -> Tensor:
    """The Tensors one below the other, a 1-dim Tensor being a row."""
    return cat(atleast_2d(list(tensors)), 0)


def row_stack(tensors) -> Tensor:
    """`vstack` under another name."""
    return vstack(tensors)


def dstack(tensors) -> Tensor:
    """The Tensors one behind the other, along dim 2."""
    return cat(atleast_3d(list(tensors)), 2)


def column_stack(tensors) -> Tensor:
    """The Tensors side by side, a 0-dim or 1-dim Tensor being a column."""
    return hstack([reshape(x, (-1, 1)) if x.ndim < 2 else x for x in tensors])


def block_diag(*tensors) -> Tensor:
    """The matrices along the diagonal of a larger one that is 0 elsewhere; a 1-dim Tensor is a row."""
    blocks = _listed("block_diag", atleast_2d(list(tensors)))
    width = sum(x.shape[1] for x in blocks)
    rows, left = [], 0
    for i, x in enumerate(blocks):
        if x.ndim > 2:
            raise RuntimeError(f"block_diag: expected at most 2 dims, Tensor {i} has shape {shape_text(x.shape)}")
        rows.append(ConstantPad.apply(x, widths=[(0, 0), (left, width - left - x.shape[1])], value=0))
        left += x.shape[1]
    return Cat.apply(*rows, dim=0)


def cartesian_prod(*tensors) -> Tensor:
    """Every choice of one element from each of the 1-dim Tensors, one choice a row, the last varying fastest."""
    for i, x in enumerate(tensors):
        if x.ndim != 1:
            raise RuntimeError(f"cartesian_prod: expected 1-dim Tensors, number {i} has shape {shape_text(x.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    shape = tuple(x.numel() for x in tensors)
    last = len(tensors) - 1
    columns = [expand(reshape(x, (-1,) + (1,) * (last - i)), shape) for i, x in enumerate(tensors)]
    return stack([reshape(x, -1) for x in columns], dim=1)


# ---------------------------------------------------------------------- borders (nn.functional.pad)


def pad(input: Tensor, pad, mode: str = "constant", value: float | None = None) -> Tensor:
    """input with a border. `pad` lists (before, after) for the last dim, then the last but one, and so on.

    `mode` is what the border holds: "constant" `value` (0), or elements of input: "reflect" (mirrored at the edge
    element), "replicate" (the edge element again) or "circular" (from the other end). Negative widths crop.
    """
    widths = _widths(input, pad)
    if mode == "constant":
        return ConstantPad.apply(input, widths=widths, value=0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(f"pad: there is no mode {mode!r}: use 'constant', 'reflect', 'replicate' or 'circular'")
    if value is not None:
        raise ValueError(f"pad: mode {mode!r} takes no value")
    for d, (before, after) in enumerate(widths):
        if before or after:
            input = _pad_with_own(input, d, before, after, mode)
    return input


def constant_pad_nd(input: Tensor, pad, value: float = 0) -> Tensor:
    """`pad` with mode "constant"."""
    return ConstantPad.apply(input, widths=_widths(input, pad), value=value)


def _widths(input: Tensor, pad) -> list[tuple[int, int]]:
    """(before, after) for each dim of input, from PyTorch's flat list, which begins with the last dim."""
    pad = shape_args((pad,))
    if len(pad) % 2 or len(pad) // 2 > input.ndim:
        raise RuntimeError(f"pad: {pad} must hold (before, after) for at most {input.ndim} dim(s), the last dim first")
    widths = [(0, 0)] * (input.ndim - len(pad) // 2) + [*zip(pad[-2::-2], pad[::-2], strict=True)]
    for d, (before, after) in enumerate(widths):
        if input.shape[d] + before + after < 0:
            raise RuntimeError(f"pad: {before} and {after} crop more than dim {d} of length {input.shape[d]} has")
    return widths


def _pad_with_own(x: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    """x with a border along one dim, made of its own elements: each position of the result names one of x."""
    length = x.shape[dim]
    longest = {"reflect": length - 1, "circular": length, "replicate": max(before, after) if length else 0}[mode]
    if max(before, after) > longest:
        raise RuntimeError(
            f"pad: a {mode} border along dim {dim} of length {length} can be at most {longest} wide, "
            f"got {max(before, after)}"
        )
    xp = namespace(x.array)
    position = xp.arange(-before, length + after)
    if mode == "reflect":
        position = (length - 1) - abs((length - 1) - abs(position))
    elif mode == "replicate":
        position = position.clip(0, length - 1)
    else:  # a cropped Tensor goes round without what is cropped
        first, last = max(-before, 0), length - max(-after, 0)
        position = first + (position - first) % (last - first)
    return Index.apply(x, index=(*[EVERYTHING] * dim, position))
