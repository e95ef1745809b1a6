"""Linear layer and GELU in one: y = gelu(x Wᵀ + b), with the tanh form of GELU that GPT-2 was trained with.

x (..., in)    W (out, in)    b (out,)    y (..., out)

The first half of a GPT's MLP. Alone, a linear layer reads and writes all of its product once more for the bias, and
GELU does so again; here that is one pass, as in Megatron-LM (Narayanan et al. 2021, arXiv:2104.04473, section 4.2).
"""

from __future__ import annotations

from nn.functional.gelu import gelu
from nn.functional.linear import Linear, check_linear, is_one_product, linear
from tensor import Tensor
from tensor.checks import require_tensor
from tensor.kernels import kernels
from tensor.ops.autocast import in_low_precision


def linear_gelu_composed(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The definition: gelu of linear."""
    return gelu(linear(input, weight, bias), approximate="tanh")


class LinearGelu(Linear):
    """y = gelu(z) with z = x Wᵀ + b, for the rows of x (n, in).

    The chain rule, with GELU's slope from `nn.functional.gelu` and the rest from `nn.functional.linear`:

        dz = dy ⊙ gelu′(z)                           (n, out)
        dx = dz W        dW = dzᵀ x        db = Σ_n dz

    """

    vjp = "dz = dy ⊙ gelu′(x Wᵀ + b);  dx = dz W;  dW = dzᵀ x;  db = Σ dz"

    def forward(self, x, weight, *bias):
        self.x = x if self.needs[1] else None
        self.weight = weight if self.needs[0] else None
        rows = x.reshape(-1, x.shape[-1])  # (n, in)
        y, self.kept = kernels(x).linear_gelu(rows, weight, bias[0] if bias else None, backward=True in self.needs)
        return y.reshape(*x.shape[:-1], weight.shape[0])

    def backward(self, dy):
        rows = dy.reshape(-1, dy.shape[-1])  # (n, out)
        dz, dbias = kernels(dy).linear_gelu_backward(rows, self.kept, bias=self.needs[2:] == [True])
        return (*self.through_product(dz, dy.shape[:-1]), dbias)[: len(self.needs)]


def linear_gelu(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """gelu(x Wᵀ + b, approximate="tanh") for input x (..., in), weight W (out, in) and bias b (out,) or None.

    Returns (..., out); errors are those of `linear`.
    """
    x, w, b = in_low_precision(require_tensor("linear_gelu", input), require_tensor("linear_gelu", weight), bias)
    check_linear("linear_gelu", x.array, w.array, None if b is None else b.array)
    if not is_one_product(x, w, b) or x.array.dtype.kind != "f":
        return linear_gelu_composed(x, w, b)
    return LinearGelu.apply(x, w) if b is None else LinearGelu.apply(x, w, b)
