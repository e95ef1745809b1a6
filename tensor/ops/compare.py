"""Comparisons, logic and bits. The results are bools or integers: no gradient flows through them."""

from __future__ import annotations

from tensor import dtypes
from tensor.checks import broadcast_shape, require_tensor
from tensor.devices import namespace
from tensor.op import Op
from tensor.ops.cast import cast, promote
from tensor.ops.masks import nonzero
from tensor.ops.rounding import Elementwise, isfinite, isnan
from tensor.tensor import Tensor, as_array, wrap

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isin",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
    "where",
]
NOT_METHODS = ["isin", "where"]  # x.where(condition, other) has another order
IN_PLACE = [name for name in __all__ if name not in ("allclose", "equal", "isclose", "isin", "where")]


class Where(Op):
    """y = a where the condition holds, else b;  dy goes to the one that was taken."""

    vjp = "da = dy where condition, else 0;  db = 0 where condition, else dy"

    def forward(self, condition, a, b):
        self.condition = condition
        return namespace(condition).where(condition, a, b)

    def backward(self, dy):
        where = namespace(dy).where
        return None, where(self.condition, dy, 0), where(self.condition, 0, dy)


def _compare(name: str, function: str, input, other) -> Tensor:
    return Elementwise.apply(*promote(name, input, other), function=function)


def eq(input, other) -> Tensor:
    """Bools: input = other, element by element, broadcast."""
    return _compare("eq", "equal", input, other)


def ne(input, other) -> Tensor:
    """Bools: input ≠ other, element by element, broadcast."""
    return _compare("ne", "not_equal", input, other)


def lt(input, other) -> Tensor:
    """Bools: input < other, element by element, broadcast."""
    return _compare("lt", "less", input, other)


def le(input, other) -> Tensor:
    """Bools: input ≤ other, element by element, broadcast."""
    return _compare("le", "less_equal", input, other)


def gt(input, other) -> Tensor:
    """Bools: input > other, element by element, broadcast."""
    return _compare("gt", "greater", input, other)


def ge(input, other) -> Tensor:
    """Bools: input ≥ other, element by element, broadcast."""
    return _compare("ge", "greater_equal", input, other)


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Bools: are both elements other than 0?"""
    return _compare("logical_and", "logical_and", input, other)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Bools: is at least one of both elements other than 0?"""
    return _compare("logical_or", "logical_or", input, other)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Bools: is exactly one of both elements other than 0?"""
    return _compare("logical_xor", "logical_xor", input, other)


def logical_not(input: Tensor) -> Tensor:
    """Bools: is the element 0?"""
    return Elementwise.apply(require_tensor("logical_not", input), function="logical_not")


def _bits(name: str, function: str, *operands) -> Tensor:
    for x in operands:
        if isinstance(x, float) or (isinstance(x, Tensor) and dtypes.is_floating(x.dtype)):
            kind = x.dtype if isinstance(x, Tensor) else "a float"
            raise RuntimeError(f"{name}: bits are those of integers and bools, got {kind}: use .long() or .bool()")
    return Elementwise.apply(*promote(name, *operands), function=function)


def bitwise_and(input, other) -> Tensor:
    """The bits set in both integers; for bools `and`. What `&` does."""
    return _bits("bitwise_and", "bitwise_and", input, other)


def bitwise_or(input, other) -> Tensor:
    """The bits set in either integer; for bools `or`. What `|` does."""
    return _bits("bitwise_or", "bitwise_or", input, other)


def bitwise_xor(input, other) -> Tensor:
    """The bits set in exactly one of both integers; for bools `xor`. What `^` does."""
    return _bits("bitwise_xor", "bitwise_xor", input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """Every bit flipped; for bools `not`. What `~` does."""
    return _bits("bitwise_not", "bitwise_not", require_tensor("bitwise_not", input))


def bitwise_left_shift(input, other) -> Tensor:
    """The bits of input moved `other` places up: input · 2^other. What `<<` does."""
    return _bits("bitwise_left_shift", "left_shift", input, other)


def bitwise_right_shift(input, other) -> Tensor:
    """The bits of input moved `other` places down: ⌊input / 2^other⌋. What `>>` does."""
    return _bits("bitwise_right_shift", "right_shift", input, other)


def equal(input: Tensor, other: Tensor) -> bool:
    """Have both Tensors the same shape and the same elements? A Python bool."""
    return input.shape == other.shape and bool(eq(input, other).array.all())


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Bools: |input − other| ≤ atol + rtol · |other|, element by element, broadcast."""
    if input.dtype != other.dtype:
        raise RuntimeError(f"isclose: both operands need one dtype, got {input.dtype} and {other.dtype}")
    a, b = input.detach(), other.detach()
    same = eq(a, b)
    if equal_nan:
        same = logical_or(same, logical_and(isnan(a), isnan(b)))
    if not dtypes.is_floating(a.dtype):
        a, b = cast(a, dtypes.float64), cast(b, dtypes.float64)
    difference = (a - b).abs()
    near = logical_and(isfinite(difference), le(difference, atol + rtol * b.abs()))
    return logical_or(same, near)


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Are all elements close, as `isclose` has it? A Python bool."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


def isin(elements, test_elements, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Bools in the shape of `elements`: is the element among `test_elements`? With `invert`, is it not?

    `assume_unique` promises that neither holds an element twice, which can be faster.
    """
    operands = [x if isinstance(x, Tensor) else wrap(as_array(x)) for x in (elements, test_elements)]
    target = dtypes.result_type(*operands)
    a, b = (cast(x.detach(), target).array for x in operands)
    return wrap(namespace(a).isin(a, b, assume_unique=assume_unique, invert=invert))


def where(condition: Tensor, input=None, other=None):
    """input where the condition holds, else other, broadcast; either may be a number.

    With the condition alone: the positions where it is not 0, one index Tensor per dim. As a method the order is
    `input.where(condition, other)`.
    """
    require_tensor("where", condition)
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if condition.dtype != dtypes.bool_:
        raise RuntimeError(f"where: the condition must hold bools, got {condition.dtype}: compare, or use .bool()")
    target = dtypes.result_type(input, other)
    a, b = (cast(x, target) if isinstance(x, Tensor) else x for x in (input, other))
    broadcast_shape("where", condition.shape, *[x.shape for x in (a, b) if isinstance(x, Tensor)])
    return cast(Where.apply(condition, a, b), target)  # of two numbers NumPy makes a float64


def where_method(input: Tensor, condition: Tensor, other) -> Tensor:
    """input where the condition holds, else other: `where` as a method."""
    return where(condition, input, other)


greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
