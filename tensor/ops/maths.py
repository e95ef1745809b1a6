"""Element-wise functions built on powers and exponentials: exp, log, sqrt, tanh, sigmoid, …

Each is y_i = f(x_i), so dx_i = f′(x_i) dy_i. An op saves its output instead of its input where the derivative is
simpler in y (eˣ is its own derivative). Integers come out in the default floating-point dtype.
"""

from __future__ import annotations

import math

from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.cast import as_float, promote
from tensor.tensor import Tensor

__all__ = [
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logit",
    "neg",
    "negative",
    "positive",
    "reciprocal",
    "relu",
    "rsqrt",
    "sigmoid",
    "sqrt",
    "tanh",
    "xlogy",
]
IN_PLACE = [name for name in __all__ if name not in ("positive", "logaddexp", "logaddexp2")]


class Neg(Op):
    """y = −x."""

    vjp = "dx = −dy"

    def forward(self, x):
        return -x

    def backward(self, dy):
        return -dy


class Reciprocal(Op):
    """y = 1/x;  dy/dx = −1/x² = −y²."""

    vjp = "dx = −dy ⊙ y²"

    def forward(self, x):
        self.y = 1 / x
        return self.y

    def backward(self, dy):
        return -dy * (self.y * self.y)


class Sqrt(Op):
    """y = √x;  dy/dx = 1 / 2√x = 1 / 2y."""

    vjp = "dx = dy / 2y"

    def forward(self, x):
        self.y = namespace(x).sqrt(x)
        return self.y

    def backward(self, dy):
        return dy / (2 * self.y)


class Rsqrt(Op):
    """y = 1/√x = x^(−½);  dy/dx = −½ x^(−3/2) = −½ y³."""

    vjp = "dx = −½ dy ⊙ y³"

    def forward(self, x):
        self.y = 1 / namespace(x).sqrt(x)
        return self.y

    def backward(self, dy):
        return -0.5 * dy * (self.y * self.y * self.y)


class Exp(Op):
    """y = eˣ;  dy/dx = eˣ = y."""

    vjp = "dx = dy ⊙ y"

    def forward(self, x):
        self.y = namespace(x).exp(x)
        return self.y

    def backward(self, dy):
        return dy * self.y


class Exp2(Op):
    """y = 2ˣ = e^(x ln 2);  dy/dx = 2ˣ ln 2."""

    vjp = "dx = dy ⊙ y ln 2"

    def forward(self, x):
        self.y = namespace(x).exp2(x)
        return self.y

    def backward(self, dy):
        return dy * self.y * math.log(2)


class Expm1(Op):
    """y = eˣ − 1, exact near 0;  dy/dx = eˣ = y + 1."""

    vjp = "dx = dy ⊙ (y + 1)"

    def forward(self, x):
        self.y = namespace(x).expm1(x)
        return self.y

    def backward(self, dy):
        return dy * (self.y + 1)


class Log(Op):
    """y = ln x;  dy/dx = 1/x."""

    vjp = "dx = dy / x"

    def forward(self, x):
        self.x = x
        return namespace(x).log(x)

    def backward(self, dy):
        return dy / self.x


class Log2(Op):
    """y = log₂ x = ln x / ln 2;  dy/dx = 1 / (x ln 2)."""

    vjp = "dx = dy / (x ln 2)"

    def forward(self, x):
        self.x = x
        return namespace(x).log2(x)

    def backward(self, dy):
        return dy / (self.x * math.log(2))


class Log10(Op):
    """y = log₁₀ x = ln x / ln 10;  dy/dx = 1 / (x ln 10)."""

    vjp = "dx = dy / (x ln 10)"

    def forward(self, x):
        self.x = x
        return namespace(x).log10(x)

    def backward(self, dy):
        return dy / (self.x * math.log(10))


class Log1p(Op):
    """y = ln(1 + x), exact near 0;  dy/dx = 1 / (1 + x)."""

    vjp = "dx = dy / (1 + x)"

    def forward(self, x):
        self.x = x
        return namespace(x).log1p(x)

    def backward(self, dy):
        return dy / (self.x + 1)


class Tanh(Op):
    """y = tanh x;  dy/dx = 1 − tanh² x = 1 − y²."""

    vjp = "dx = dy ⊙ (1 − y²)"

    def forward(self, x):
        self.y = namespace(x).tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y * self.y)


class Sigmoid(Op):
    """y = σ(x) = 1 / (1 + e⁻ˣ);  dy/dx = e⁻ˣ / (1 + e⁻ˣ)² = y (1 − y)."""

    vjp = "dx = dy ⊙ y (1 − y)"

    def forward(self, x):
        self.y = 1 / (1 + namespace(x).exp(-x))
        return self.y

    def backward(self, dy):
        return dy * ((1 - self.y) * self.y)


class Logit(Op):
    """y = ln(x / (1 − x)), the inverse of σ;  dy/dx = 1 / (x (1 − x)).

    With `eps` x is first clamped to [eps, 1 − eps], and outside the gradient is 0.
    """

    vjp = "dx = dy / (x (1 − x)) for x in [eps, 1 − eps], else 0"

    def forward(self, x, *, eps):
        xp = namespace(x)
        self.x, self.eps = x, eps
        if eps is not None:
            x = xp.minimum(xp.maximum(x, eps), 1 - eps)
        return xp.log(x / (1 - x))

    def backward(self, dy):
        xp, x = namespace(dy), self.x
        low, outside = (0, math.nan) if self.eps is None else (self.eps, 0)
        return xp.where((x < low) | (x > 1 - low), outside, dy / (x * (1 - x)))


