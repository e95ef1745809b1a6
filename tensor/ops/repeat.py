"""The elements of a Tensor several times or in another order, as copies: repeat, tile, flip, roll, rot90."""

from __future__ import annotations

import itertools

from tensor.checks import normalize_dim, normalize_dims, shape_args, shape_text
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.index import EVERYTHING, Index
from tensor.ops.shape import clone, expand, reshape, transpose, unsqueeze
from tensor.tensor import Tensor, wrap

__all__ = ["flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile"]


class Flip(Op):
    """y = x read backwards along `dims`;  dx = dy read backwards."""

    vjp = "dx = flip(dy)"

    def forward(self, x, *, dims):
        self.dims = dims
        return namespace(x).flip(x, dims).copy()

    def backward(self, dy):
        return namespace(dy).flip(dy, self.dims)


class Roll(Op):
    """y = x shifted along `dims`, what falls off at the end coming back in front;  dx = dy shifted back."""

    vjp = "dx = roll(dy, −shifts)"

    def forward(self, x, *, shifts, dims):
        self.shifts, self.dims = shifts, dims
        return namespace(x).roll(x, shifts, dims)

    def backward(self, dy):
        return namespace(dy).roll(dy, tuple(-s for s in self.shifts), self.dims)


def repeat(input: Tensor, repeats, *more) -> Tensor:
    """input repeated `repeats[d]` times along each dim d, new dims in front: (2, 3) repeated (4, 1, 2) is (4, 2, 6)."""
    repeats = shape_args((repeats, *more))
    extra = len(repeats) - input.ndim
    if extra < 0 or any(n < 0 for n in repeats):
        raise RuntimeError(
            f"repeat: {shape_text(repeats)} does not fit a Tensor of shape {shape_text(input.shape)}: "
            f"give a number ≥ 0 for each dim, and for new ones in front"
        )
    shape = (1,) * extra + tuple(input.shape)
    x = reshape(input, tuple(itertools.chain.from_iterable((1, n) for n in shape)))  # (1, n0, 1, n1, ...)
    x = expand(x, tuple(itertools.chain.from_iterable(zip(repeats, shape, strict=True))))  # (r0, n0, r1, n1, ...)
    return reshape(clone(x), tuple(r * n for r, n in zip(repeats, shape, strict=True)))


def tile(input: Tensor, dims, *more) -> Tensor:
    """`repeat` for which missing leading numbers are 1, as in NumPy: a (2, 3) tiled (2,) is (2, 6)."""
    dims = shape_args((dims, *more))
    return repeat(input, (1,) * (input.ndim - len(dims)) + dims)


def repeat_interleave(input: Tensor, repeats=None, dim: int | None = None, *, output_size=None) -> Tensor:
    """Each element of input along `dim` (of the flattened input if None) repeated in place: [a, b] → [a, a, b, b].

    `repeats` is one number, or a Tensor with one for each element. With a Tensor of counts alone,
    `repeat_interleave(counts)` gives position i counts[i] times. `output_size` is accepted and not needed.
    """
    if repeats is None:
        xp = namespace(input.array)
        return wrap(xp.repeat(xp.arange(input.numel()), input.tolist()))
    if dim is None:
        input, dim = reshape(input, -1), 0
    x = input if input.ndim else reshape(input, 1)
    dim = normalize_dim("repeat_interleave", dim, x.ndim)
    length = x.shape[dim]
    counts = repeats.reshape(-1).tolist() if isinstance(repeats, Tensor) else repeats
    if isinstance(counts, list) and len(counts) == 1:
        counts = counts[0]
    if isinstance(counts, int):
        if counts < 0:
            raise RuntimeError(f"repeat_interleave: repeats must be ≥ 0, got {counts}")
        wide = expand(unsqueeze(x, dim + 1), (*x.shape[: dim + 1], counts, *x.shape[dim + 1 :]))
        return reshape(clone(wide), (*x.shape[:dim], length * counts, *x.shape[dim + 1 :]))
    if len(counts) != length or any(n < 0 for n in counts):
        raise RuntimeError(
            f"repeat_interleave: got {len(counts)} repeats for dim {dim} of length {length}: "
            f"give one number ≥ 0 for each position, or one for all"
        )
    xp = namespace(x.array)
    return Index.apply(x, index=(*[EVERYTHING] * dim, xp.repeat(xp.arange(length), counts)))


def flip(input: Tensor, dims, *more) -> Tensor:
    """input read backwards along `dims`; a copy."""
    dims = normalize_dims("flip", shape_args((dims, *more)), input.ndim)
    return Flip.apply(input, dims=dims if input.ndim else ())


def fliplr(input: Tensor) -> Tensor:
    """input with its columns (dim 1) in reverse order; a copy."""
    if input.ndim < 2:
        raise RuntimeError(f"fliplr: expected a Tensor with at least 2 dims, this one has {input.ndim}")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """input with its rows (dim 0) in reverse order; a copy."""
    if input.ndim < 1:
        raise RuntimeError("flipud: expected a Tensor with at least 1 dim, this one has none")
    return flip(input, 0)


def roll(input: Tensor, shifts, dims=None) -> Tensor:
    """input shifted by `shifts` along `dims`, coming back in front; without dims, in row-major order over all."""
    shifts = shape_args((shifts,))
    if dims is None:
        if len(shifts) != 1:
            raise RuntimeError(f"roll: {len(shifts)} shifts need {len(shifts)} dims")
        return reshape(roll(reshape(input, -1), shifts, 0), input.shape)
    dims = tuple(normalize_dim("roll", d, input.ndim) for d in shape_args((dims,)))
    if len(shifts) != len(dims):
        raise RuntimeError(f"roll: {len(shifts)} shift(s) for {len(dims)} dim(s)")
    return Roll.apply(input, shifts=shifts, dims=dims) if input.ndim else input.clone()


def rot90(input: Tensor, k: int = 1, dims=(0, 1)) -> Tensor:
    """input turned by k · 90° from dims[0] towards dims[1]; a copy."""
    if len(dims) != 2 or len(set(normalize_dims("rot90", dims, input.ndim))) != 2:
        raise RuntimeError(f"rot90: a plane has two different dims, got {tuple(dims)}")
    first, second = dims
    match k % 4:
        case 0:
            return input.clone()
        case 1:
            return transpose(flip(input, second), first, second)
        case 2:
            return flip(input, dims)
        case _:
            return transpose(flip(input, first), first, second)
