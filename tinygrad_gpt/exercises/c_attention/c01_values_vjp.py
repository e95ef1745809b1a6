"""The last step first: every query takes a mean of the values.

One head of attention: every query t has a row p[t] of weights that sum to 1, and takes the mean of the values v[s] by
them. T is the number of queries and S that of keys and values. So far p is just a matrix: two gradients, two products.
"""

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def values_vjp(dy, p, v):
    """For y = p @ v with weights p (T, S), values v (S, E), y (T, E): returns (dv, dp).

    y[t] = Σ_s p[t, s] v[s]. Value s reaches every query t, by the weight p[t, s]:

        dv[s] = Σ_t p[t, s] dy[t]

    A value hears from everybody who has looked at it, as much as they have looked. And dp[t, s]: how would the loss
    change, if query t looked a little more at s?

    >>> dv, dp = values_vjp(np.array([[1.0]]), np.array([[0.25, 0.75]]), np.array([[2.0], [4.0]]))
    >>> dv
    array([[0.25],
           [0.75]])
    """
    return p.T @ dy, dy @ v.T


HINTS = [
    "A sum over t, the first index of p and of dy: as a product of matrices that is p transposed times dy.",
    "dp[t, s] is the dot product of dy[t] and v[s]: does the value lie in the direction that the loss asks for?",
    "A dot product of each row of dy (T, E) with each row of v (S, E) is a (T, S) matrix: transpose v.",
]
READ = [
    Read("nn/functional/attention.py", "Attention", "the first line of the three steps back"),
    Read("nn/functional/attention.py", "attention_composed", "the forward, line by line"),
]
MISTAKES = [
    Mistake("p.T @ dy", "p @ dy", "p is not transposed in dv: the sum over t runs along the first dim of p."),
    Mistake("dy @ v.T", "v @ dy.T", "dp is transposed: rows are queries, (T, S) = dy vᵀ."),
    Mistake(
        "p.T @ dy",
        "p.T @ dy / p.sum(0)[:, None]",
        "dv is a weighted mean over the queries: it is a sum, a value that is looked at much gets much.",
    ),
    Mistake("dy @ v.T", "p * (dy @ v.T)", "dp is multiplied by p: that belongs to the softmax, which comes later."),
]
RETURNS = ("dv", "dp")


def specification(dy, p, v):
    return vjp(lambda v, p: p @ v, dy, v, p)


def cases(draw):
    for T, S, E in ((1, 2, 1), (2, 2, 2), (2, 3, 1), (3, 3, 2), draw.sizes(3, high=5)):
        e = abs(draw.array(T, S)) + 0.1
        yield draw.array(T, E), e / e.sum(1, keepdims=True), draw.array(S, E)
