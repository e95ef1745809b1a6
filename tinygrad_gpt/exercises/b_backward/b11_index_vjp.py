"""Elements picked by index, some more than once.

x[rows, columns] picks one element for each pair of indices: so one takes the log-probabilities of the true tokens.
Backward, each dy goes where its element stood. What if an element was picked twice?
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def index_vjp(dy, x, rows, columns):
    """For y = x[rows, columns] with x (N, M), rows and columns (n,) int64, y (n,): returns dx.

    >>> index_vjp(np.array([1.0, 2.0, 4.0]), np.zeros((2, 2)), np.array([0, 1, 0]), np.array([0, 1, 0]))
    array([[5., 0.],
           [0., 2.]])
    """
    dx = np.zeros_like(x)
    np.add.at(dx, (rows, columns), dy)
    return dx


HINTS = [
    "Begin with zeros in the shape of x: an element that nobody picked has no influence.",
    "dx[rows, columns] += dy looks right, but reads all, adds, and then writes: of two picks one is lost. Try it.",
    "np.add.at(array, indices, values) adds one after the other. Its indices are a tuple here.",
]
READ = [
    Read("tensor/ops/index.py", "Index", "any index that NumPy and PyTorch know"),
    Read("tensor/ops/index.py", "sum_at", "the same sum, on CPU and GPU"),
]
MISTAKES = [
    Mistake(
        "np.add.at(dx, (rows, columns), dy)",
        "dx[rows, columns] = dy",
        "Of an element that was picked twice only the last dy is left: they add up.",
    ),
    Mistake(
        "np.add.at(dx, (rows, columns), dy)",
        "dx[rows, columns] += dy[0]",
        "Every picked element gets the first dy: each has its own.",
    ),
    Mistake("(rows, columns)", "(columns % len(x), rows % x.shape[1])", "Rows and columns are exchanged."),
]


def specification(dy, x, rows, columns):
    return vjp(lambda x: x[rows.tolist(), columns.tolist()], dy, x)


def cases(draw):
    for N, M, n in ((1, 1, 1), (2, 2, 3), (3, 2, 8), (2, 4, 3)):
        yield draw.array(n), draw.array(N, M), draw.ints(n, high=N).array, draw.ints(n, high=M).array
    yield draw.array(3), draw.array(2, 3), np.array([1, 0, 1]), np.array([2, 0, 2])
