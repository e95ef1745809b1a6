"""The distance from each position to each other one.

Attention compares every position with every other. Which may see which, and how much distance should count, are
both read off this matrix.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def relative_positions(T):
    """int64 (T, T) with out[t, s] = t − s: 0 on the diagonal, positive where s lies before t.

    >>> relative_positions(3)
    tensor([[ 0, -1, -2],
            [ 1,  0, -1],
            [ 2,  1,  0]])
    """
    return tensor.arange(T)[:, None] - tensor.arange(T)


HINTS = [
    "It is like the outer product of exercise A02, with another sign between the two vectors.",
    "Both vectors are tensor.arange(T). One of them runs along the rows and has to be a column (T, 1).",
    "t is the row and s the column; so the one that gets [:, None] is the one in front of the minus.",
]
READ = [Read("nn/functional/attention.py", "attention_composed", "where every position is compared with every other")]
MISTAKES = [
    Mistake(
        "[:, None] - tensor.arange(T)", " - tensor.arange(T)[:, None]", "It is s − t: rows and columns changed places."
    ),
]
RULES = OneExpression(allow="arange")


def specification(T):
    out = np.zeros((T, T), np.int64)
    for t in range(T):
        for s in range(T):
            out[t, s] = t - s
    return out


def cases(draw):
    for T in (1, 2, 3, 0, *draw.sizes(2)):
        yield (T,)