class Relu(Op):
    """y = max(x, 0);  dy/dx = 1 where x > 0, else 0 (at the kink too, as in PyTorch)."""

    vjp = "dx = dy where y > 0, else 0"

    def forward(self, x):
        self.y = namespace(x).maximum(x, 0)
        return self.y

    def backward(self, dy):
        return namespace(dy).where(self.y <= 0, 0, dy)


class LogAddExp(Op):
    """y = ln(eᵃ + eᵇ), without overflow;  ∂y/∂a = eᵃ / (eᵃ + eᵇ) = σ(a − b), and ∂y/∂b = σ(b − a)."""

    vjp = "da = dy ⊙ σ(a − b);  db = dy ⊙ σ(b − a)"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).logaddexp(a, b)

    def backward(self, dy):
        exp = namespace(dy).exp
        return dy / (1 + exp(self.b - self.a)), dy / (1 + exp(self.a - self.b))


class LogAddExp2(Op):
    """y = log₂(2ᵃ + 2ᵇ), without overflow;  ∂y/∂a = 2ᵃ / (2ᵃ + 2ᵇ), and ∂y/∂b = 2ᵇ / (2ᵃ + 2ᵇ)."""

    vjp = "da = dy / (1 + 2^(b − a));  db = dy / (1 + 2^(a − b))"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).logaddexp2(a, b)

    def backward(self, dy):
        exp2 = namespace(dy).exp2
        return dy / (1 + exp2(self.b - self.a)), dy / (1 + exp2(self.a - self.b))


class Xlogy(Op):
    """y = a ln b, and 0 where a = 0 (unless b is NaN);  ∂y/∂a = ln b, ∂y/∂b = a/b."""

    vjp = "da = dy ⊙ ln b (0 where a = 0 and b ≤ 0);  db = dy ⊙ a / b"

    def forward(self, a, b):
        xp = namespace(a, b)
        self.a, self.b = a, b
        return xp.where((xp.equal(a, 0)) & (~xp.isnan(b)), 0, a * xp.log(b))

    def backward(self, dy):
        xp, a, b = namespace(dy), self.a, self.b
        da = xp.where(xp.equal(a, 0) & xp.less_equal(b, 0), 0, dy * xp.log(b)) if self.needs[0] else None
        return da, dy * (a / b) if self.needs[1] else None


def _not_bool(name: str, input: Tensor) -> Tensor:
    if input.dtype.kind == "b":
        raise RuntimeError(f"{name}: not defined for bool Tensors: use ~ (logical_not), or convert with .long()")
    return input


def neg(input: Tensor) -> Tensor:
    """−input."""
    return Neg.apply(_not_bool("neg", input))


def positive(input: Tensor) -> Tensor:
    """input itself: the + sign."""
    return _not_bool("positive", input)


def reciprocal(input: Tensor) -> Tensor:
    """1 / input."""
    return Reciprocal.apply(as_float(input))


def sqrt(input: Tensor) -> Tensor:
    """The square root; NaN below 0."""
    return Sqrt.apply(as_float(input))


def rsqrt(input: Tensor) -> Tensor:
    """1 / √input."""
    return Rsqrt.apply(as_float(input))


def exp(input: Tensor) -> Tensor:
    """e to the power of each element."""
    return Exp.apply(as_float(input))


def exp2(input: Tensor) -> Tensor:
    """2 to the power of each element."""
    return Exp2.apply(as_float(input))


def expm1(input: Tensor) -> Tensor:
    """exp(input) − 1, exact for small input too."""
    return Expm1.apply(as_float(input))


def log(input: Tensor) -> Tensor:
    """Natural logarithm of each element; −inf at 0 and NaN below."""
    return Log.apply(as_float(input))


def log2(input: Tensor) -> Tensor:
    """Logarithm to base 2."""
    return Log2.apply(as_float(input))


def log10(input: Tensor) -> Tensor:
    """Logarithm to base 10."""
    return Log10.apply(as_float(input))


def log1p(input: Tensor) -> Tensor:
    """ln(1 + input), exact for small input too."""
    return Log1p.apply(as_float(input))


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent of each element."""
    return Tanh.apply(as_float(input))


def sigmoid(input: Tensor) -> Tensor:
    """The logistic function 1 / (1 + exp(−input))."""
    return Sigmoid.apply(as_float(input))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """ln(input / (1 − input)), the inverse of sigmoid, of input clamped to [eps, 1 − eps]; NaN outside [0, 1]."""
    return Logit.apply(as_float(input), eps=eps)


def relu(input: Tensor) -> Tensor:
    """max(input, 0), element by element."""
    return Relu.apply(_not_bool("relu", input))


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """ln(exp(input) + exp(other)), without overflow, broadcast."""
    return LogAddExp.apply(*promote("logaddexp", input, other, to_float=True))


def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log₂(2^input + 2^other), without overflow, broadcast."""
    return LogAddExp2.apply(*promote("logaddexp2", input, other, to_float=True))


def xlogy(input, other) -> Tensor:
    """input · ln(other), with 0 · ln 0 = 0, broadcast; as entropies need it."""
    return Xlogy.apply(*promote("xlogy", input, other, to_float=True))


negative = neg
