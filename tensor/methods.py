"""Which functions are also methods and operators of Tensor, and which have an in-place form.

`x.exp()` is `exp(x)`: every public function of `tensor/ops/` takes its Tensor first and becomes a method under the
same name, except those that its file lists in NOT_METHODS. The in-place form of a function that its file lists in
IN_PLACE is derived: `x.exp_()` is `assign(x, exp(x))`.
"""

from __future__ import annotations

from tensor import autograd
from tensor.inplace import assign
from tensor.ops import FAMILIES, arithmetic, index, maths, matmul
from tensor.tensor import Tensor

OPERATORS = {
    "__add__": arithmetic.add,
    "__sub__": arithmetic.sub,
    "__mul__": arithmetic.mul,
    "__truediv__": arithmetic.div,
    "__pow__": arithmetic.pow,
    "__matmul__": matmul.matmul,
}


def _operator(function):
    """`x + other`; NotImplemented for operands that are no numbers, so that Python can try the other side."""

    def method(self, other):
        return function(self, other)

    return method


def _reflected(function):
    def method(self, other):
        return function(other, self)

    return method


def _in_place(name: str, function):
    def method(self, *args, **kwargs):
        return assign(self, function(self, *args, **kwargs), name)

    method.__name__ = name
    method.__doc__ = f"In-place form of `{function.__name__}`: writes the result into this Tensor and returns it."
    return method


def _attach() -> None:
    for family in FAMILIES:
        for name in family.__all__:
            if name not in getattr(family, "NOT_METHODS", ()):
                setattr(Tensor, name, getattr(family, name))
            if name in getattr(family, "IN_PLACE", ()):
                setattr(Tensor, name + "_", _in_place(name + "_", getattr(family, name)))
    for name, function in OPERATORS.items():
        setattr(Tensor, name, _operator(function))
        setattr(Tensor, "__r" + name[2:], _reflected(function))
        setattr(Tensor, "__i" + name[2:], _in_place("__i" + name[2:], function))
    Tensor.__neg__ = maths.neg
    Tensor.__getitem__ = index.getitem
    Tensor.__setitem__ = index.setitem
    Tensor.backward = autograd.backward


_attach()
