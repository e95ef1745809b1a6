"""Dropout: a mask drawn at random, and a scale.

In training each element is dropped with probability p; the others are made larger by 1 / (1 − p), so that their sum is
on average what it was. Backward needs the very same mask. To draw a new one is a mistake that no shape and no value of
the loss betrays: the gradient then belongs to another network than the one that ran.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def dropout_vjp(dy, y, keep, p):
    """For y = x ⊙ keep / (1 − p), where keep (bool, of x's shape) is what forward has drawn: returns dx.

    y is given, too; is it of any use? An element of y may be 0 because it was dropped, or because x is 0.

    >>> dropout_vjp(np.array([1.0, 3.0]), np.array([0.0, 4.0]), np.array([False, True]), 0.25)
    array([0., 4.])
    """
    return dy * keep / (1 - p)


HINTS = [
    "keep and p do not depend on x: y is x times a constant, element by element.",
    "The gradient is dy times that same constant.",
    "The constant is 0 where keep is False and 1 / (1 − p) where it is True.",
]
READ = [
    Read("nn/functional/dropout.py", "Dropout", "forward and backward are one and the same function"),
    Read("tensor/kernels/random_bits.py", "random_bits", "the mask is not kept: it is made again from its seed"),
]
MISTAKES = [
    Mistake(" / (1 - p)", "", "It is not rescaled: what was kept has been multiplied by 1 / (1 − p)."),
    Mistake(
        "dy * keep / (1 - p)",
        "dy / (1 - p)",
        "A dropped element gets a gradient: it had no influence on y, so its gradient is 0.",
    ),
    Mistake(
        "dy * keep / (1 - p)",
        "dy * (y != 0) / (1 - p)",
        "An element that was kept but is 0 has a gradient, too: use keep.",
    ),
    Mistake("/ (1 - p)", "/ p", "p is the probability to be dropped; the scale is 1 / (1 − p)."),
    Mistake("/ (1 - p)", "* (1 - p)", "It is multiplied by 1 − p: forward divides by it, and so does backward."),
]


def specification(dy, y, keep, p):
    return vjp(lambda x: x * keep.astype(np.float64) / (1 - p), dy, y)


def cases(draw):
    for shape, p in (((2,), 0.5), ((3,), 0.2), ((2, 3), 0.1), (draw.sizes(2, high=5), 0.25)):
        keep = draw.bools(*shape).array
        keep.flat[0], keep.flat[1] = True, False
        x = draw.array(*shape)
        x.flat[0] = 0.0  # kept, and 0 all the same
        yield draw.array(*shape), x * keep / (1 - p), keep, p
