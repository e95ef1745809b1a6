"""A mean over one or several dims.

The loss is the mean over all positions of a batch. This is where the 1/(B·T) in every gradient of a GPT comes from.
"""

import math

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def mean_vjp(dy, x, dims):
    """For y = x.mean(dims), which does not keep the dims: returns dx, of the shape of x.

    dims is a tuple of different numbers from 0: (1,), (0, 2), …; () stands for no dim, and y is x.

    >>> mean_vjp(np.array([1.0, 2.0]), np.zeros((2, 4)), (1,))
    array([[0.25, 0.25, 0.25, 0.25],
           [0.5 , 0.5 , 0.5 , 0.5 ]])
    """
    count = math.prod(x.shape[dim] for dim in dims)
    return np.broadcast_to(np.expand_dims(dy, dims) / count, x.shape)


HINTS = [
    "A mean is a sum divided by the number of its elements. Begin with what you wrote for the sum.",
    "np.expand_dims takes a tuple of dims as well.",
    "How many elements went into one mean? The product of the sizes of the dims in `dims`: math.prod.",
]
READ = [
    Read("tensor/ops/reduce.py", "Mean", "it is written as a Sum with one line more"),
    Read("nn/functional/cross_entropy.py", "cross_entropy", "where a GPT takes its mean"),
]
MISTAKES = [
    Mistake(" / count", "", "It is the gradient of the sum: divide by the number of elements that make one mean."),
    Mistake(
        "math.prod(x.shape[dim] for dim in dims)",
        "x.size",
        "It is divided by the number of all elements of x: only those of one mean count.",
    ),
    Mistake(
        "math.prod(x.shape[dim] for dim in dims)",
        "sum(x.shape[dim] for dim in dims)",
        "The sizes of the dims are added: their product is the number of elements.",
    ),
]


def specification(dy, x, dims):
    return vjp(lambda x: x.mean(dims) if dims else x * 1.0, dy, x)


def cases(draw):
    for shape, dims in (
        ((1,), (0,)),
        ((3,), (0,)),
        ((2, 3), (1,)),
        ((2, 3), (0,)),
        ((2, 3), (0, 1)),
        ((2, 3), ()),
        (draw.sizes(3, high=4), (0, 2)),
    ):
        x = draw.array(*shape)
        yield draw.array(*x.mean(dims).shape), x, dims
