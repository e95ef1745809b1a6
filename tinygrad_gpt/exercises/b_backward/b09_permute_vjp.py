"""Dims in another order: a transpose of any number of dims.

Nothing is computed here, numbers are only moved. The gradient makes the same way back: each dy goes to the place where
its y came from.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def permute_vjp(dy, order):
    """For y = x.transpose(order): returns dx. order is a tuple: dim i of y is dim order[i] of x.

    >>> permute_vjp(np.zeros((4, 2, 3)), (2, 0, 1)).shape
    (2, 3, 4)
    """
    return dy.transpose(np.argsort(order))


HINTS = [
    "You want the order that undoes `order`. Is it the same one? For (1, 0) yes; try (2, 0, 1) with three sizes.",
    "Dim i of dy has to become dim order[i] of dx. So dim j of dx is the dim i of dy for which order[i] == j.",
    "Where in `order` stands 0, where 1, where 2, …? order.index answers that, and so does a sort of `order`.",
]
READ = [
    Read("tensor/ops/shape.py", "Permute", "forward and backward are both views: nothing is copied"),
    Read("tensor/ops/shape.py", "Reshape", "its gradient is dy in the old shape"),
]
MISTAKES = [
    Mistake("np.argsort(order)", "order", "The same order again does not lead back: (2, 0, 1) is undone by (1, 2, 0)."),
    Mistake(
        "dy.transpose(np.argsort(order))",
        "dy.reshape([dy.shape[i] for i in np.argsort(order)])",
        "The shape is right, but reshape reads the numbers in their old order: the dims have to move.",
    ),
    Mistake(
        "np.argsort(order)", "order[::-1]", "The dims come in reversed order: what you need is the inverse of `order`."
    ),
]


def specification(dy, order):
    shape = [0] * dy.ndim
    for i, dim in enumerate(order):
        shape[dim] = dy.shape[i]
    return vjp(lambda x: x.permute(*order), dy, np.zeros(shape))


def cases(draw):
    for order in ((0,), (1, 0), (1, 0, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1, 3), (3, 0, 2, 1)):
        yield draw.array(*draw.sizes(len(order), high=5)), order
