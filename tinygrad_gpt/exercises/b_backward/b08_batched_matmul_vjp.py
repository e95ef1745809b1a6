"""A batch of matrix products, where the batch dims broadcast.

@ multiplies the last two dims and takes all dims in front as a batch. One weight matrix for a whole batch of
activations is the common case: its gradient is a sum over the batch.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def unbroadcast(g, shape):  # given
    """g summed over the dims along which an array of `shape` was stretched to g.shape (exercise A31)."""
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(dim for dim, size in enumerate(shape) if size == 1), keepdims=True)


def batched_matmul_vjp(dy, a, b):
    """For y = a @ b with a (…, N, K) and b (…, K, M), whose dims in front broadcast: returns (da, db).

    >>> da, db = batched_matmul_vjp(np.ones((5, 1, 1)), np.ones((5, 1, 2)), np.ones((2, 1)))
    >>> db
    array([[5.],
           [5.]])
    """
    da = dy @ b.swapaxes(-1, -2)
    db = a.swapaxes(-1, -2) @ dy
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


HINTS = [
    "For each matrix of the batch it is exercise B07. The batch comes along by itself, if you transpose with care.",
    ".T turns all dims around. To exchange the last two only: .swapaxes(-1, -2).",
    "Both products have the batch dims of y. Where a or b was stretched over the batch, unbroadcast sums its shares.",
]
READ = [
    Read("tensor/ops/matmul.py", "Matmul", "the same; the engine unbroadcasts what it returns"),
    Read("nn/functional/linear.py", "Linear", "why one large product beats a batch of small ones and a sum"),
]
MISTAKES = [
    Mistake(
        "    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)",
        "    return da, db",
        "A gradient has the batch dims of y: where its matrix served a whole batch, sum over the batch.",
    ),
    Mistake("b.swapaxes(-1, -2)", "b.T", "b.T reverses all dims, the batch too: exchange the last two only."),
    Mistake(
        "unbroadcast(db, b.shape)",
        "unbroadcast(db, b.shape) / (db.size / b.size)",
        "db is a mean over the batch: the shares of the batch add up.",
    ),
]
RETURNS = ("da", "db")


def specification(dy, a, b):
    return vjp(lambda a, b: a @ b, dy, a, b)


def cases(draw):
    N, K, M = draw.sizes(3, high=4)
    for front_a, front_b in (((), ()), ((2,), (2,)), ((2,), ()), ((), (3,)), ((2, 1), (3,)), ((2, 3), (2, 3))):
        front = np.broadcast_shapes(front_a, front_b)
        yield draw.array(*front, N, M), draw.array(*front_a, N, K), draw.array(*front_b, K, M)
    yield draw.array(2, 1, 1), draw.array(2, 1, 2), draw.array(2, 1)
