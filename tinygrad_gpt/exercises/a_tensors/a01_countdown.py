"""Count down from n − 1 to 0.

A warm-up for the way of thinking: `arange` gives all positions at once, arithmetic acts on all of them at once,
and no loop is written.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def countdown(n):
    """The int64 Tensor (n,) that holds n−1, n−2, …, 0. n may be 0.

    >>> countdown(4)
    tensor([3, 2, 1, 0])
    """
    return n - 1 - tensor.arange(n)


HINTS = [
    "tensor.arange(n) counts up: 0, 1, …, n−1. What has to be done to each of its elements?",
    "At position i stands n − 1 − i. And i, for all positions at once, is tensor.arange(n).",
    "A number minus a Tensor subtracts each element from that number: 10 - tensor.arange(3) is [10, 9, 8].",
]
READ = [Read("tensor/create.py", "arange", "how the dtype follows from the arguments: int64 for whole numbers")]
MISTAKES = [Mistake("n - 1 -", "n -", "It ends at 1, not at 0: position 0 holds n − 1.")]
RULES = OneExpression(allow="arange")


def specification(n):
    out = np.zeros(n, np.int64)
    for i in range(n):
        out[i] = n - 1 - i
    return out


def cases(draw):
    for n in (1, 0, 2, *draw.sizes(4)):
        yield (n,)
