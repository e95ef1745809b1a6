"""Linear layer: y = x Wᵀ + b.

x (..., in)    W (out, in)    b (out,)    y (..., out)
"""

from __future__ import annotations

from tensor import Op, Tensor
from tensor.checks import require_tensor, shape_text
from tensor.devices import namespace
from tensor.kernels import kernels
from tensor.kernels.float16 import product
from tensor.ops.autocast import in_low_precision


def linear_composed(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The definition: y = x Wᵀ + b."""
    y = input @ weight.transpose(-1, -2)  # (..., out)
    return y if bias is None else y + bias


class Linear(Op):
    """y = x Wᵀ + b as one matrix product over all rows of x.

    y_no = Σ_i x_ni W_oi + b_o, where n counts the positions of all leading dimensions together. Hence

        ∂L/∂x_ni = Σ_o dy_no W_oi    dx = dy W       (n, in)
        ∂L/∂W_oi = Σ_n dy_no x_ni    dW = dyᵀ x      (out, in)
        ∂L/∂b_o  = Σ_n dy_no         db = Σ_n dy     (out,)

    Folding (B, T, C) to (B·T, C) makes each of them a single large product, where a batched one would be B small
    ones, and B summands of dW.
    """

    vjp = "dx = dy W;  dW = dyᵀ x;  db = Σ dy"

    def forward(self, x, weight, *bias):
        self.x = x if self.needs[1] else None
        self.weight = weight if self.needs[0] else None
        y = kernels(x).linear(x.reshape(-1, x.shape[-1]), weight, bias[0] if bias else None)  # (n, out)
        return y.reshape(*x.shape[:-1], weight.shape[0])

    def backward(self, dy):
        rows = dy.reshape(-1, dy.shape[-1])  # (n, out)
        dx, dweight = self.through_product(rows, dy.shape[:-1])
        if len(self.needs) == 2:
            return dx, dweight
        return dx, dweight, _sum_rows(rows) if self.needs[2] else None

    def through_product(self, rows, leading: tuple[int, ...]):
        """dx (*leading, in) and dW (out, in) for the gradient of x Wᵀ, `rows` (n, out); None where it is not wanted."""
        dx = product(rows, self.weight).reshape(*leading, self.weight.shape[1]) if self.needs[0] else None
        return dx, product(rows.T, self.x.reshape(-1, self.x.shape[-1])) if self.needs[1] else None


def _sum_rows(rows):
    """Σ_n rows (n, out), as a product with ones: BLAS adds up faster than `sum` does."""
    return product(namespace(rows).ones(len(rows), rows.dtype), rows)  # (out,)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b for input x (..., in), weight W (out, in) and bias b (out,) or None; returns (..., out).

    A weight of shape (in,) gives one number for each row, (...).
    """
    x, w, b = in_low_precision(require_tensor("linear", input), require_tensor("linear", weight), bias)
    check_linear("linear", x.array, w.array, None if b is None else b.array)
    if not is_one_product(x, w, b):
        y = x @ (w if w.ndim == 1 else w.transpose(0, 1))
        return y if b is None else y + b
    return Linear.apply(x, w) if b is None else Linear.apply(x, w, b)


def is_one_product(x: Tensor, w: Tensor, b: Tensor | None) -> bool:
    """Is x Wᵀ + b, of shapes that fit, one product over the rows of x: some rows, a matrix, and (out,) for b if any?"""
    return w.array.ndim == 2 and x.array.size > 0 and (b is None or b.array.ndim == 1)


def check_linear(name: str, x, w, b) -> None:
    """RuntimeError unless the shapes and the dtypes of these arrays fit; b may be None."""
    if w.ndim not in (1, 2) or x.ndim == 0 or x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            f"{name}: input {shape_text(x.shape)} and weight {shape_text(w.shape)} do not fit: "
            f"the weight is (out, in), and the last dim of the input must be its `in`"
        )
    out = w.shape[:-1]
    if b is not None and b.shape not in (out, ()):
        raise RuntimeError(
            f"{name}: bias {shape_text(b.shape)} does not fit weight {shape_text(w.shape)}: expected {shape_text(out)}"
        )
    for what, other in (("weight", w), ("bias", b)):
        if other is not None and other.dtype != x.dtype:
            raise RuntimeError(f"{name}: input is {x.dtype} and {what} is {other.dtype}: convert one with .to()")
