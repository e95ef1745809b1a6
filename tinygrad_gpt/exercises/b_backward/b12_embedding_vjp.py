"""A table of vectors, read by token id.

A token that occurs ten times in a batch reads its row ten times. All ten gradients belong into that one row: forgetting
this is a classic, and nothing crashes when it happens; the model only learns its frequent tokens badly.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def embedding_vjp(dy, ids, vocab_size):
    """For y = weight[ids] with weight (vocab_size, C), ids (B, T) int64, y (B, T, C): returns dweight.

    Seen as a product it is y = onehot(ids) @ weight, with a row of zeros and a single 1 for each id. Sum or product:
    either way will do.

    >>> embedding_vjp(np.array([[[1.0], [2.0], [4.0]]]), np.array([[2, 0, 2]]), 3)
    array([[2.],
           [0.],
           [5.]])
    """
    dweight = np.zeros((vocab_size, dy.shape[-1]))
    np.add.at(dweight, ids, dy)
    return dweight


HINTS = [
    "Zeros in the shape of the table first. A row that no id names stays 0.",
    "Row v gets the sum of dy[b, t] over all places with ids[b, t] == v. Exercise B11 had the function for it.",
    "By the product: with the one-hot rows as O (B·T, V) it is dW = Oᵀ dy (exercise B07), dy folded to (B·T, C).",
]
READ = [
    Read("nn/functional/embedding.py", "Embedding", "the derivation from one-hot rows"),
    Read("tensor/kernels/numpy_kernels.py", "embedding_backward", "the same sum, in a way that is fast"),
]
MISTAKES = [
    Mistake(
        "np.add.at(dweight, ids, dy)",
        "dweight[ids] = dy",
        "A repeated id keeps only one of its gradients: all of them belong into the row, [ids] counts each id once.",
    ),
    Mistake(
        "    return dweight",
        "    return dweight / np.maximum(np.bincount(ids.ravel(), minlength=vocab_size), 1)[:, None]",
        "A repeated id's gradients are averaged: they add up.",
    ),
]


def specification(dy, ids, vocab_size):
    return vjp(lambda weight: weight[ids.tolist()], dy, np.zeros((vocab_size, dy.shape[-1])))


def cases(draw):
    yield draw.array(1, 3, 1), np.array([[2, 0, 2]]), 3
    for B, T, C, V in ((1, 1, 1, 1), (1, 4, 2, 2), (2, 3, 2, 4), (2, 2, 3, 7)):
        yield draw.array(B, T, C), draw.ints(B, T, high=V).array, V
