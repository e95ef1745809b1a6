"""The larger or the smaller of two, element by element, and clamping between bounds.

A kink needs a convention for its gradient. PyTorch's hold here: at a tie `maximum` and `minimum` give each side
half, `fmax` and `fmin` give all to the first operand, `clamp` gives all to its input.
"""

from __future__ import annotations

from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.cast import promote
from tensor.tensor import Tensor

__all__ = ["clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "maximum", "minimum"]
IN_PLACE = ["clamp", "clamp_max", "clamp_min", "clip"]


class Maximum(Op):
    """y = max(a, b), NaN if either is;  dy goes to the larger one, and half to each at a tie."""

    vjp = "da = dy ⊙ [a > b] + ½ dy ⊙ [a = b];  db = dy ⊙ [b > a] + ½ dy ⊙ [a = b]"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).maximum(a, b)

    def backward(self, dy):
        return _to_winner(dy, self.a == self.b, self.a < self.b, self.a > self.b)


class Minimum(Op):
    """y = min(a, b), NaN if either is;  dy goes to the smaller one, and half to each at a tie."""

    vjp = "da = dy ⊙ [a < b] + ½ dy ⊙ [a = b];  db = dy ⊙ [b < a] + ½ dy ⊙ [a = b]"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).minimum(a, b)

    def backward(self, dy):
        return _to_winner(dy, self.a == self.b, self.a > self.b, self.a < self.b)


def _to_winner(dy, tie, a_loses, b_loses):
    where = namespace(dy).where
    dy = where(tie, dy / 2, dy)
    return where(a_loses, 0, dy), where(b_loses, 0, dy)


class Fmax(Op):
    """y = max(a, b), and where one of them is NaN the other;  dy goes to a where a ≥ b or b is NaN, else to b."""

    vjp = "da = dy where a is taken, else 0;  db = dy − da"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).fmax(a, b)

    def backward(self, dy):
        where, a_taken = namespace(dy).where, (self.a >= self.b) | (self.b != self.b)
        return where(a_taken, dy, 0), where(a_taken, 0, dy)


class Fmin(Op):
    """y = min(a, b), and where one of them is NaN the other;  dy goes to a where a ≤ b or b is NaN, else to b."""

    vjp = "da = dy where a is taken, else 0;  db = dy − da"

    def forward(self, a, b):
        self.a, self.b = a, b
        return namespace(a, b).fmin(a, b)

    def backward(self, dy):
        where, a_taken = namespace(dy).where, (self.a <= self.b) | (self.b != self.b)
        return where(a_taken, dy, 0), where(a_taken, 0, dy)


class ClampMin(Op):
    """y = max(x, low), for a number or a Tensor of lower bounds."""

    vjp = "dx = dy where x ≥ low, else 0;  dlow = dy − dx"

    def forward(self, x, low):
        self.x, self.low = x, low
        return namespace(x).maximum(x, low)

    def backward(self, dy):
        where = namespace(dy).where
        return where(self.x >= self.low, dy, 0), where(self.x < self.low, dy, 0)


class ClampMax(Op):
    """y = min(x, high), for a number or a Tensor of upper bounds."""

    vjp = "dx = dy where x ≤ high, else 0;  dhigh = dy − dx"

    def forward(self, x, high):
        self.x, self.high = x, high
        return namespace(x).minimum(x, high)

    def backward(self, dy):
        where = namespace(dy).where
        return where(self.x <= self.high, dy, 0), where(self.x > self.high, dy, 0)


class Clamp(Op):
    """y = min(max(x, low), high): x in [low, high]; where low > high, y = high."""

    vjp = "dx = dy where low ≤ x ≤ high, else 0;  dlow = dy where x < low < high;  dhigh = dy where high is taken"

    def forward(self, x, low, high):
        self.x, self.low, self.high = x, low, high
        xp = namespace(x)
        return xp.minimum(xp.maximum(x, low), high)

    def backward(self, dy):
        where, x, low, high = namespace(dy).where, self.x, self.low, self.high
        dx = where((x >= low) & (x <= high), dy, 0)
        dlow = where((x < low) & (low < high), dy, 0) if self.needs[1] else None
        dhigh = where((x > high) | (high < low), dy, 0) if self.needs[2] else None
        return dx, dlow, dhigh


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of both, element by element, broadcast; NaN if either is."""
    return Maximum.apply(*promote("maximum", input, other))


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of both, element by element, broadcast; NaN if either is."""
    return Minimum.apply(*promote("minimum", input, other))


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of both, element by element, broadcast; a NaN loses against a number."""
    return Fmax.apply(*promote("fmax", input, other))


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of both, element by element, broadcast; a NaN loses against a number."""
    return Fmin.apply(*promote("fmin", input, other))


def clamp(input: Tensor, min=None, max=None) -> Tensor:
    """input limited to [min, max], each a number, a Tensor (broadcast) or None for no limit; max wins over min."""
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must be given")
    if max is None:
        return clamp_min(input, min)
    if min is None:
        return clamp_max(input, max)
    return Clamp.apply(*promote("clamp", input, min, max))


def clamp_min(input: Tensor, min) -> Tensor:
    """max(input, min), for a number or a Tensor."""
    return ClampMin.apply(*promote("clamp_min", input, min))


def clamp_max(input: Tensor, max) -> Tensor:
    """min(input, max), for a number or a Tensor."""
    return ClampMax.apply(*promote("clamp_max", input, max))


clip = clamp
