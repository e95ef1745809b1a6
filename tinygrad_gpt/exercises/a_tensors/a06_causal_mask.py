"""Who may look at whom: the triangle of causal attention.

A GPT predicts the next token, so while it learns, no position may see what comes after it. One comparison says so for
all pairs of positions.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def causal_mask(T):
    """bool (T, T), True where position t (row) may look at position s (column): at itself and at all before it.

    >>> causal_mask(3)
    tensor([[ True, False, False],
            [ True,  True, False],
            [ True,  True,  True]])
    """
    return tensor.arange(T)[:, None] >= tensor.arange(T)


HINTS = [
    "In words: s ≤ t. In A03 you had all pairs t, s side by side already; only the sign between them changes.",
    "Rows are t, so t has to be a column, (T, 1). Columns are s, a plain (T,).",
    "Compare a column of positions with a row of positions by >=. The result is bool as it stands.",
]
READ = [
    Read("tensor/ops/diagonal.py", "tril", "the function that keeps such a triangle of any matrix"),
    Read("nn/functional/attention.py", "attention_composed", "where the mask is used"),
]
MISTAKES = [
    Mistake(">=", ">", "The diagonal is missing: a position may look at itself."),
    Mistake(">=", "<=", "It is the upper triangle: every position looks into the future."),
    Mistake(
        "tensor.arange(T)[:, None] >= tensor.arange(T)",
        "(tensor.arange(T)[:, None] >= tensor.arange(T)).float()",
        "A mask is made of bools: leave the comparison as it is.",
    ),
]
RULES = OneExpression(allow="arange float where")


def specification(T):
    out = np.zeros((T, T), bool)
    for t in range(T):
        for s in range(T):
            out[t, s] = s <= t
    return out


def cases(draw):
    for T in (1, 2, 3, 0, *draw.sizes(2)):
        yield (T,)
