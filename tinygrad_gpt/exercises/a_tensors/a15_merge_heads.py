"""Put the heads back side by side: (B, nh, T, hs) -> (B, T, C).

The way back from exercise A14. After the transpose the numbers of one position no longer lie in a row in memory:
that is why the line in the model says reshape and not view.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def merge_heads(y):
    """For y (B, nh, T, hs): (B, T, nh · hs), the heads of each position one after the other.

    >>> merge_heads(tensor.arange(4).view(1, 2, 1, 2))
    tensor([[[0, 1, 2, 3]]])
    """
    return y.transpose(1, 2).reshape(y.shape[0], y.shape[2], y.shape[1] * y.shape[3])


HINTS = [
    "Undo the two steps of split_heads in the other order: first the swap, then join two dims.",
    "Dims can be joined only when they stand side by side, in the order wanted: (B, T, nh, hs) first.",
    "Join them by reshape, to (B, T, nh · hs): a view would need the numbers in a row in memory.",
]
READ = [
    Read("tinygrad_gpt/model.py", "CausalSelfAttention.forward", "the line after attention"),
    Read("tensor/ops/shape.py", "reshape", "a view where possible, a copy where not"),
]
MISTAKES = [
    Mistake(
        ".transpose(1, 2)", "", "Without the swap, heads and positions are mixed: the shape is right, the order is not."
    ),
    Mistake(
        "y.transpose(1, 2)",
        "y.permute(0, 2, 3, 1)",
        "The channels of the heads are interleaved: hs has to be the last dim before the join.",
    ),
]
RULES = OneExpression(allow="view reshape transpose permute flatten contiguous")


def specification(y):
    B, nh, T, hs = y.shape
    out = np.zeros((B, T, nh * hs), y.dtype)
    for h in range(nh):
        for i in range(hs):
            out[:, :, h * hs + i] = y[:, h, :, i]
    return out


def cases(draw):
    for B, nh, T, hs in ((1, 1, 1, 1), (1, 2, 1, 2), (1, 2, 2, 1), (1, 2, 3, 2), draw.sizes(4), draw.sizes(4)):
        yield (draw.floats(B, nh, T, hs),)
