"""softmax and log_softmax."""

from __future__ import annotations

from tensor.checks import normalize_dim
from tensor.kernels import kernels
from tensor.op import Op
from tensor.ops.aliases import numpy_names
from tensor.ops.autocast import in_full_precision
from tensor.ops.reduce import require_floating
from tensor.tensor import Tensor

__all__ = ["log_softmax", "softmax"]


class Softmax(Op):
    """y = exp(x − max x) / Σ exp(x − max x) along `dim`.

    ∂y_i/∂x_j = y_i (δ_ij − y_j), so  dx = y ⊙ (dy − Σ_j dy_j y_j).
    """

    vjp = "dx = y ⊙ (dy − Σ dy ⊙ y)"

    def forward(self, x, *, dim):
        self.dim = dim
        self.y = kernels(x).softmax(x, dim)
        return self.y

    def backward(self, dy):
        return kernels(dy).softmax_backward(dy, self.y, self.dim)


class LogSoftmax(Op):
    """y = x − max x − ln Σ exp(x − max x) along `dim`.

    ∂y_i/∂x_j = δ_ij − softmax_j, so  dx = dy − eʸ Σ_j dy_j.
    """

    vjp = "dx = dy − exp(y) Σ dy"

    def forward(self, x, *, dim):
        self.dim = dim
        self.y = kernels(x).log_softmax(x, dim)
        return self.y

    def backward(self, dy):
        return kernels(dy).log_softmax_backward(dy, self.y, self.dim)


def _apply(op, name: str, input: Tensor, dim: int, dtype) -> Tensor:
    (x,) = in_full_precision(require_floating(name, input, dtype))
    dim = normalize_dim(name, dim, x.ndim)
    return op.apply(x, dim=dim) if x.ndim else op.apply(x.reshape(1), dim=0).reshape(())


@numpy_names
def softmax(input: Tensor, dim: int, dtype=None) -> Tensor:
    """exp(x) / Σ exp(x) along `dim`: positive numbers that add up to 1. With `dtype`, input is converted first."""
    return _apply(Softmax, "softmax", input, dim, dtype)


@numpy_names
def log_softmax(input: Tensor, dim: int, dtype=None) -> Tensor:
    """ln softmax(x) along `dim`, more exact than the two in turn. With `dtype`, input is converted first."""
    return _apply(LogSoftmax, "log_softmax", input, dim, dtype)
