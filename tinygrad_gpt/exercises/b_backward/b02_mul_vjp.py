"""A product of any two shapes that broadcast.

The gain of a LayerNorm, the scale of attention, the mask of dropout: all are such products. Whatever the shapes, the
rule is the same: find the gradient in the shape of y first, then sum it over the dims along which the input was
stretched.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def unbroadcast(g, shape):  # given
    """g summed over the dims along which an array of `shape` was stretched to g.shape (exercise A31)."""
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(dim for dim, size in enumerate(shape) if size == 1), keepdims=True)


def mul_vjp(dy, a, b):
    """For y = a * b, where a and b broadcast to the shape of y: returns (da, db).

    If a is nudged by ε, y moves by ε b: the derivative in one factor is the other factor.

    >>> da, db = mul_vjp(np.ones((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[10.0], [20.0]]))
    >>> db
    array([[3.],
           [7.]])
    """
    return unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)


HINTS = [
    "Forget broadcasting for a moment: what are da and db for two arrays of the same shape?",
    "Each is dy times the other factor. That product has the shape of y, even where a or b is smaller.",
    "Then bring it to the shape of the factor that it belongs to: unbroadcast(…, a.shape) for da.",
]
READ = [
    Read("tensor/ops/arithmetic.py", "Mul", "what it saves, and when it saves nothing"),
    Read("tensor/autograd.py", "unbroadcast", "applied to what every backward returns"),
]
MISTAKES = [
    Mistake(
        "unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)",
        "dy * b, dy * a",
        "A gradient has the shape of the broadcast result: unbroadcast it to its factor's shape.",
    ),
    Mistake(
        "unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)",
        "unbroadcast(dy * a, a.shape), unbroadcast(dy * b, b.shape)",
        "The factors are exchanged: the derivative in a is b.",
    ),
    Mistake(
        "unbroadcast(dy * a, b.shape)",
        "unbroadcast(dy, b.shape) * unbroadcast(a, b.shape)",
        "A sum of products is not the product of the sums: multiply first, then sum.",
    ),
]
RETURNS = ("da", "db")


def specification(dy, a, b):
    return vjp(lambda a, b: a * b, dy, a, b)


def cases(draw):
    N, M = draw.sizes(2, high=5)
    for a, b in (
        ((1,), (1,)),
        ((2, 3), (2, 3)),
        ((2, 3), (3,)),
        ((2, 3), (2, 1)),
        ((2, 3), ()),
        ((2, 1), (1, 3)),
        ((N, M), (2, 1, M)),
    ):
        yield draw.array(*np.broadcast_shapes(a, b)), draw.array(*a), draw.array(*b)
