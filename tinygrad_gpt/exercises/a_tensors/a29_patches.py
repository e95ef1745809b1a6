"""Cut a picture into patches without moving a number.

A vision transformer's tokens are the patches of a picture. They can be had as a view: the same memory under another
shape and other strides, so it costs nothing, however large the picture.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def patches(x, p):
    """For x (H, W), contiguous, H and W multiples of p: (H/p, W/p, p, p).

    out[i, j] is the patch in row i and column j. It has to be a view: it shares the memory of x.

    >>> patches(tensor.arange(8).view(2, 4), 2)
    tensor([[[[0, 1],
              [4, 5]],
    <BLANKLINE>
             [[2, 3],
              [6, 7]]]])
    """
    return x.view(x.shape[0] // p, p, x.shape[1] // p, p).transpose(1, 2)


HINTS = [
    "It is like splitting heads (A14), twice: both H and W are split into two dims.",
    "Splitting H into (H/p, p) and W into (W/p, p) is a view: (H/p, p, W/p, p). Which dims are in the wrong place now?",
    "Swap dims 1 and 2, so that the two counts of patches come first and the two dims inside a patch last.",
]
READ = [
    Read("tensor/ops/shape.py", "view", "when it can be one"),
    Read("tensor/ops/shape.py", "Reshape", "its gradient: the same numbers in the former shape"),
]
MISTAKES = [
    Mistake(
        "x.view(x.shape[0] // p, p, x.shape[1] // p, p).transpose(1, 2)",
        "x.view(x.shape[0] // p, x.shape[1] // p, p, p)",
        "Each patch holds p · p numbers in a row of x, not a square of it.",
    ),
    Mistake(
        ".transpose(1, 2)",
        ".transpose(1, 2).contiguous()",
        "The values are right, but it is a copy: a view of x was asked for.",
    ),
]
RULES = OneExpression(allow="view reshape transpose permute unflatten contiguous")


def specification(x, p):
    H, W = x.shape
    out = np.zeros((H // p, W // p, p, p), x.dtype)
    for i in range(H):
        for j in range(W):
            out[i // p, j // p, i % p, j % p] = x[i, j]
    return out


def cases(draw):
    for rows, columns, p in ((1, 1, 1), (1, 2, 2), (2, 1, 2), (2, 3, 2), (3, 2, 1), (2, 4, 3)):
        yield draw.ints(rows * p, columns * p, high=100), p


def also(result, x, p):
    if not np.shares_memory(result.array, x.array):
        return "The values are right, but it is a copy: a view of x was asked for."
    return None
