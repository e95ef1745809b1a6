"""Products of vectors, matrices and stacks of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensor.checks import broadcast_shape, normalize_dim, normalize_dims, require_tensor, shape_text
from tensor.kernels.float16 import product
from tensor.op import Op
from tensor.ops.arithmetic import add, mul
from tensor.ops.autocast import in_low_precision
from tensor.ops.cast import number
from tensor.ops.diagonal import diagonal
from tensor.ops.reduce import norm, sum
from tensor.ops.repeat import roll
from tensor.ops.rounding import nan_to_num
from tensor.ops.shape import permute, reshape, unsqueeze
from tensor.tensor import Tensor

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "cdist",
    "cross",
    "dot",
    "ger",
    "inner",
    "kron",
    "matmul",
    "mm",
    "mv",
    "outer",
    "tensordot",
    "trace",
    "vdot",
]
NOT_METHODS = ["cdist", "tensordot"]
IN_PLACE = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]


class Matmul(Op):
    """Y = A B for A (..., m, k) and B (..., k, n).

    Y_ij = Σ_k A_ik B_kj, so ∂L/∂A_ik = Σ_j dY_ij B_kj: dA = dY Bᵀ, and in the same way dB = Aᵀ dY.
    Leading dimensions broadcast; the base class sums the gradient back. If B is one matrix for all, the
    rows of A are laid under each other, and all is one product.
    """

    vjp = "dA = dY Bᵀ;  dB = Aᵀ dY"

    def forward(self, a, b):
        self.lead = a.shape[:-1] if b.ndim == 2 < a.ndim else None  # the dims that are laid under each other
        if self.lead is not None:
            a = a.reshape(math.prod(self.lead), a.shape[-1])
        self.a = a if self.needs[1] else None
        self.b = b if self.needs[0] else None
        y = product(a, b)  # (..., m, n)
        return y if self.lead is None else y.reshape(*self.lead, y.shape[-1])

    def backward(self, dy):
        if self.lead is not None:
            dy = dy.reshape(math.prod(self.lead), dy.shape[-1])
        da = db = None
        if self.needs[0]:
            da = product(dy, self.b.swapaxes(-1, -2))  # (..., m, k)
            da = da if self.lead is None else da.reshape(*self.lead, da.shape[-1])
        if self.needs[1]:
            db = product(self.a.swapaxes(-1, -2), dy)  # (..., k, n)
        return da, db


def _require_dims(name: str, *tensors_dims) -> None:
    """Each (Tensor, number of dims) fits; RuntimeError naming the shapes."""
    operands = [require_tensor(name, x) for x, _ in tensors_dims]
    if any(x.ndim != n for x, n in tensors_dims):
        expected = " and ".join(f"{n}-dim" for _, n in tensors_dims)
        got = " and ".join(shape_text(x.shape) for x in operands)
        raise RuntimeError(f"{name}: expected {expected} Tensors, got shapes {got}; matmul takes any dims")


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product over the last two dimensions; the leading ones broadcast.

    (..., m, k) @ (..., k, n) -> (..., m, n). A 1-dim operand is a row on the left, a column on the right, and
    that dimension is dropped from the result: (k) @ (k) -> (), (m, k) @ (k) -> (m).
    """
    return _product("matmul", input, other)


