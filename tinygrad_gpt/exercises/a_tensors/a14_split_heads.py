"""Cut the channels into heads: (B, T, C) -> (B, nh, T, hs).

Heads work side by side, so they become a dim of the batch. The cut itself moves no number: a view gives C two
dims, nh and hs, and a transpose brings nh to the front.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def split_heads(x, n_head):
    """For x (B, T, C) with C = n_head · hs: (B, n_head, T, hs). Head h gets channels h·hs … (h+1)·hs − 1.

    >>> split_heads(tensor.arange(4).view(1, 1, 4), 2).shape
    (1, 2, 1, 2)
    """
    return x.view(x.shape[0], x.shape[1], n_head, x.shape[2] // n_head).transpose(1, 2)


HINTS = [
    "Two steps: split dim 2 into two dims, then swap two dims.",
    "A view keeps the order of the numbers, so it can only split C where it stands: (B, T, nh, hs). hs is C // n_head.",
    "After the view T is dim 1 and nh is dim 2; transpose(1, 2) swaps them.",
]
READ = [
    Read("tinygrad_gpt/model.py", "CausalSelfAttention.forward", "three times this line: q, k and v"),
    Read("tensor/ops/shape.py", "Permute", "the gradient of a transpose is a transpose"),
    Read("tensor/ops/shape.py", "view", "when a view is possible without a copy"),
]
MISTAKES = [
    Mistake(
        "x.view(x.shape[0], x.shape[1], n_head, x.shape[2] // n_head).transpose(1, 2)",
        "x.view(x.shape[0], n_head, x.shape[1], x.shape[2] // n_head)",
        "A view alone mixes positions and heads: it can split C, but not move nh past T.",
    ),
    Mistake(
        "n_head, x.shape[2] // n_head).transpose(1, 2)",
        "x.shape[2] // n_head, n_head).permute(0, 3, 1, 2)",
        "Each head gets every nh-th channel; it should get hs channels in a row.",
    ),
]
RULES = OneExpression(allow="view reshape transpose permute unflatten")


def specification(x, n_head):
    B, T, C = x.shape
    hs = C // n_head
    out = np.zeros((B, n_head, T, hs), x.dtype)
    for h in range(n_head):
        for i in range(hs):
            out[:, h, :, i] = x[:, :, h * hs + i]
    return out


def cases(draw):
    for B, T, nh, hs in ((1, 1, 1, 1), (1, 1, 2, 2), (1, 3, 2, 1), (1, 2, 2, 3), draw.sizes(4), draw.sizes(4)):
        yield draw.floats(B, T, nh * hs), nh
