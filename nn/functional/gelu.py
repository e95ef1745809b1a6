"""GELU: x times the probability that a standard normal variable is below x.

    y = x Φ(x),    Φ(x) = ½ (1 + erf(x / √2))                    approximate="none"
    y ≈ ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))                 approximate="tanh", as GPT-2 was trained

Element by element; x and y have any shape. (Hendrycks and Gimpel 2016, arXiv:1606.08415.)
"""

from __future__ import annotations

import math

import tensor
from tensor import Op, Tensor
from tensor.kernels import kernels
from tensor.ops.cast import as_float


def gelu_composed(input: Tensor, approximate: str = "none") -> Tensor:
    """The definition, from primitive operations."""
    if approximate == "none":
        return 0.5 * input * (1 + tensor.erf(input / math.sqrt(2)))
    u = math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)
    return 0.5 * input * (1 + tensor.tanh(u))


class GeluErf(Op):
    """y = x Φ(x).

    Φ′(x) = φ(x) = exp(−x²/2) / √(2π), so by the product rule dy/dx = Φ(x) + x φ(x).
    """

    vjp = "dx = dy ⊙ (Φ(x) + x φ(x))"

    def forward(self, x):
        y, self.kept = kernels(x).gelu_erf(x, self.needs[0])  # x, or dy/dx at once: as the kernel likes it
        return y

    def backward(self, dy):
        return kernels(dy).gelu_erf_backward(dy, self.kept)


class GeluTanh(Op):
    """y = ½ x (1 + tanh u), u = c (x + a x³), with c = √(2/π) and a = 0.044715.

    As ½ (1 + tanh u) = σ(2u), the logistic function, y = x s with s = σ(2u), and σ′ = σ (1 − σ) gives

        dy/dx = s + x s (1 − s) 2u′,    u′ = c (1 + 3a x²).
    """

    vjp = "dx = dy ⊙ (s + x s (1 − s) 2u′), s = σ(2u), u = √(2/π) (x + 0.044715 x³)"

    def forward(self, x):
        y, self.kept = kernels(x).gelu_tanh(x, self.needs[0])  # as above
        return y

    def backward(self, dy):
        return kernels(dy).gelu_tanh_backward(dy, self.kept)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x) element by element; approximate="tanh" for GPT-2's form."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    op = GeluErf if approximate == "none" else GeluTanh
    return op.apply(as_float(input))
