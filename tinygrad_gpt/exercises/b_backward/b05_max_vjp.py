"""A maximum along a dim, with ties.

A maximum is a switch: the gradient goes to the element that won and to no other. Where two are equally large there is
no derivative, since to the left and to the right of the tie it differs; an engine has to make a choice. Ours shares
dy evenly, as PyTorch's amax does, which is also the mean of both sides.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def max_vjp(dy, x, dim):
    """For y = x.max(dim), which does not keep the dim: returns dx. Elements that tie for the maximum share evenly.

    >>> max_vjp(np.array([6.0]), np.array([[3.0, 5.0, 5.0]]), 1)
    array([[0., 3., 3.]])
    """
    largest = x == x.max(dim, keepdims=True)
    return np.expand_dims(dy, dim) * largest / largest.sum(dim, keepdims=True)


HINTS = [
    "Compare x with its maximum: that gives an array of True and False in the shape of x. Keep the dim to compare.",
    "dy, with its dim put back, times that array: right wherever there is no tie.",
    "At a tie, divide by how many are True along the dim.",
]
READ = [
    Read("tensor/ops/extrema.py", "Amax", "the same three lines"),
    Read("tensor/ops/maths.py", "Relu", "another switch, which decides its tie at 0 differently"),
]
MISTAKES = [
    Mistake(
        " / largest.sum(dim, keepdims=True)",
        "",
        "At a tie each element gets all of dy, so dy arrives twice: they share it evenly.",
    ),
    Mistake(
        "x == x.max(dim, keepdims=True)",
        "np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)]) "
        "== x.argmax(dim, keepdims=True)",
        "At a tie the first one gets everything: they share dy evenly.",
    ),
    Mistake(
        "dim, keepdims=True)\n", "keepdims=True)\n", "It is the maximum of all of x: each line along dim has its own."
    ),
]


def specification(dy, x, dim):
    return vjp(lambda x: x.amax(dim), dy, x)


def cases(draw):
    yield draw.array(1), np.array([[3.0, 5.0, 5.0]]), 1
    yield draw.array(1), np.array([[2.0], [-1.0]]), 0
    for shape, dim in (((2, 3), 0), ((2, 3), 1), ((3, 2, 4), 1), ((3, 4, 2), 2)):
        x = draw.array(*shape)
        yield draw.array(*x.max(dim).shape), x, dim
        tied = np.moveaxis(x, dim, 0)  # a view: the smallest of a line becomes as large as the largest
        tied[tied.argmin(0), *np.indices(tied.shape[1:])] = tied.max(0)
        yield draw.array(*x.max(dim).shape), x, dim
