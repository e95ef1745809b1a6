"""Every element of one vector times every element of another.

Broadcasting stretches a dim of size 1. `a[:, None]` has shape (N, 1), and beside it a vector of shape (M,) is read as
(1, M): together they fill (N, M). Most exercises of this set are this one idea.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def outer(a, b):
    """The products of all pairs: a (N,) and b (M,), both float32, give float32 (N, M) with out[i, j] = a[i] · b[j].

    >>> outer(tensor.tensor([1.0, 2.0]), tensor.tensor([3.0, 4.0, 5.0]))
    tensor([[ 3.,  4.,  5.],
            [ 6.,  8., 10.]])
    """
    return a[:, None] * b


HINTS = [
    "The result has a row for each element of a. How can a become a column, of shape (N, 1)?",
    "Indexing with None puts in a dim of size 1: x[None] is (1, N) for an x of shape (N,). Where does it belong here?",
    "A column (N, 1) times a row (M,) broadcasts to (N, M). Make the column from a; b can stay as it is.",
]
READ = [
    Read(
        "tensor/checks.py", "broadcast_shape", "the rule of broadcasting, and the sentence when two shapes do not fit"
    ),
    Read("tensor/ops/arithmetic.py", "Mul", "the product's gradient; note that it says nothing of broadcasting"),
]
MISTAKES = [
    Mistake("a[:, None] * b", "a * b[:, None]", "Rows and columns have changed places: a belongs to the rows."),
    Mistake("a[:, None] * b", "a[:, None] + b", "It holds sums, not products."),
]
RULES = OneExpression()


def specification(a, b):
    out = np.zeros((len(a), len(b)), a.dtype)
    for i in range(len(a)):
        for j in range(len(b)):
            out[i, j] = a[i] * b[j]
    return out


def cases(draw):
    for N, M in ((1, 1), (2, 3), (3, 1), (0, 2), draw.sizes(2), draw.sizes(2)):
        yield draw.floats(N), draw.floats(M)
