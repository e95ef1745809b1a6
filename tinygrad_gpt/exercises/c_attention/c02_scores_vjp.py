"""Through the softmax, to the scores.

dp says of every pair of a query and a key whether more weight there would raise the loss. But the weights of a query
sum to 1: it cannot look more everywhere. What counts for a score is whether its dp is above or below the mean of the
row, a mean weighted by p itself. That is the whole meaning of the formula of B13.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def scores_vjp(dy, p, v):
    """For p = softmax(s) along the keys, y = p @ v, with s and p (T, S), v (S, E): returns (dp, ds).

    >>> scores_vjp(np.array([[1.0]]), np.array([[0.5, 0.5]]), np.array([[3.0], [3.0]]))[1]  # it makes no difference
    array([[0., 0.]])
    """
    dp = dy @ v.T  # (T, S)
    return dp, p * (dp - (dp * p).sum(-1, keepdims=True))


HINTS = [
    "dp is that of C01. Then every row of s goes through a softmax of its own: exercise B13 with p for y.",
    "The weighted mean of a row is Σ_s dp[t, s] p[t, s]: one number for each query, so keepdims.",
    "ds is p times the difference between dp and that number. Each row of ds sums to 0.",
]
READ = [
    Read("nn/functional/attention.py", "Attention", "the second line of the three, and another way to get its sum"),
    Read("examples/backprop_through_attention.py", "", "all lines of this set, beside autograd's results"),
]
MISTAKES = [
    Mistake(
        "p * (dp - (dp * p).sum(-1, keepdims=True))",
        "p * dp",
        "ds lacks a term, −p Σ dp ⊙ p: the weights of a query share one budget. Each row of ds sums to 0.",
    ),
    Mistake(
        "p * (dp - (dp * p).sum(-1, keepdims=True))",
        "dp * p * (1 - p)",
        "ds has the Jacobian's diagonal alone: a score changes the weights of all keys of its row.",
    ),
    Mistake(
        "sum(-1, keepdims=True)",
        "sum(0, keepdims=True)",
        "ds sums over the queries: the softmax runs along the keys, the last dim.",
    ),
    Mistake("(dp * p).sum(", "dp.mean(", "The mean of the row is weighted by p, not a plain one."),
    Mistake("return dp, p * (", "return dp, (", "ds lacks the factor p in front."),
]
RETURNS = ("dp", "ds")


def specification(dy, p, v):
    def forward(see, s):
        return see("dp", see("ds", s).softmax(-1)) @ v

    found = vjp_of_steps(forward, dy, np.log(p))  # the scores ln p have the softmax p
    return found["dp"], found["ds"]


def cases(draw):
    for T, S, E in ((1, 2, 1), (2, 2, 1), (2, 3, 2), (3, 3, 2), draw.sizes(3, high=5)):
        e = np.exp(draw.array(T, S))
        yield draw.array(T, E), e / e.sum(1, keepdims=True), draw.array(S, E)
