"""The mask: what may not be seen gets no weight, and no gradient.

A causal model hides the future: those scores become −∞ before the softmax, so their weights are exactly 0 and the
others still sum to 1. Backward, nothing has to be done about it, if p is right: ds = p ⊙ (…) is 0 where p is. Masking
after the softmax looks much the same, and is wrong: rows then sum to less than 1, and hidden scores still matter.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def masked_scores_vjp(dp, s):
    """For p = softmax of each row of s (T, T), where the scores with column > row are −∞ first: returns (p, ds).

    ds is the gradient in the scores as they were before the mask.

    >>> masked_scores_vjp(np.zeros((2, 2)), np.zeros((2, 2)))[0]
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    T = len(s)
    future = np.arange(T) > np.arange(T)[:, None]  # (T, T)
    e = np.exp(np.where(future, -np.inf, s - s.max()))
    p = e / e.sum(1, keepdims=True)
    return p, p * (dp - (dp * p).sum(1, keepdims=True))


HINTS = [
    "future is True where column > row: an arange compared with another one that stands upright (exercise A06).",
    "np.where(future, -np.inf, s), then exp, then divide each row by its sum: exp(−∞) is 0, so hidden keys take no "
    "part in that sum.",
    "ds is that of C02. Is anything left to do for the mask? Look at the factor p.",
]
READ = [
    Read("nn/functional/attention.py", "attention_composed", "where the mask stands: before the softmax"),
    Read("tensor/kernels/numpy_attention.py", "score_tiles", "a mask that is never made as a whole"),
]
MISTAKES = [
    Mistake(
        "    e = np.exp(np.where(future, -np.inf, s - s.max()))\n    p = e / e.sum(1, keepdims=True)\n",
        "    e = np.exp(s - s.max())\n    p = np.where(future, 0.0, e / e.sum(1, keepdims=True))\n",
        "p is masked after the softmax: its rows no longer sum to 1. Hide the scores first.",
    ),
    Mistake(
        "np.where(future, -np.inf, s - s.max())", "s - s.max()", "p has weight on the future: the mask is missing."
    ),
    Mistake(
        "np.where(future, -np.inf, s - s.max())",
        "np.where(future, 0.0, s - s.max())",
        "A hidden score is 0, and exp(0) is 1: it has to be −∞ before the softmax.",
    ),
    Mistake("np.arange(T) > np.arange(T)[:, None]", "np.arange(T)[:, None] > np.arange(T)", "The mask hides the past."),
    Mistake(
        "np.arange(T) > np", "np.arange(T) >= np", "A query may look at its own position: only column > row is hidden."
    ),
    Mistake(
        "return p, p * (dp - (dp * p).sum(1, keepdims=True))",
        "return p, np.where(future, 0.0, dp)",
        "ds has passed the mask, but not the softmax.",
    ),
]
RETURNS = ("p", "ds")


def specification(dp, s):
    T = len(s)
    future = tensor.ones(T, T, dtype=tensor.bool).triu(1)
    weights = []

    def forward(see, s):
        weights.append(see("ds", s).masked_fill(future, -tensor.inf).softmax(-1))
        return weights[-1]

    found = vjp_of_steps(forward, dp, s)
    return weights[0].detach().array, found["ds"]


def cases(draw):
    for T in (1, 2, 3, 4, 5):
        yield draw.array(T, T), draw.array(T, T)
