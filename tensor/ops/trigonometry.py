"""Sines and their relatives, circular and hyperbolic, their inverses, and angles."""

from __future__ import annotations

import math

import numpy as np

from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.arithmetic import mul
from tensor.ops.cast import as_float, promote
from tensor.tensor import Tensor

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
]
IN_PLACE = __all__


class Sin(Op):
    """y = sin x;  dy/dx = cos x."""

    vjp = "dx = dy ⊙ cos x"

    def forward(self, x):
        self.x = x
        return namespace(x).sin(x)

    def backward(self, dy):
        return dy * namespace(dy).cos(self.x)


class Cos(Op):
    """y = cos x;  dy/dx = −sin x."""

    vjp = "dx = −dy ⊙ sin x"

    def forward(self, x):
        self.x = x
        return namespace(x).cos(x)

    def backward(self, dy):
        return -dy * namespace(dy).sin(self.x)


class Tan(Op):
    """y = tan x = sin x / cos x;  dy/dx = 1 / cos² x = 1 + y²."""

    vjp = "dx = dy ⊙ (1 + y²)"

    def forward(self, x):
        self.y = namespace(x).tan(x)
        return self.y

    def backward(self, dy):
        return dy * (1 + self.y * self.y)


class Asin(Op):
    """y = arcsin x;  x = sin y, so dy/dx = 1 / cos y = 1 / √(1 − x²)."""

    vjp = "dx = dy / √(1 − x²)"

    def forward(self, x):
        self.x = x
        return namespace(x).arcsin(x)

    def backward(self, dy):
        return dy / namespace(dy).sqrt(1 - self.x * self.x)


class Acos(Op):
    """y = arccos x = π/2 − arcsin x."""

    vjp = "dx = −dy / √(1 − x²)"

    def forward(self, x):
        self.x = x
        return namespace(x).arccos(x)

    def backward(self, dy):
        return -dy / namespace(dy).sqrt(1 - self.x * self.x)


class Atan(Op):
    """y = arctan x;  x = tan y, so dy/dx = 1 / (1 + tan² y) = 1 / (1 + x²)."""

    vjp = "dx = dy / (1 + x²)"

    def forward(self, x):
        self.x = x
        return namespace(x).arctan(x)

    def backward(self, dy):
        return dy / (1 + self.x * self.x)


class Atan2(Op):
    """y = the angle of the point (x = b, y = a);  tan y = a/b, so ∂y/∂a = b / (a² + b²), ∂y/∂b = −a / (a² + b²).

    At the origin, where the angle is undefined, the gradient is 0, as in PyTorch.
    """

    vjp = "da = dy ⊙ b / (a² + b²);  db = −dy ⊙ a / (a² + b²)"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).arctan2(a, b)

    def backward(self, dy):
        xp, a, b = namespace(dy), self.a, self.b
        r2 = a * a + b * b
        scaled = xp.where(r2 == 0, 0, dy / r2)
        return scaled * b, scaled * -a


class Sinh(Op):
    """y = sinh x = (eˣ − e⁻ˣ) / 2;  dy/dx = cosh x."""

    vjp = "dx = dy ⊙ cosh x"

    def forward(self, x):
        self.x = x
        return namespace(x).sinh(x)

    def backward(self, dy):
        return dy * namespace(dy).cosh(self.x)


class Cosh(Op):
    """y = cosh x = (eˣ + e⁻ˣ) / 2;  dy/dx = sinh x."""

    vjp = "dx = dy ⊙ sinh x"

    def forward(self, x):
        self.x = x
        return namespace(x).cosh(x)

    def backward(self, dy):
        return dy * namespace(dy).sinh(self.x)


class Asinh(Op):
    """y = arsinh x;  x = sinh y, so dy/dx = 1 / cosh y = 1 / √(x² + 1)."""

    vjp = "dx = dy / √(x² + 1)"

    def forward(self, x):
        self.x = x
        return namespace(x).arcsinh(x)

    def backward(self, dy):
        return dy / namespace(dy).sqrt(self.x * self.x + 1)


