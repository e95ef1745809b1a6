"""Count the borders that each number has passed.

Searching a sorted list is a loop with an end that depends on the data. Comparing with every border and counting is
none, and for a few borders it is as good.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def bucketize(x, borders):
    """For x (N,) and rising borders (M,), float32: int64 (N,), the number of borders that are ≤ x[i].

    >>> bucketize(tensor.tensor([0.5, 2.0, 9.0]), tensor.tensor([1.0, 2.0]))
    tensor([0, 2, 2])
    """
    return (x[:, None] >= borders).sum(1)


HINTS = [
    "Compare every number with every border: a table (N, M) of bools.",
    "The bucket of x[i] is the count of True in row i.",
    "Adding up bools counts them: .sum(dim) gives an int64. Which dim has to vanish?",
]
READ = [
    Read("tensor/ops/sort.py", "bucketize", "the engine's own, by binary search"),
    Read("tensor/ops/reduce.py", "Sum", "the gradient of a sum: dy spread out again"),
]
MISTAKES = [
    Mistake(">=", ">", "A number that equals a border has passed it: ≤, not <."),
    Mistake(".sum(1)", ".sum(0)", "It counts the numbers above each border: sum over the borders, dim 1."),
    Mistake(">=", "<", "It counts the borders that are still ahead."),
]
RULES = OneExpression(allow="sum long")


def specification(x, borders):
    out = np.zeros(len(x), np.int64)
    for i in range(len(x)):
        for border in borders:
            if border <= x[i]:
                out[i] += 1
    return out


def cases(draw):
    yield tensor.tensor([1.0]), tensor.tensor([1.0])
    for N, M in ((1, 1), (2, 3), (3, 1), (0, 2), (2, 0), draw.sizes(2), draw.sizes(2)):
        yield draw.ints(N, high=8).float(), draw.ints(M, high=8).float().sort().values
