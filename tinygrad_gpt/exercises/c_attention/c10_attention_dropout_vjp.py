"""Attention with dropout: which p is meant where?

In training some weights are dropped, after the softmax: now there are two matrices, p as the softmax made it, and what
is left of it. The values were mixed by what is left, while the softmax knows nothing of the dropout. Confuse the two
and the gradient is wrong, but never by much, and the model trains, a little worse than it should.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def attention_dropout_vjp(dy, p, v, keep, rate):
    """The gradients of everything in these lines, in the order in which you meet them on the way back:

        p = softmax(s)                    (T, S)
        left = p ⊙ keep / (1 − rate)      (T, S)    keep is bool
        y = left @ v                      (T, E)    v is (S, E)

    Returns (dv, dleft, dp, ds).

    >>> half, no = np.array([[0.5, 0.5]]), np.array([[False, False]])
    >>> attention_dropout_vjp(np.array([[1.0]]), half, np.array([[2.0], [6.0]]), no, 0.5)[0]
    array([[0.],
           [0.]])
    """
    factor = keep / (1 - rate)  # (T, S)
    dv = (p * factor).T @ dy  # (S, E)
    dleft = dy @ v.T  # (T, S)
    dp = dleft * factor  # (T, S)
    ds = p * (dp - (dp * p).sum(1, keepdims=True))  # (T, S)
    return dv, dleft, dp, ds


HINTS = [
    "Compute left again. dv and dleft are C01, with left in the place of p.",
    "dp is dleft through a dropout: exercise B18, the same keep and the same scale.",
    "ds is C02, with the p that came out of the softmax: the dropout stands behind it.",
]
READ = [
    Read("nn/functional/attention.py", "Attention", "its last paragraph: the sum over the keys stays Σ dy ⊙ y"),
    Read("tensor/kernels/numpy_attention.py", "_keep", "the bits of a tile, made again from their numbers"),
]
MISTAKES = [
    Mistake("(p * factor).T @ dy", "p.T @ dy", "dv uses p: the values were mixed by what dropout has left of it."),
    Mistake("dp = dleft * factor", "dp = dleft", "dp has not passed the dropout: ⊙ keep / (1 − rate)."),
    Mistake(
        "dp = dleft * factor",
        "dp = dleft * keep",
        "dp is not rescaled: what was kept was multiplied by 1 / (1 − rate).",
    ),
    Mistake(
        "ds = p * (dp - (dp * p).sum(1, keepdims=True))",
        "ds = p * factor * (dp - (dp * p * factor).sum(1, keepdims=True))",
        "ds takes the dropped weights for p: the softmax came before the dropout and knows nothing of it.",
    ),
    Mistake(
        "ds = p * (dp - (dp * p).sum(1, keepdims=True))",
        "ds = factor * p * (dleft - (dleft * p).sum(1, keepdims=True))",
        "The mask is applied to ds: it belongs to dp. The score of a dropped weight still has a gradient.",
    ),
    Mistake("keep / (1 - rate)", "keep / rate", "dv is scaled by 1/rate: what is kept is scaled by 1 / (1 − rate)."),
]
RETURNS = ("dv", "dleft", "dp", "ds")


def specification(dy, p, v, keep, rate):
    def forward(see, s, v):
        p = see("dp", see("ds", s).softmax(-1))
        return see("dleft", p * (keep / (1 - rate))) @ see("dv", v)

    found = vjp_of_steps(forward, dy, np.log(p), v)  # the scores ln p have the softmax p
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    for T, S, E in ((1, 2, 1), (2, 2, 1), (2, 3, 2), (3, 3, 2), draw.sizes(3, high=5)):
        e, keep = np.exp(draw.array(T, S)), draw.bools(T, S).array
        keep[0, 0], keep[0, 1] = True, False
        yield draw.array(T, E), e / e.sum(1, keepdims=True), draw.array(S, E), keep, draw.uniform(0.1, 0.4)
