"""Softmax: every output depends on every input of its row.

A softmax has one budget, 1, to share out. Whoever raises one score takes probability from all others of the row. So
its Jacobian is a full matrix, ∂y_i/∂x_j = y_i (δ_ij − y_j), with δ_ij = 1 where i = j and else 0. Nobody ever builds
that matrix: multiplied with dy it becomes one sum for each row.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def softmax_vjp(dy, y):
    """For y = softmax(x) along the last dim: returns dx. The engine keeps y and forgets x.

        dx_j = Σ_i dy_i ∂y_i/∂x_j = Σ_i dy_i y_i (δ_ij − y_j)

    Multiply out: where does the first term survive, and what can be taken out of the second sum?

    >>> softmax_vjp(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    return y * (dy - (dy * y).sum(-1, keepdims=True))


HINTS = [
    "Of Σ_i dy_i y_i δ_ij only the term i = j is left. In Σ_i dy_i y_i y_j the factor y_j does not depend on i.",
    "That makes dx_j = dy_j y_j − y_j Σ_i dy_i y_i. The sum is one number for each row.",
    "Take y_j out: y times a bracket, in which the number of the row is subtracted from dy. keepdims=True lets it "
    "broadcast back over the row.",
]
READ = [
    Read("tensor/ops/softmax.py", "Softmax", "the derivation, and what is saved"),
    Read("tensor/kernels/numpy_kernels.py", "softmax_backward", "your line, without a fresh array for each step"),
]
MISTAKES = [
    Mistake(
        "y * (dy - (dy * y).sum(-1, keepdims=True))",
        "dy * y",
        "A term is missing, −y Σ dy ⊙ y: a raised score takes from the others of its row. Each row of dx sums to 0.",
    ),
    Mistake(
        "y * (dy - (dy * y).sum(-1, keepdims=True))",
        "dy * y * (1 - y)",
        "That is the Jacobian's diagonal alone, as for a sigmoid: the elements of a row depend on each other, too.",
    ),
    Mistake("(dy * y).sum", "dy.sum", "Inside the sum dy is weighted by y: Σ dy ⊙ y, not Σ dy."),
    Mistake("(dy * y).sum", "(dy * y).mean", "It is a mean over the row: the paths through all outputs add up."),
    Mistake("sum(-1, keepdims=True)", "sum()", "The sum runs over everything: each row has one of its own."),
    Mistake("return y * (", "return (", "The factor y in front is missing: y ⊙ (dy − Σ dy ⊙ y)."),
]


def specification(dy, y):
    return vjp(lambda x: x.softmax(-1), dy, np.log(y))  # the scores ln y have the softmax y


def cases(draw):
    for shape in ((1, 2), (2, 2), (2, 3), (2, 2, 3), draw.sizes(2, high=5)):
        e = np.exp(draw.array(*shape))
        yield draw.array(*shape), e / e.sum(-1, keepdims=True)
