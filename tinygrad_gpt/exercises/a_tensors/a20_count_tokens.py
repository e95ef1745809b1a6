"""How often each token occurs.

A histogram is the sum of one-hot rows. Which of the two dims of such a table is summed decides what is counted.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def count_tokens(ids, num_classes):
    """For ids (N,), int64 in 0 … num_classes−1: int64 (num_classes,), how often each id occurs.

    >>> count_tokens(tensor.tensor([2, 0, 2]), 4)
    tensor([1, 0, 2, 0])
    """
    return (ids[:, None] == tensor.arange(num_classes)).sum(0)


HINTS = [
    "Begin with the one-hot table of A04: a row for each token of the text, a column for each class.",
    "Summing bools counts them. The result has an element for each class, so the dim of the text has to vanish.",
    "Compare ids, as a column, with all the classes, and sum the table over dim 0.",
]
READ = [Read("tensor/ops/sort.py", "bincount", "the engine's own, with weights too")]
MISTAKES = [
    Mistake(".sum(0)", ".sum(1)", "It counts the classes of each token, always 1: sum over the tokens, dim 0."),
]
RULES = OneExpression(allow="arange sum long")


def specification(ids, num_classes):
    out = np.zeros(num_classes, np.int64)
    for i in ids:
        out[i] += 1
    return out


def cases(draw):
    for N, V in ((1, 1), (2, 3), (0, 2), (9, 2), draw.sizes(2), draw.sizes(2)):
        yield draw.ints(N, high=V), V
