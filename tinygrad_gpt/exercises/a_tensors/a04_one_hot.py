"""A token id as a row of zeros with a single one.

Multiplied by a matrix, such a row picks out one of its rows. So an embedding is a matrix product, and that is how
its gradient is understood.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def one_hot(ids, num_classes):
    """For ids (T,), int64 in 0 … num_classes−1: int64 (T, num_classes), with a 1 at column ids[t] of row t, else 0.

    >>> one_hot(tensor.tensor([2, 0]), 3)
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    return (ids[:, None] == tensor.arange(num_classes)).long()


HINTS = [
    "A comparison broadcasts just as a product does, and gives a bool for every pair.",
    "Element (t, v) is one exactly where ids[t] == v. All v at once are tensor.arange(num_classes).",
    "Make ids a column, compare it with all the classes, and turn the bools into numbers with .long().",
]
READ = [
    Read("nn/functional/embedding.py", "one_hot", "the engine's own, which also checks the range"),
    Read("nn/functional/embedding.py", "Embedding", "the lookup, and its gradient: rows added to where they came from"),
]
MISTAKES = [
    Mistake(".long()", "", "A comparison gives bools: .long() makes them 0 and 1."),
    Mistake(".long()", ".float()", "Counts and ids are whole numbers: .long(), not .float()."),
    Mistake(
        "ids[:, None] == tensor.arange(num_classes)",
        "ids == tensor.arange(num_classes)[:, None]",
        "It is transposed: tokens belong to the rows, classes to the columns.",
    ),
]
RULES = OneExpression(allow="arange long float where")


def specification(ids, num_classes):
    out = np.zeros((len(ids), num_classes), np.int64)
    for t in range(len(ids)):
        out[t, ids[t]] = 1
    return out


def cases(draw):
    for T, V in ((1, 1), (1, 3), (2, 3), (0, 2), draw.sizes(2), draw.sizes(2)):
        yield draw.ints(T, high=V), V
