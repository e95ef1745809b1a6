"""Which functions are also methods and operators of Tensor, and which have an in-place form.

`x.exp()` is `exp(x)`: every public function of `tensor/ops/` takes its Tensor first and becomes a method under the
same name, except those that its file lists in NOT_METHODS. The in-place form of a function that its file lists in
IN_PLACE is derived: `x.exp_()` is `assign(x, exp(x))`. What is a method and no function stands in a file's METHODS.
"""

from __future__ import annotations

from collections.abc import Callable

from tensor import autograd, create, dtypes, random
from tensor.devices import is_array
from tensor.display import to_html
from tensor.explain import explain
from tensor.inplace import assign
from tensor.op import next_number
from tensor.ops import FAMILIES, arithmetic, compare, index, maths, matmul, rounding, shape
from tensor.ops.cast import cast, to
from tensor.ops.split import unbind
from tensor.tensor import Tensor, as_array, wrap

# x + y, its mirror image 2 + x, and x += y
BINARY: dict[str, Callable] = {
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "mul": arithmetic.mul,
    "truediv": arithmetic.div,
    "floordiv": arithmetic.floor_divide,
    "mod": arithmetic.remainder,
    "pow": arithmetic.pow,
    "matmul": matmul.matmul,
    "and": compare.bitwise_and,
    "or": compare.bitwise_or,
    "xor": compare.bitwise_xor,
    "lshift": compare.bitwise_left_shift,
    "rshift": compare.bitwise_right_shift,
}
COMPARISONS: dict[str, Callable] = {
    "eq": compare.eq,
    "ne": compare.ne,
    "lt": compare.lt,
    "le": compare.le,
    "gt": compare.gt,
    "ge": compare.ge,
}
UNARY: dict[str, Callable] = {
    "neg": maths.neg,
    "pos": maths.positive,
    "abs": rounding.abs,
    "invert": compare.bitwise_not,
}
PROPERTIES: dict[str, Callable] = {
    "T": shape.reverse_dims,
    "mT": shape.matrix_transpose,
    "H": shape.reverse_dims,
    "mH": shape.matrix_transpose,  # of real Tensors, the only ones here, the adjoint is the transpose
}
CONVERSIONS = {
    "half": dtypes.float16,
    "float": dtypes.float32,
    "double": dtypes.float64,
    "byte": dtypes.uint8,
    "char": dtypes.int8,
    "short": dtypes.int16,
    "int": dtypes.int32,
    "long": dtypes.int64,
    "bool": dtypes.bool_,
}


def _operand(value):
    """`value` as an operand of a Tensor: itself if Tensor or number, an array as a Tensor; None for all else."""
    if isinstance(value, Tensor) or dtypes.is_scalar(value):
        return value
    return wrap(as_array(value)) if is_array(value) else None


def _operator(function):
    """`x + other`. For what is no number Python is told so: it tries the other side, and `x == None` is False."""

    def method(self, other):
        other = _operand(other)
        return NotImplemented if other is None else function(self, other)

    return method


def _reflected(function):
    def method(self, other):
        other = _operand(other)
        return NotImplemented if other is None else function(other, self)

    return method


def _in_place(name: str, function):
    def method(self, *args, **kwargs):
        since = next_number()
        return assign(self, function(self, *args, **kwargs), name, since)

    method.__name__ = name
    method.__doc__ = f"In-place form of `{function.__name__}`: writes the result into this Tensor and returns it."
    return method


def _augmented(name: str, function):
    operator = _operator(function)

    def method(self, other):
        since = next_number()
        result = operator(self, other)
        return result if result is NotImplemented else assign(self, result, name, since)

    return method


def _conversion(name: str, dtype):
    def method(self):
        return cast(self, dtype)

    method.__name__ = name
    method.__doc__ = f"This Tensor in {dtype}; itself if it is so already."
    return method


def cpu(input: Tensor) -> Tensor:
    """This Tensor on the CPU; itself if it is there already."""
    return to(input, device="cpu")


def cuda(input: Tensor, device="cuda") -> Tensor:
    """This Tensor on the GPU; itself if it is there already."""
    return to(input, device=f"cuda:{device}" if isinstance(device, int) else device)


def type(input: Tensor, dtype=None):
    """The name of the dtype, or with an argument this Tensor in that dtype."""
    return str(input.dtype) if dtype is None else to(input, dtype=dtype)


def iterate(input: Tensor):
    """`for row in x`: the slices along dim 0."""
    if input.ndim == 0:
        raise TypeError("iteration over a 0-dim Tensor")
    return iter(unbind(input, 0))


def contains(input: Tensor, element) -> bool:
    """`element in x`: does any element equal it?"""
    if _operand(element) is None:
        raise RuntimeError(f"in: a Tensor holds numbers, and {element!r} is none")
    return bool((input == element).array.any())


MORE: dict[str, Callable] = {
    "where": compare.where_method,
    "cpu": cpu,
    "cuda": cuda,
    "type": type,
    "backward": autograd.backward,
    "explain": explain,
    "_repr_html_": to_html,
    "__iter__": iterate,
    "__contains__": contains,
    "__getitem__": index.getitem,
    "__setitem__": index.setitem,
}


def _attach() -> None:
    for family in FAMILIES:
        for name in [*family.__all__, *getattr(family, "METHODS", ())]:
            if name not in getattr(family, "NOT_METHODS", ()):
                setattr(Tensor, name, getattr(family, name))
            if name in getattr(family, "IN_PLACE", ()):
                setattr(Tensor, name + "_", _in_place(name + "_", getattr(family, name)))
    for module in (create, random):
        for name in module.METHODS:
            setattr(Tensor, name, getattr(module, name))
    for name, function in BINARY.items():
        setattr(Tensor, f"__{name}__", _operator(function))
        setattr(Tensor, f"__r{name}__", _reflected(function))
        setattr(Tensor, f"__i{name}__", _augmented(f"__i{name}__", function))
    for name, function in COMPARISONS.items():
        setattr(Tensor, f"__{name}__", _operator(function))
    for name, function in UNARY.items():
        setattr(Tensor, f"__{name}__", function)
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function))
    for name, dtype in CONVERSIONS.items():
        setattr(Tensor, name, _conversion(name, dtype))
    for name, function in MORE.items():
        setattr(Tensor, name, function)


_attach()