def _product(name: str, a: Tensor, b: Tensor) -> Tensor:
    """The matrix product, with `name` in its errors."""
    require_tensor(name, a), require_tensor(name, b)
    a, b = in_low_precision(a, b)
    if a.ndim == 0 or b.ndim == 0:
        shapes = f"{shape_text(a.shape)} and {shape_text(b.shape)}"
        raise RuntimeError(f"{name}: both operands need at least 1 dim, got {shapes}; use * for a scalar")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise RuntimeError(
            f"{name}: shapes {shape_text(a.shape)} and {shape_text(b.shape)} do not fit: the last dim of the first "
            f"({a.shape[-1]}) must equal the {'second-last' if b.ndim > 1 else 'only'} dim of the second ({inner})"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(f"{name}: both operands need one dtype, got {a.dtype} and {b.dtype}: convert one with .to()")
    row, column = a.ndim == 1, b.ndim == 1
    a = reshape(a, (1, inner)) if row else a
    b = reshape(b, (inner, 1)) if column else b
    if a.ndim > 2 and b.ndim > 2:
        broadcast_shape(f"{name} (batch dims)", a.shape[:-2], b.shape[:-2])
    y = Matmul.apply(a, b)  # (..., m, n)
    if row or column:  # drop the dims of length 1 again
        y = reshape(y, y.shape[:-2] + (() if row else y.shape[-2:-1]) + (() if column else y.shape[-1:]))
    return y


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices: (m, k), (k, n) -> (m, n)."""
    _require_dims("mm", (input, 2), (mat2, 2))
    return _product("mm", input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two stacks of matrices, one by one: (b, m, k), (b, k, n) -> (b, m, n)."""
    _require_dims("bmm", (input, 3), (mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            f"bmm: shapes {shape_text(input.shape)} and {shape_text(mat2.shape)} do not fit: the first dim "
            f"({input.shape[0]} and {mat2.shape[0]}) must be equal; matmul would broadcast it"
        )
    return _product("bmm", input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector: (m, k), (k) -> (m)."""
    _require_dims("mv", (input, 2), (vec, 1))
    return _product("mv", input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Σ input · tensor of two vectors: (k), (k) -> ()."""
    _require_dims("dot", (input, 1), (tensor, 1))
    return _product("dot", input, tensor)


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """`dot`: for real Tensors, the only ones here, they are the same."""
    return dot(input, other)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of the elements of two vectors: (m), (n) -> (m, n)."""
    _require_dims("outer", (input, 1), (vec2, 1))
    return mul(unsqueeze(input, 1), vec2)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Σ over the last dims of both: (..., k), (..., k) -> (..., ...). With a scalar, the plain product."""
    if input.ndim == 0 or other.ndim == 0:
        return mul(input, other)
    return _contract("inner", input, other, [input.ndim - 1], [other.ndim - 1])


def tensordot(a: Tensor, b: Tensor, dims=2) -> Tensor:
    """Σ of products over the last `dims` dims of a and the first of b, or over dims = (dims of a, dims of b)."""
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot: dims={dims} does not fit Tensors with {a.ndim} and {b.ndim} dims")
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    dims_a, dims_b = (normalize_dims("tensordot", d, x.ndim) for d, x in zip(dims, (a, b), strict=True))
    return _contract("tensordot", a, b, dims_a, dims_b)


def _contract(name: str, a: Tensor, b: Tensor, dims_a: Sequence[int], dims_b: Sequence[int]) -> Tensor:
    """Σ over pairs of dims, as one matrix product: the other dims of a, then those of b, are left.

    A dim of length 1 broadcasts: its partner is summed first.
    """
    for d, e in zip(dims_a, dims_b, strict=True):
        if a.shape[d] == 1 != b.shape[e]:
            b = sum(b, e, keepdim=True, dtype=b.dtype)
        elif b.shape[e] == 1 != a.shape[d]:
            a = sum(a, d, keepdim=True, dtype=a.dtype)
    lengths_a, lengths_b = [a.shape[d] for d in dims_a], [b.shape[d] for d in dims_b]
    if lengths_a != lengths_b:
        raise RuntimeError(
            f"{name}: shapes {shape_text(a.shape)} and {shape_text(b.shape)} do not fit: dims {tuple(dims_a)} of the "
            f"first have lengths {tuple(lengths_a)}, dims {tuple(dims_b)} of the second {tuple(lengths_b)}"
        )
    rows = [d for d in range(a.ndim) if d not in dims_a]
    columns = [d for d in range(b.ndim) if d not in dims_b]
    shape = [a.shape[d] for d in rows] + [b.shape[d] for d in columns]
    k = math.prod(lengths_a)
    left = reshape(permute(a, (*rows, *dims_a)), (math.prod(a.shape[d] for d in rows), k))
    right = reshape(permute(b, (*dims_b, *columns)), (k, math.prod(b.shape[d] for d in columns)))
    return reshape(_product(name, left, right), shape)


def _plus(name: str, input: Tensor, product: Tensor, beta, alpha) -> Tensor:
    """beta · input + alpha · product; with beta = 0 not even a NaN of input counts."""
    broadcast_shape(name, input.shape, product.shape)
    beta, alpha = number(beta, input.dtype), number(alpha, input.dtype)
    product = mul(product, alpha) if alpha != 1 else product
    if beta == 0:
        return add(product, mul(nan_to_num(input), 0))
    return add(product, mul(input, beta) if beta != 1 else input)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta · input + alpha · (mat1 @ mat2); input is broadcast to (m, n)."""
    return _plus("addmm", input, mm(mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta · input + alpha · (mat @ vec); input is broadcast to (m)."""
    return _plus("addmv", input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta · input + alpha · outer(vec1, vec2); input is broadcast to (m, n)."""
    return _plus("addr", input, outer(vec1, vec2), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta · input + alpha · (batch1 @ batch2), one by one; input is broadcast to (b, m, n)."""
    return _plus("baddbmm", input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta=1, alpha=1) -> Tensor:
    """beta · input + alpha · Σ_b (batch1 @ batch2); input is broadcast to (m, n)."""
    return _plus("addbmm", input, sum(bmm(batch1, batch2), 0, dtype=batch1.dtype), beta, alpha)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of input times all of other, as one Tensor of blocks.

    The shapes are aligned at their last dims and multiplied: (2, 3), (4, 5) -> (8, 15).
    """
    ndim = max(input.ndim, other.ndim)
    a = (1,) * (ndim - input.ndim) + input.shape
    b = (1,) * (ndim - other.ndim) + other.shape
    blocks = reshape(input, [n for m in a for n in (m, 1)])  # (a0, 1, a1, 1, …)
    block = reshape(other, [n for m in b for n in (1, m)])  # (1, b0, 1, b1, …)
    return reshape(mul(blocks, block), [m * n for m, n in zip(a, b, strict=True)])


def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix."""
    _require_dims("trace", (input, 2))
    return sum(diagonal(input))


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of 3-vectors along `dim` (by default the first of length 3), broadcast."""
    shape = broadcast_shape("cross", input.shape, other.shape)
    if dim is None:
        dim = shape.index(3) if 3 in shape else 0
    dim = normalize_dim("cross", dim, len(shape)) - len(shape)
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(
            f"cross: the vectors need 3 components, but dim {dim} of shapes {shape_text(input.shape)} and "
            f"{shape_text(other.shape)} has lengths {input.shape[dim]} and {other.shape[dim]}"
        )
    # y₀ = a₁ b₂ − a₂ b₁, and so on around
    return mul(roll(input, -1, dim), roll(other, -2, dim)) - mul(roll(input, -2, dim), roll(other, -1, dim))


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    """The p-norm distance of every row of x1 to every row of x2: (..., m, d), (..., n, d) -> (..., m, n).

    `compute_mode` is accepted and without effect: the differences are always taken directly, the exact way.
    """
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, dim=-1)


ger = outer
