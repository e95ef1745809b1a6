"""Matrix products."""

from __future__ import annotations

from tensor.checks import broadcast_shape, require_tensor, shape_text
from tensor.op import Op
from tensor.tensor import Tensor

__all__ = ["matmul"]


class Matmul(Op):
    """Y = A B for A (..., m, k) and B (..., k, n).

    Y_ij = Σ_k A_ik B_kj, so ∂L/∂A_ik = Σ_j dY_ij B_kj: dA = dY Bᵀ, and in the same way dB = Aᵀ dY.
    Leading dimensions broadcast; the base class sums the gradient back.
    """

    vjp = "dA = dY Bᵀ;  dB = Aᵀ dY"

    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b  # (..., m, n)

    def backward(self, dy):
        da = dy @ self.b.swapaxes(-1, -2) if self.needs[0] else None  # (..., m, k)
        db = self.a.swapaxes(-1, -2) @ dy if self.needs[1] else None  # (..., k, n)
        return da, db


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product over the last two dimensions; the leading ones broadcast.

    (..., m, k) @ (..., k, n) -> (..., m, n). A 1-dim operand is a row on the left, a column on the right, and
    that dimension is dropped from the result: (k) @ (k) -> (), (m, k) @ (k) -> (m).
    """
    a, b = require_tensor("matmul", input), require_tensor("matmul", other)
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"matmul: both operands need at least 1 dim, got {shape_text(a.shape)} and {shape_text(b.shape)}")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise RuntimeError(
            f"matmul: shapes {shape_text(a.shape)} and {shape_text(b.shape)} do not fit: the last dim of the first "
            f"({a.shape[-1]}) must equal the {'second-last' if b.ndim > 1 else 'only'} dim of the second ({inner})"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(f"matmul: both operands need one dtype, got {a.dtype} and {b.dtype}: convert one with .to()")
    row, column = a.ndim == 1, b.ndim == 1
    a = a.unsqueeze(0) if row else a  # (1, k)
    b = b.unsqueeze(1) if column else b  # (k, 1)
    broadcast_shape("matmul (batch dims)", a.shape[:-2], b.shape[:-2])
    y = Matmul.apply(a, b)  # (..., m, n)
    y = y.squeeze(-2) if row else y
    return y.squeeze(-1) if column else y
