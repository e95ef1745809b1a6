"""A sum along one dim, which kept the dim or did not.

Forward, a broadcast copies and a sum gathers. Backward it is the reverse: the gradient of a copy is a sum (B01), and
the gradient of a sum is a copy.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def sum_vjp(dy, x, dim, keepdim):
    """For y = x.sum(dim, keepdim): returns dx, of the shape of x.

    dim is a number from 0. With keepdim the summed dim is still there in y and dy, with size 1; without, it is gone.

    >>> sum_vjp(np.array([1.0, 2.0]), np.zeros((2, 3)), 1, False)
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    if not keepdim:
        dy = np.expand_dims(dy, dim)
    return np.broadcast_to(dy, x.shape)


HINTS = [
    "Every element of x has gone into one sum, with derivative 1. So it gets the dy of its sum, unchanged.",
    "Without keepdim, dy lacks a dim. Give it back, with size 1 and in the right place: np.expand_dims(dy, dim).",
    "Then stretch it over the shape of x; np.broadcast_to does that without copying anything.",
]
READ = [
    Read("tensor/ops/reduce.py", "Sum", "the same, for several dims at once"),
    Read("tensor/ops/reduce.py", "restore", "how a reduced dim comes back"),
]
MISTAKES = [
    Mistake(
        "    return np.broadcast_to(dy, x.shape)",
        "    return np.broadcast_to(dy, x.shape) / x.shape[dim]",
        "It is shared out: every element of x reaches the sum with derivative 1, so each gets all of dy.",
    ),
    Mistake(
        "np.expand_dims(dy, dim)",
        "dy[..., None]",
        "The summed dim comes back at the end always: its place is `dim`.",
    ),
    Mistake(
        "return np.broadcast_to(dy, x.shape)", "return dy * x", "It depends on x: but the derivative of a sum is 1."
    ),
]


def specification(dy, x, dim, keepdim):
    return vjp(lambda x: x.sum(dim, keepdim=keepdim), dy, x)


def cases(draw):
    for shape, dim, keepdim in (
        ((1,), 0, False),
        ((3,), 0, False),
        ((3,), 0, True),
        ((2, 2), 1, False),
        ((2, 3), 0, False),
        ((2, 3), 1, True),
        (draw.sizes(3, high=4), 1, False),
    ):
        x = draw.array(*shape)
        yield draw.array(*x.sum(dim, keepdims=keepdim).shape), x, dim, keepdim
