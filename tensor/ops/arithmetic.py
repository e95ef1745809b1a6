"""Arithmetic on two operands: + − × ÷, division with rounding, remainders and powers, with broadcasting.

A derivative here may have the broadcast shape: the base class sums it back to the input's.
"""

from __future__ import annotations

from tensor import dtypes
from tensor.checks import require_tensor
from tensor.devices import is_array, namespace
from tensor.op import Op
from tensor.ops.cast import cast, promote
from tensor.ops.maths import reciprocal
from tensor.tensor import Tensor

__all__ = [
    "add",
    "addcdiv",
    "addcmul",
    "div",
    "divide",
    "float_power",
    "floor_divide",
    "fmod",
    "ldexp",
    "lerp",
    "mul",
    "multiply",
    "pow",
    "remainder",
    "rsub",
    "square",
    "sub",
    "subtract",
    "true_divide",
]
IN_PLACE = [name for name in __all__ if name != "rsub"]


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
        return dy, -dy if self.needs[1] else None


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


class DivRounded(Op):
    """y = ⌊a / b⌋, or a / b rounded towards zero: a staircase, flat between its jumps, so its gradient is 0."""

    vjp = "da = 0;  db = 0"

    def forward(self, a, b, *, rounding_mode):
        xp = namespace(a, b)
        _check_divisor("div", b)
        if rounding_mode == "floor":
            return xp.floor_divide(a, b)
        if xp.result_type(a, b).kind == "f":
            return xp.trunc(a / b)
        return (a - xp.fmod(a, b)) // b  # exact for integers of any size, which a / b is not

    def backward(self, dy):
        zeros = namespace(dy).zeros_like(dy)
        return zeros, zeros


class FloorDivide(Op):
    """y = ⌊a / b⌋, as `//`; without a gradient, as in PyTorch: div(rounding_mode="floor") has one, which is 0."""

    def forward(self, a, b):
        _check_divisor("floor_divide", b)
        return namespace(a, b).floor_divide(a, b)


class Remainder(Op):
    """y = a − b ⌊a/b⌋, which has the sign of b;  ⌊a/b⌋ is flat, so ∂y/∂a = 1, ∂y/∂b = −⌊a/b⌋."""

    vjp = "da = dy;  db = −dy ⊙ ⌊a / b⌋"

    def forward(self, a, b):
        _check_divisor("remainder", b)
        self.a, self.b = (a, b) if self.needs[1] else (None, None)
        return namespace(a, b).remainder(a, b)

    def backward(self, dy):
        return dy, -dy * namespace(dy).floor_divide(self.a, self.b) if self.needs[1] else None


class Fmod(Op):
    """y = a − b trunc(a/b), which has the sign of a;  ∂y/∂a = 1, ∂y/∂b = −trunc(a/b)."""

    vjp = "da = dy;  db = −dy ⊙ trunc(a / b)"

    def forward(self, a, b):
        _check_divisor("fmod", b)
        self.a, self.b = (a, b) if self.needs[1] else (None, None)
        return namespace(a, b).fmod(a, b)

    def backward(self, dy):
        return dy, -dy * namespace(dy).trunc(self.a / self.b) if self.needs[1] else None


class Power(Op):
    """y = xⁿ for one number n;  dy/dx = n xⁿ⁻¹."""

    vjp = "dx = dy ⊙ n xⁿ⁻¹"

    def forward(self, x, *, n):
        self.x, self.n = x, n
        return power(x, n).astype(x.dtype, copy=False)  # NumPy makes an int8 of a bool

    def backward(self, dy):
        if self.n == 0:
            return namespace(dy).zeros_like(dy)
        return dy * (self.n * power(self.x, self.n - 1))


class Pow(Op):
    """y = aᵇ;  ∂y/∂a = b aᵇ⁻¹, ∂y/∂b = aᵇ ln a (0 where a = 0 and b ≥ 0, as in PyTorch)."""

    vjp = "da = dy ⊙ b aᵇ⁻¹;  db = dy ⊙ aᵇ ln a"

    def forward(self, a, b):
        self.a, self.b = a, b
        xp = namespace(a, b)
        if xp.result_type(a, b).kind in "iu" and xp.any(xp.less(b, 0)):
            raise RuntimeError("pow: integers have no negative integer powers: call .float() first")
        self.y = xp.power(a, b)
        return self.y

    def backward(self, dy):
        xp, a, b = namespace(dy), self.a, self.b
        da = db = None
        if self.needs[0]:
            da = xp.where(b == 0, 0, dy * (b * xp.power(a, b - 1)))
        if self.needs[1]:
            flat = xp.logical_and(a == 0, b >= 0)  # 0ᵇ is the constant 0 there
            db = xp.where(flat, 0, dy * (self.y * xp.log(a)))
        return da, db