class Acosh(Op):
    """y = arcosh x;  x = cosh y, so dy/dx = 1 / sinh y = 1 / √(x² − 1)."""

    vjp = "dx = dy / √(x² − 1)"

    def forward(self, x):
        self.x = x
        return namespace(x).arccosh(x)

    def backward(self, dy):
        return dy / namespace(dy).sqrt(self.x * self.x - 1)


class Atanh(Op):
    """y = artanh x;  x = tanh y, so dy/dx = 1 / (1 − tanh² y) = 1 / (1 − x²)."""

    vjp = "dx = dy / (1 − x²)"

    def forward(self, x):
        self.x = x
        return namespace(x).arctanh(x)

    def backward(self, dy):
        return dy / (1 - self.x * self.x)


class Sinc(Op):
    """y = sin(πx) / πx, and 1 at 0;  dy/dx = (cos πx − y) / x, and 0 at 0."""

    vjp = "dx = dy ⊙ (cos πx − y) / x"

    def forward(self, x):
        self.x = x
        y = namespace(x).sinc(x)
        return y if namespace(x) is np else namespace(x).where(x != x, x, y)  # CuPy says 1 for NaN

    def backward(self, dy):
        xp, x = namespace(dy), self.x
        return xp.where(x == 0, 0, dy * ((xp.cos(math.pi * x) - xp.sinc(x)) / x))


class Hypot(Op):
    """y = √(a² + b²), without overflow;  ∂y/∂a = a/y, ∂y/∂b = b/y."""

    vjp = "da = dy ⊙ a / y;  db = dy ⊙ b / y"

    def forward(self, a, b):
        self.a, self.b = a, b
        self.y = namespace(a, b).hypot(a, b)
        return self.y

    def backward(self, dy):
        return dy * (self.a / self.y), dy * (self.b / self.y)


def sin(input: Tensor) -> Tensor:
    """Sine of angles in radians."""
    return Sin.apply(as_float(input))


def cos(input: Tensor) -> Tensor:
    """Cosine of angles in radians."""
    return Cos.apply(as_float(input))


def tan(input: Tensor) -> Tensor:
    """Tangent of angles in radians."""
    return Tan.apply(as_float(input))


def asin(input: Tensor) -> Tensor:
    """The angle in [−π/2, π/2] with this sine; NaN outside [−1, 1]."""
    return Asin.apply(as_float(input))


def acos(input: Tensor) -> Tensor:
    """The angle in [0, π] with this cosine; NaN outside [−1, 1]."""
    return Acos.apply(as_float(input))


def atan(input: Tensor) -> Tensor:
    """The angle in [−π/2, π/2] with this tangent."""
    return Atan.apply(as_float(input))


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle in [−π, π] of the points (x = other, y = input), broadcast."""
    return Atan2.apply(*promote("atan2", input, other, to_float=True))


def sinh(input: Tensor) -> Tensor:
    """Hyperbolic sine of each element."""
    return Sinh.apply(as_float(input))


def cosh(input: Tensor) -> Tensor:
    """Hyperbolic cosine of each element."""
    return Cosh.apply(as_float(input))


def asinh(input: Tensor) -> Tensor:
    """Inverse of sinh."""
    return Asinh.apply(as_float(input))


def acosh(input: Tensor) -> Tensor:
    """Inverse of cosh; NaN below 1."""
    return Acosh.apply(as_float(input))


def atanh(input: Tensor) -> Tensor:
    """Inverse of tanh; NaN outside [−1, 1]."""
    return Atanh.apply(as_float(input))


def sinc(input: Tensor) -> Tensor:
    """sin(π input) / (π input), and 1 at 0."""
    return Sinc.apply(as_float(input))


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """√(input² + other²): the hypotenuse, broadcast."""
    return Hypot.apply(*promote("hypot", input, other, to_float=True))


def deg2rad(input: Tensor) -> Tensor:
    """Degrees to radians."""
    return mul(as_float(input), math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians to degrees."""
    return mul(as_float(input), 180 / math.pi)


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
