"""The logarithm of a softmax, as one operation.

y = x − ln Σ exp(x). Written so, no exponential is ever divided and none can become ln 0: all losses are computed this
way. Its gradient is simpler than that of the softmax, since the logarithm has turned the product into a difference.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def log_softmax_vjp(dy, y):
    """For y = log_softmax(x) along the last dim: returns dx. As before, y is what was kept.

    In y_i = x_i − ln Σ_k exp(x_k), x_j stands in two places: once as itself, if i = j, and always in the sum, whose
    logarithm has the derivative exp(x_j) / Σ_k exp(x_k). How is that said by y?

    >>> log_softmax_vjp(np.array([[1.0, 0.0]]), np.log([[0.5, 0.5]]))
    array([[ 0.5, -0.5]])
    """
    return dy - np.exp(y) * dy.sum(-1, keepdims=True)


HINTS = [
    "exp(x_j) / Σ_k exp(x_k) is softmax(x)_j, and y is its logarithm.",
    "∂y_i/∂x_j = δ_ij − exp(y_j). Multiply with dy_i and sum over i: the second part does not depend on i.",
    "So each row: dy, minus the softmax times the sum of dy over the row.",
]
READ = [
    Read("tensor/ops/softmax.py", "LogSoftmax", "the same, with the derivation in two lines"),
    Read("nn/functional/softmax.py", "log_softmax_composed", "why the maximum is taken off first"),
]
MISTAKES = [
    Mistake(
        "dy - np.exp(y) * dy.sum(-1, keepdims=True)",
        "dy",
        "The second term is missing: x_j stands in the sum of every y_i of its row as well.",
    ),
    Mistake("np.exp(y) * dy", "y * dy", "y is the logarithm here: the probability is exp(y)."),
    Mistake(
        "np.exp(y) * dy.sum(-1, keepdims=True)",
        "np.exp(y) * dy",
        "The sum over the row is missing: through the denominator every dy_i reaches every x_j.",
    ),
    Mistake("dy.sum", "dy.mean", "It is a mean over the row: the paths through all outputs add up."),
    Mistake(
        "dy - np.exp(y) * dy.sum(-1, keepdims=True)",
        "np.exp(y) * (dy - (np.exp(y) * dy).sum(-1, keepdims=True))",
        "That is the gradient of softmax itself (B13): the logarithm between has changed it.",
    ),
]


def specification(dy, y):
    return vjp(lambda x: x.log_softmax(-1), dy, y)  # y is its own log-softmax


def cases(draw):
    for shape in ((1, 2), (2, 2), (2, 3), (2, 2, 3), draw.sizes(2, high=5)):
        x = draw.array(*shape)
        yield draw.array(*shape), x - np.log(np.exp(x).sum(-1, keepdims=True))
