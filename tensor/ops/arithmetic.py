"""Arithmetic on two operands: + − × ÷ and powers, with broadcasting.

A derivative here may have the broadcast shape: the base class sums it back to the input's.
"""

from __future__ import annotations

from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.cast import promote
from tensor.tensor import Tensor

__all__ = ["add", "sub", "mul", "div", "pow"]
IN_PLACE = ["add", "sub", "mul", "div", "pow"]


class Add(Op):
    """y = a + b;  ∂y/∂a = ∂y/∂b = 1."""

    vjp = "da = dy;  db = dy"

    def forward(self, a, b):
        return a + b

    def backward(self, dy):
        return dy, dy


class Sub(Op):
    """y = a − b;  ∂y/∂a = 1, ∂y/∂b = −1."""

    vjp = "da = dy;  db = −dy"

    def forward(self, a, b):
        return a - b

    def backward(self, dy):
        return dy, -dy


class Mul(Op):
    """y = a b;  ∂y/∂a = b, ∂y/∂b = a."""

    vjp = "da = dy ⊙ b;  db = dy ⊙ a"

    def forward(self, a, b):
        self.a = a if self.needs[1] else None
        self.b = b if self.needs[0] else None
        return a * b

    def backward(self, dy):
        da = dy * self.b if self.needs[0] else None
        db = dy * self.a if self.needs[1] else None
        return da, db


class Div(Op):
    """y = a / b;  ∂y/∂a = 1/b, ∂y/∂b = −a/b²."""

    vjp = "da = dy / b;  db = −dy ⊙ a / b²"

    def forward(self, a, b):
        self.a = a if self.needs[1] else None
        self.b = b
        return a / b

    def backward(self, dy):
        da = dy / self.b
        db = -da * (self.a / self.b) if self.needs[1] else None
        return da, db


class Pow(Op):
    """y = aᵇ;  ∂y/∂a = b aᵇ⁻¹, ∂y/∂b = aᵇ ln a (0 where a = 0 and b ≥ 0, as in PyTorch)."""

    vjp = "da = dy ⊙ b aᵇ⁻¹;  db = dy ⊙ aᵇ ln a"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).power(a, b)

    def backward(self, dy):
        xp, a, b = namespace(dy), self.a, self.b
        da = db = None
        if self.needs[0]:
            da = dy * xp.where(b == 0, 0, b * xp.power(a, xp.where(b == 0, 1, b - 1)))
        if self.needs[1]:
            flat = xp.logical_and(a == 0, b >= 0)  # 0ᵇ is the constant 0 there
            db = dy * xp.where(flat, 0, xp.power(a, b) * xp.log(xp.where(flat, 1, a)))
        return da, db


def add(input, other, *, alpha=1) -> Tensor:
    """input + alpha · other, element by element, broadcast."""
    if alpha != 1:
        other = mul(other, alpha)
    return Add.apply(*promote("add", input, other))


def sub(input, other, *, alpha=1) -> Tensor:
    """input − alpha · other, element by element, broadcast."""
    if alpha != 1:
        other = mul(other, alpha)
    a, b = promote("sub", input, other)
    if a.dtype.kind == "b" if isinstance(a, Tensor) else b.dtype.kind == "b":
        raise RuntimeError("sub: bool Tensors cannot be subtracted: use ^ (logical_xor), or convert with .long()")
    return Sub.apply(a, b)


def mul(input, other) -> Tensor:
    """input · other, element by element, broadcast."""
    return Mul.apply(*promote("mul", input, other))


def div(input, other) -> Tensor:
    """input / other, element by element, broadcast; integers become floating."""
    return Div.apply(*promote("div", input, other, to_float=True))


def pow(input, exponent) -> Tensor:
    """input to the power of exponent, element by element, broadcast."""
    return Pow.apply(*promote("pow", input, exponent))
