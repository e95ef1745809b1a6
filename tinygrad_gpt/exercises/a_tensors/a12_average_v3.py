"""Average all up to here, version 3: a softmax of masked zeros.

The weights of version two can be had another way: scores of 0 for all that may be seen, −inf for all that may not, and
a softmax over each row. It seems a detour, but now the weights come from scores, and scores can be learned.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def average_v3(x):
    """The same again, x (B, T, C) float32 -> float32 (B, T, C): the softmax of scores that are 0 or −inf, @ x.

    >>> average_v3(tensor.tensor([[[2.0], [4.0], [9.0]]]))
    tensor([[[2.],
             [3.],
             [5.]]])
    """
    return (
        tensor.where(tensor.arange(x.shape[1])[:, None] >= tensor.arange(x.shape[1]), 0.0, -tensor.inf).softmax(-1) @ x
    )


HINTS = [
    "exp(−inf) is 0 and exp(0) is 1: so a row with t + 1 zeros becomes t + 1 times 1/(t+1) under a softmax.",
    "The scores are tensor.where(triangle, 0.0, -tensor.inf). Each row, so the last dim, is to sum to 1.",
    "scores.softmax(-1) are the weights; multiply x by them from the left, as before.",
]
READ = [
    Read("tensor/ops/softmax.py", "Softmax", "its gradient in one line, derived in the docstring"),
    Read("tensor/ops/masks.py", "MaskedFill", "no gradient flows back through what was masked"),
]
MISTAKES = [
    Mistake(
        ".softmax(-1)",
        ".softmax(0)",
        "The softmax runs along the columns: what one position gives, not what it takes, sums to 1.",
    ),
    Mistake("0.0, -tensor.inf", "1.0, 0.0", "A score of 0 is no mask: exp(0) is 1. Only −inf becomes a weight of 0."),
]
RULES = OneExpression(allow="arange where zeros masked_fill inf softmax float")


def specification(x):
    B, T, C = x.shape
    out = np.zeros((B, T, C), x.dtype)
    for b in range(B):
        for t in range(T):
            for c in range(C):
                out[b, t, c] = sum(x[b, s, c] for s in range(t + 1)) / (t + 1)
    return out


def cases(draw):
    for B, T, C in ((1, 1, 1), (1, 2, 1), (2, 3, 1), draw.sizes(3), draw.sizes(3)):
        yield (draw.floats(B, T, C),)
