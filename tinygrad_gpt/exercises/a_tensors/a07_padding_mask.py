"""Which positions of a padded batch hold real tokens.

Sequences of different lengths go into one rectangular Tensor by filling up the short ones. What was filled up must
not be looked at, and must not count in the loss.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def padding_mask(lengths, T):
    """For lengths (B,), int64 in 0 … T: bool (B, T), True at the first lengths[b] positions of row b.

    >>> padding_mask(tensor.tensor([1, 3]), 3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return tensor.arange(T) < lengths[:, None]


HINTS = [
    "Position t of row b is real where t < lengths[b]: one comparison for every pair (b, t).",
    "b counts the rows, so lengths has to be the column. All the t are tensor.arange(T).",
    "Give lengths a second dim of size 1 and compare the positions with it.",
]
READ = [Read("tensor/ops/masks.py", "masked_fill", "what a mask is used for")]
MISTAKES = [
    Mistake("< lengths", "<= lengths", "One position too many: a sequence of length 1 has position 0 only."),
    Mistake("< lengths", ">= lengths", "It marks the padding, not the tokens."),
]
RULES = OneExpression(allow="arange")


def specification(lengths, T):
    out = np.zeros((len(lengths), T), bool)
    for b in range(len(lengths)):
        for t in range(T):
            out[b, t] = t < lengths[b]
    return out


def cases(draw):
    for B, T in ((1, 1), (2, 3), (3, 1), (0, 2), draw.sizes(2), draw.sizes(2)):
        yield draw.ints(B, high=T + 1), T
