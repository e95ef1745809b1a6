"""Element-wise functions of one Tensor: exp, log, tanh, …  Each is y_i = f(x_i), so dx_i = f′(x_i) dy_i.

An op saves its output instead of its input where the derivative is simpler in y (eˣ is its own derivative).
"""

from __future__ import annotations

from tensor import dtypes
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.cast import cast
from tensor.tensor import Tensor

__all__ = ["neg", "exp", "log", "tanh", "relu"]
IN_PLACE = ["neg", "exp", "log", "tanh", "relu"]


def as_float(input: Tensor) -> Tensor:
    """input as it is if floating, else in the default floating-point dtype (exp of integers is a float)."""
    return input if dtypes.is_floating(input.dtype) else cast(input, dtypes.get_default_dtype())


class Neg(Op):
    """y = −x."""

    vjp = "dx = −dy"

    def forward(self, x):
        return -x

    def backward(self, dy):
        return -dy


class Exp(Op):
    """y = eˣ;  dy/dx = eˣ = y."""

    vjp = "dx = dy ⊙ y"

    def forward(self, x):
        self.y = namespace(x).exp(x)
        return self.y

    def backward(self, dy):
        return dy * self.y


class Log(Op):
    """y = ln x;  dy/dx = 1/x."""

    vjp = "dx = dy / x"

    def forward(self, x):
        self.x = x
        return namespace(x).log(x)

    def backward(self, dy):
        return dy / self.x


class Tanh(Op):
    """y = tanh x;  dy/dx = 1 − tanh² x = 1 − y²."""

    vjp = "dx = dy ⊙ (1 − y²)"

    def forward(self, x):
        self.y = namespace(x).tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y * self.y)


class Relu(Op):
    """y = max(x, 0);  dy/dx = 1 where x > 0, else 0 (at the kink too, as in PyTorch)."""

    vjp = "dx = dy ⊙ [y > 0]"

    def forward(self, x):
        self.y = namespace(x).maximum(x, 0)
        return self.y

    def backward(self, dy):
        return dy * (self.y > 0)


def neg(input: Tensor) -> Tensor:
    """−input."""
    return Neg.apply(input)


def exp(input: Tensor) -> Tensor:
    """e to the power of each element."""
    return Exp.apply(as_float(input))


def log(input: Tensor) -> Tensor:
    """Natural logarithm of each element; −inf at 0 and NaN below."""
    return Log.apply(as_float(input))


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent of each element."""
    return Tanh.apply(as_float(input))


def relu(input: Tensor) -> Tensor:
    """max(input, 0), element by element."""
    return Relu.apply(input)
