"""Both masks at once, as numbers to add to the scores.

Attention scores have four dims, (B, nh, T, S). A mask for them is made in one go, if every dim that it does not depend
on has size 1: broadcasting does the rest when it is added.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def attention_mask(lengths, T):
    """float32 (B, 1, T, T): 0 where position t may look at s in sequence b, −inf elsewhere.

    t may look at s if s ≤ t, and if s is no padding: s < lengths[b]. lengths is int64 (B,).

    >>> attention_mask(tensor.tensor([1]), 2)
    tensor([[[[  0., -inf],
              [  0., -inf]]]])
    """
    return tensor.where(
        (tensor.arange(T)[:, None] >= tensor.arange(T)) & (tensor.arange(T) < lengths[:, None, None, None]),
        0.0,
        -tensor.inf,
    )


HINTS = [
    "Two conditions joined by &. Each is an earlier exercise (A06, A07); put parentheses around each of them.",
    "s runs along the last dim, t along the one before. lengths[b] belongs to dim 0 of 4: give it three more dims.",
    "tensor.where(condition, 0.0, -tensor.inf) makes the numbers. (T, T) & (B, 1, 1, T) broadcasts to (B, 1, T, T).",
]
READ = [
    Read("tensor/ops/compare.py", "Where", "its gradient goes to the side that was taken"),
    Read(
        "nn/functional/attention.py", "scaled_dot_product_attention", "which masks it takes: bools, or numbers to add"
    ),
]
MISTAKES = [
    Mistake(
        "lengths[:, None, None, None]",
        "lengths[:, None, None]",
        "The dim of the heads is missing, size 1: (B, 1, T, T).",
    ),
    Mistake(
        "(tensor.arange(T) < lengths",
        "(tensor.arange(T)[:, None] < lengths",
        "lengths limits s, the position looked at, not t.",
    ),
]
RULES = OneExpression(allow="arange where inf float")


def specification(lengths, T):
    out = np.full((len(lengths), 1, T, T), -np.inf, np.float32)
    for b in range(len(lengths)):
        for t in range(T):
            for s in range(T):
                if s <= t and s < lengths[b]:
                    out[b, 0, t, s] = 0
    return out


def cases(draw):
    for B, T in ((1, 1), (2, 3), (3, 2), draw.sizes(2), draw.sizes(2)):
        yield draw.ints(B, low=1, high=T + 1), T
