"""The scores of all queries and all keys, in all heads at once.

@ multiplies the last two dims and takes all dims before them as a batch. So one line serves B sequences with nh heads,
and queries and keys may be of different number: T of one, S of the other.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def attention_scores(q, k):
    """For q (B, nh, T, hs) and k (B, nh, S, hs), float32: float32 (B, nh, T, S), the dot products over √hs.

    >>> attention_scores(tensor.tensor([[[[3.0]]]]), tensor.tensor([[[[1.0], [2.0]]]]))
    tensor([[[[3., 6.]]]])
    """
    return q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5


HINTS = [
    "Without the batch it is q (T, hs) times the transpose of k, (hs, S). The batch dims come along by themselves.",
    "Swap the last two dims of k only; counting them from the end, -2 and -1, works whatever stands before.",
    "Multiply the product by the number hs ** -0.5, with hs = q.shape[-1].",
]
READ = [
    Read("tensor/ops/matmul.py", "Matmul", "dq = dS k and dk = dSᵀ q are special cases of its two gradients"),
    Read("tensor/kernels/numpy_kernels.py", "", "attention there: the same scores, tile by tile, never all in memory"),
]
MISTAKES = [
    Mistake(" * q.shape[-1] ** -0.5", "", "The scores are not scaled by 1/√hs."),
    Mistake(
        "q @ k.transpose(-2, -1)", "k @ q.transpose(-2, -1)", "Rows should belong to the queries, columns to the keys."
    ),
    Mistake(
        "q.shape[-1] ** -0.5",
        "(q.shape[1] * q.shape[-1]) ** -0.5",
        "The scale is that of one head, √hs, not of all channels.",
    ),
]
RULES = OneExpression(allow="transpose mT permute")


def specification(q, k):
    B, nh, T, hs = q.shape
    out = np.zeros((B, nh, T, k.shape[2]), q.dtype)
    for b in range(B):
        for h in range(nh):
            for t in range(T):
                for s in range(k.shape[2]):
                    out[b, h, t, s] = sum(q[b, h, t, i] * k[b, h, s, i] for i in range(hs)) / hs**0.5
    return out


def cases(draw):
    for B, nh, T, S, hs in ((1, 1, 1, 1, 2), (1, 1, 2, 3, 1), (1, 2, 1, 2, 4), (2, 1, 3, 2, 2), draw.sizes(5)):
        yield draw.floats(B, nh, T, hs), draw.floats(B, nh, S, hs)
