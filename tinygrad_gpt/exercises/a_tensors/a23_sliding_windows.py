"""All windows of a row, one below the other.

A table of positions, made by adding a column to a row, used as an index: so any regular pattern can be picked out of
an array at once.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def sliding_windows(x, size):
    """For x (N,) and 1 ≤ size ≤ N: (N − size + 1, size), where row i holds x[i], …, x[i + size − 1].

    >>> sliding_windows(tensor.tensor([5, 6, 7, 8]), 3)
    tensor([[5, 6, 7],
            [6, 7, 8]])
    """
    return x[tensor.arange(x.shape[0] - size + 1)[:, None] + tensor.arange(size)]


HINTS = [
    "Element (i, j) is x[i + j]. Indexing with a table of positions gives a table of elements.",
    "The table of all i + j is a column plus a row. How many windows are there, and how long is each?",
    "i runs over N − size + 1 windows, as a column; j over size places, as a row.",
]
READ = [
    Read("tensor/ops/shape.py", "Unfold", "windows as a function; elements in several windows get several gradients"),
]
MISTAKES = [
    Mistake("x.shape[0] - size + 1", "x.shape[0] - size", "The last window is missing: there are N − size + 1."),
    Mistake(
        "[:, None] + tensor.arange(size)", " + tensor.arange(size)[:, None]", "It is transposed: a window is a row."
    ),
]
RULES = OneExpression(allow="arange")


def specification(x, size):
    out = np.zeros((len(x) - size + 1, size), x.dtype)
    for i in range(len(x) - size + 1):
        for j in range(size):
            out[i, j] = x[i + j]
    return out


def cases(draw):
    for N, size in ((1, 1), (2, 1), (2, 2), (4, 3), (7, 2), (6, 5)):
        yield draw.ints(N, high=100), size
