"""From a place in memory back to an index: the reverse of strides.

argmax of a whole Tensor gives one number, a place in the flattened row. Which row and column, which head and position
is that? Division and remainder say so, for all dims and all places at once.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def unravel(places, shape, strides):
    """For places (N,), and shape and strides (D,), all int64: int64 (N, D), the index of each place.

    The strides are those of a contiguous Tensor of that shape: (12, 4, 1) for the shape (2, 3, 4). No place is
    outside of it.

    >>> unravel(tensor.tensor([5, 23]), tensor.tensor([2, 3, 4]), tensor.tensor([12, 4, 1]))
    tensor([[0, 1, 1],
            [1, 2, 3]])
    """
    return places[:, None] // strides % shape


HINTS = [
    "Think of a clock: 3725 seconds, with strides 3600, 60 and 1. How do you get the hours, the minutes, the seconds?",
    "// by the stride says how often it fits in; for the minutes, take what is left over of that after whole hours.",
    "What is left over is % by the size of the dim. Make places a column, and both operators work on all dims at once.",
]
READ = [
    Read("tensor/ops/extrema.py", "argmax", "which gives such a place if no dim is named"),
    Read("tensor/ops/rounding.py", "", "// rounds down, also below zero, as in PyTorch"),
]
MISTAKES = [
    Mistake(
        " % shape", "", "Only the first dim is right: the later ones still contain the earlier (% takes them out)."
    ),
    Mistake("// strides % shape", "% shape // strides", "First divide by the stride, then take the remainder."),
]
RULES = OneExpression()


def specification(places, shape, strides):
    out = np.zeros((len(places), len(shape)), np.int64)
    for n in range(len(places)):
        rest = places[n]
        for d in range(len(shape)):
            out[n, d] = rest // strides[d]
            rest = rest % strides[d]
    return out


def cases(draw):
    for N, shape in ((1, [1]), (2, [4]), (2, [2, 3]), (3, [3, 2, 4]), (0, [2, 2]), (4, draw.sizes(4))):
        strides = [int(np.prod(shape[d + 1 :])) for d in range(len(shape))]
        yield draw.ints(N, high=int(np.prod(shape))), tensor.tensor(shape), tensor.tensor(strides)
