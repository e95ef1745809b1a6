"""Signs, rounding, and what to do with NaN and inf.

Most of these are staircases: flat between their jumps. Their gradient is 0, as in PyTorch.
"""

from __future__ import annotations

import math

from tensor import dtypes
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.cast import promote
from tensor.tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "ceil",
    "copysign",
    "fix",
    "floor",
    "frac",
    "heaviside",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "nan_to_num",
    "round",
    "sgn",
    "sign",
    "signbit",
    "trunc",
]
IN_PLACE = [name for name in __all__ if not name.startswith("is") and name != "signbit"]


def sign_array(x):
    """−1, 0 or 1, and 0 for NaN too, as in PyTorch."""
    xp = namespace(x)
    return xp.where(x == x, xp.sign(x), 0) if x.dtype.kind == "f" else xp.sign(x)


class Abs(Op):
    """y = |x|;  dy/dx = sign x (0 at the kink)."""

    vjp = "dx = dy ⊙ sign x"

    def forward(self, x):
        self.x = x
        return namespace(x).abs(x)

    def backward(self, dy):
        return dy * sign_array(self.x)


class Staircase(Op):
    """y = f(x) for a piecewise constant f: its derivative is 0 (its jumps have none)."""

    vjp = "dx = 0"

    def backward(self, dy):
        return namespace(dy).zeros_like(dy)


class Sign(Staircase):
    """y = −1, 0 or 1, as x is negative, zero or positive."""

    def forward(self, x):
        return x if x.dtype.kind == "b" else sign_array(x)


class Floor(Staircase):
    """y = the largest integer ≤ x."""

    def forward(self, x):
        return namespace(x).floor(x)


class Ceil(Staircase):
    """y = the smallest integer ≥ x."""

    def forward(self, x):
        return namespace(x).ceil(x)


class Trunc(Staircase):
    """y = x without its fraction."""

    def forward(self, x):
        return namespace(x).trunc(x)


class Round(Staircase):
    """y = the integer next to x, halves to the even one (or a multiple of 10^−decimals)."""

    def forward(self, x, *, decimals):
        xp = namespace(x)
        if decimals == 0:
            return xp.rint(x)
        if decimals > 0:
            return xp.rint(x * 10.0**decimals) / 10.0**decimals
        return xp.rint(x / 10.0**-decimals) * 10.0**-decimals


class Frac(Op):
    """y = x − trunc x;  dy/dx = 1."""

    vjp = "dx = dy"

    def forward(self, x):
        return x - namespace(x).trunc(x)

    def backward(self, dy):
        return dy


class Copysign(Op):
    """y = |a| with the sign of b;  ∂y/∂a = ±1 = y/a (0 at a = 0), and ∂y/∂b = 0."""

    vjp = "da = dy ⊙ y / a;  db = 0"

    def forward(self, a, b):
        self.a = a
        self.y = namespace(a, b).copysign(a, b)
        return self.y

    def backward(self, dy):
        xp = namespace(dy)
        return xp.where(self.a == 0, 0, dy * (self.y / self.a)), xp.zeros_like(dy)


class Heaviside(Op):
    """y = 0 for x < 0, `values` for x = 0, and 1 for x > 0; without a gradient, as in PyTorch."""

    def forward(self, x, values):
        xp = namespace(x)
        return xp.where(x == 0, values, (x > 0).astype(x.dtype))


class NanToNum(Op):
    """y = x with NaN and ±inf replaced by numbers;  dy/dx = 1 where x is finite, else 0."""

    vjp = "dx = dy where x is finite, else 0"

    def forward(self, x, *, nan, posinf, neginf):
        self.x = x
        return namespace(x).nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)

    def backward(self, dy):
        xp = namespace(dy)
        return xp.where(xp.isfinite(self.x), dy, 0)


class Elementwise(Op):
    """y = f(a, …) for a function whose result is no float: without gradient."""

    def forward(self, *operands, function):
        return getattr(namespace(*operands), function)(*operands)


def abs(input: Tensor) -> Tensor:
    """|input|."""
    return Abs.apply(_number_tensor("abs", input))


def sign(input: Tensor) -> Tensor:
    """−1, 0 or 1 by the sign of each element; 0 for NaN, as in PyTorch."""
    return Sign.apply(input)


def floor(input: Tensor) -> Tensor:
    """Each element rounded down."""
    return _rounded(Floor, "floor", input)


def ceil(input: Tensor) -> Tensor:
    """Each element rounded up."""
    return _rounded(Ceil, "ceil", input)


def trunc(input: Tensor) -> Tensor:
    """Each element rounded towards zero."""
    return _rounded(Trunc, "trunc", input)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Each element rounded to `decimals` digits after the point, halves to the even digit."""
    if decimals and not dtypes.is_floating(input.dtype):
        raise RuntimeError(f"round: decimals needs a floating-point Tensor, got {input.dtype}: call .float() first")
    return _rounded(Round, "round", input, decimals=decimals)


def frac(input: Tensor) -> Tensor:
    """The fraction of each element, with its sign."""
    if not dtypes.is_floating(input.dtype):
        raise RuntimeError(f"frac: expected a floating-point Tensor, got {input.dtype}: call .float() first")
    return Frac.apply(input)


def copysign(input: Tensor, other) -> Tensor:
    """|input| with the sign of other (a Tensor or number), broadcast."""
    return Copysign.apply(*promote("copysign", input, other, to_float=True))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """The step function: 0 below 0, 1 above, `values` at 0, broadcast."""
    if input.dtype != values.dtype:
        raise RuntimeError(f"heaviside: both operands need one dtype, got {input.dtype} and {values.dtype}")
    return Heaviside.apply(*promote("heaviside", input, values))


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """input with NaN replaced by `nan` (0), inf and −inf by `posinf` and `neginf` (the dtype's largest and least)."""
    if not dtypes.is_floating(input.dtype):
        return input.clone()
    return NanToNum.apply(input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)


def isnan(input: Tensor) -> Tensor:
    """Bools: is the element NaN?"""
    return Elementwise.apply(input, function="isnan")


def isinf(input: Tensor) -> Tensor:
    """Bools: is the element inf or −inf?"""
    return Elementwise.apply(input, function="isinf")


def isfinite(input: Tensor) -> Tensor:
    """Bools: is the element neither NaN nor infinite?"""
    return Elementwise.apply(input, function="isfinite")


def isposinf(input: Tensor) -> Tensor:
    """Bools: is the element inf?"""
    return input == math.inf


def isneginf(input: Tensor) -> Tensor:
    """Bools: is the element −inf?"""
    return input == -math.inf


def isreal(input: Tensor) -> Tensor:
    """Bools, all True: there are no complex Tensors here."""
    return Elementwise.apply(input, function="isreal")


def signbit(input: Tensor) -> Tensor:
    """Bools: does the element have a minus sign? (−0.0 does.)"""
    return Elementwise.apply(input, function="signbit") if dtypes.is_floating(input.dtype) else input < 0


def _number_tensor(name: str, input: Tensor) -> Tensor:
    if input.dtype.kind == "b":
        raise RuntimeError(f"{name}: not defined for bool Tensors: convert with .long()")
    return input


def _rounded(op: type[Op], name: str, input: Tensor, **params) -> Tensor:
    """`op` on input; integers are round already."""
    return op.apply(input, **params) if dtypes.is_floating(_number_tensor(name, input).dtype) else input.clone()


absolute, fix, sgn = abs, trunc, sign