class Lerp(Op):
    """y = a + w (b − a), from a at w = 0 to b at w = 1, both exactly."""

    vjp = "da = dy ⊙ (1 − w);  db = dy ⊙ w;  dw = dy ⊙ (b − a)"

    def forward(self, a, b, w):
        xp = namespace(a, b, w)
        self.a, self.b = (a, b) if self.needs[2] else (None, None)
        self.w = w
        step = b - a
        return xp.where(abs(xp.asarray(w)) < 0.5, a + w * step, b - step * (1 - w))

    def backward(self, dy):
        return dy * (1 - self.w), dy * self.w, dy * (self.b - self.a) if self.needs[2] else None


def power(x, n):
    """xⁿ for an array and a number: small powers by multiplication, which is many times faster and exact."""
    if n == 3:
        return x * x * x
    return x**n  # the operator has fast paths of its own for −1, 0, ½, 1 and 2


def _check_divisor(name: str, b) -> None:
    """Integers have no inf to answer a division by zero with."""
    integral = b.dtype.kind in "iub" if is_array(b) else isinstance(b, int)
    if integral and namespace(b).any(b == 0):
        raise RuntimeError(f"{name}: integer division by zero; with a floating-point Tensor it would be inf or nan")


def _scaled(name: str, other, alpha):
    """alpha · other."""
    if alpha == 1:
        return other
    if isinstance(alpha, float) and isinstance(other, Tensor) and not dtypes.is_floating(other.dtype):
        raise RuntimeError(f"{name}: alpha must be an integer for {other.dtype} Tensors, got {alpha}")
    return mul(other, alpha) if isinstance(other, Tensor) else other * alpha


def add(input, other, *, alpha=1) -> Tensor:
    """input + alpha · other, element by element, broadcast."""
    return Add.apply(*promote("add", input, _scaled("add", other, alpha)))


def sub(input, other, *, alpha=1) -> Tensor:
    """input − alpha · other, element by element, broadcast."""
    a, b = promote("sub", input, _scaled("sub", other, alpha))
    if (a if isinstance(a, Tensor) else b).dtype.kind == "b":
        raise RuntimeError("sub: bool Tensors cannot be subtracted: use ^ (logical_xor), or convert with .long()")
    return Sub.apply(a, b)


def rsub(input, other, *, alpha=1) -> Tensor:
    """other − alpha · input: `sub` the other way round."""
    return sub(other, input, alpha=alpha)


def mul(input, other) -> Tensor:
    """input · other, element by element, broadcast."""
    return Mul.apply(*promote("mul", input, other))


def div(input, other, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, element by element, broadcast.

    rounding_mode None divides truly, and integers become floating; "trunc" rounds towards zero and "floor"
    down, and integers stay integers.
    """
    if rounding_mode is None and not isinstance(input, Tensor):
        return mul(reciprocal(require_tensor("div", other)), input)  # PyTorch's way: saves 1/x, not x
    if rounding_mode is None:
        return Div.apply(*promote("div", input, other, to_float=True))
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    return DivRounded.apply(*promote("div", input, other), rounding_mode=rounding_mode)


def true_divide(input, other) -> Tensor:
    """input / other: `div` without rounding."""
    return div(input, other)


def floor_divide(input, other) -> Tensor:
    """⌊input / other⌋, element by element, broadcast; what `//` does. Integers stay integers."""
    return FloorDivide.apply(*promote("floor_divide", input, other))


def remainder(input, other) -> Tensor:
    """input − other · ⌊input / other⌋, with the sign of other, as Python's `%`."""
    return Remainder.apply(*promote("remainder", input, other))


def fmod(input, other) -> Tensor:
    """input − other · trunc(input / other), with the sign of input, as C's fmod."""
    return Fmod.apply(*promote("fmod", input, other))


def pow(input, exponent) -> Tensor:
    """input to the power of exponent, element by element, broadcast; either may be a number."""
    a, b = promote("pow", input, exponent)
    if isinstance(b, Tensor):
        return Pow.apply(a, b)
    if b < 0 and not dtypes.is_floating(a.dtype):
        raise RuntimeError(f"pow: an integer Tensor has no integer power {b}: call .float() first")
    return Power.apply(a, n=b)


def float_power(input, exponent) -> Tensor:
    """`pow` computed in float64, whatever the dtypes."""
    return pow(*[cast(x, dtypes.float64) if isinstance(x, Tensor) else float(x) for x in (input, exponent)])


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input · 2^other."""
    return mul(input, pow(2.0, other))


def square(input: Tensor) -> Tensor:
    """input²."""
    return pow(input, 2)


def lerp(input: Tensor, end: Tensor, weight) -> Tensor:
    """input + weight · (end − input): linear interpolation, by one weight or a Tensor of them."""
    return Lerp.apply(*promote("lerp", input, end, weight))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value=1) -> Tensor:
    """input + value · tensor1 · tensor2, element by element, broadcast."""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value=1) -> Tensor:
    """input + value · tensor1 / tensor2, element by element, broadcast; floating-point Tensors only."""
    if not any(dtypes.is_floating(x.dtype) for x in (tensor1, tensor2)):
        raise RuntimeError("addcdiv: integer division is not supported: call .float() on tensor1 or tensor2 first")
    return add(input, div(tensor1, tensor2), alpha=value)


divide, multiply, subtract = div, mul, sub
