"""The error function erf(x) = 2/√π ∫₀ˣ exp(−t²) dt, its complement and its inverse.

NumPy has none of the three. Near 0 the Taylor series is exact; further out, where erf is close to 1, the
Chebyshev series of tensor/kernels/erfcx.py gives its complement.
"""

from __future__ import annotations

import math

from tensor.devices import namespace
from tensor.kernels.erfcx import ERFCX_SCALE, erfcx_polynomial
from tensor.op import Op
from tensor.ops.cast import as_float
from tensor.tensor import Tensor

__all__ = ["erf", "erfc", "erfinv"]
IN_PLACE = __all__

SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0
NEAR = 0.85  # up to here the series is used: 16 terms are good for float64, 8 for float32
SERIES = tuple(SLOPE * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in reversed(range(16)))


def horner(coefficients, x):
    """The polynomial with `coefficients`, highest power first, at x."""
    y = coefficients[0] * x
    for c in coefficients[1:-1]:
        y += c
        y *= x
    return y + coefficients[-1]


def erf_near_zero(x):
    """erf(x) = 2/√π Σ (−1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)) for |x| ≤ NEAR."""
    return x * horner(SERIES if x.dtype == "float64" else SERIES[8:], x * x)


def erfcx(z):
    """exp(z²) erfc(z) for z ≥ 0."""
    return horner(erfcx_polynomial(z.dtype), (z - ERFCX_SCALE) / (z + ERFCX_SCALE)) / (1 + 2 * z)


def erfc_far(z):
    """erfc(z) for z ≥ 0. exp(−z²) as a product keeps the digits that squaring z would round away."""
    short = namespace(z).rint(z * 16) / 16  # few bits: its square is exact
    return namespace(z).exp(-short * short) * namespace(z).exp((short - z) * (short + z)) * erfcx(z)


def erf_array(x):
    """erf of a float32 or float64 array."""
    xp = namespace(x)
    z = xp.minimum(xp.abs(x), 30)  # erfc(30) is 0 in float64; at inf the formula would meet inf − inf
    near = erf_near_zero(xp.minimum(xp.maximum(x, -NEAR), NEAR))
    return xp.where(z <= NEAR, near, xp.copysign(1 - xp.exp(-z * z) * erfcx(z), x))


def erfc_array(x):
    """erfc of a float32 or float64 array, with all its digits where it is tiny too."""
    xp = namespace(x)
    z = xp.minimum(xp.abs(x), 30)
    far = erfc_far(z)
    near = 1 - erf_near_zero(xp.minimum(xp.maximum(x, -NEAR), NEAR))
    return xp.where(z <= NEAR, near, xp.where(x < 0, 2 - far, far))


def erfinv_array(y):
    """The x with erf(x) = y: Winitzki's approximation (2008, good to 2 in 1000), then two steps of Halley's method.

    With f(x) = erf(x) − y and f″/f′ = −2x, a step is x − u / (1 + x u), u = f/f′. Each triples the digits.
    """
    xp, z = namespace(y), namespace(y).abs(y)
    log = xp.log1p(-z * z)
    b = 2 / (math.pi * 0.147) + log / 2
    x = xp.sqrt(xp.sqrt(b * b - log / 0.147) - b)
    for _ in range(2):
        f = xp.where(z < 0.5, erf_array(x) - z, (1 - z) - erfc_array(x))  # 1 − z is exact there
        u = f / (SLOPE * xp.exp(-x * x))
        x = x - u / (1 + x * u)
    return xp.copysign(xp.where(z == 1, math.inf, x), y)


def _in_single(function, x):
    """function(x), for float16 by way of float32."""
    return function(x.astype("float32")).astype("float16") if x.dtype == "float16" else function(x)


class Erf(Op):
    """y = erf x;  dy/dx = 2/√π exp(−x²)."""

    vjp = "dx = dy ⊙ 2/√π exp(−x²)"

    def forward(self, x):
        self.x = x
        return _in_single(erf_array, x)

    def backward(self, dy):
        return dy * (SLOPE * namespace(dy).exp(-self.x * self.x))


class Erfc(Op):
    """y = erfc x = 1 − erf x;  dy/dx = −2/√π exp(−x²)."""

    vjp = "dx = −dy ⊙ 2/√π exp(−x²)"

    def forward(self, x):
        self.x = x
        return _in_single(erfc_array, x)

    def backward(self, dy):
        return -dy * (SLOPE * namespace(dy).exp(-self.x * self.x))


class Erfinv(Op):
    """y = erf⁻¹ x;  x = erf y, so dy/dx = √π/2 exp(y²)."""

    vjp = "dx = dy ⊙ √π/2 exp(y²)"

    def forward(self, x):
        self.x = x
        return _in_single(erfinv_array, x)

    def backward(self, dy):
        y = _in_single(erfinv_array, self.x)
        return dy * (namespace(dy).exp(y * y) / SLOPE)


def erf(input: Tensor) -> Tensor:
    """2/√π ∫₀ˣ exp(−t²) dt of each element."""
    return Erf.apply(as_float(input))


def erfc(input: Tensor) -> Tensor:
    """1 − erf(input), exact where it is tiny too."""
    return Erfc.apply(as_float(input))


def erfinv(input: Tensor) -> Tensor:
    """The inverse of erf on (−1, 1); ±inf at ±1, NaN outside."""
    return Erfinv.apply(as_float(input))
