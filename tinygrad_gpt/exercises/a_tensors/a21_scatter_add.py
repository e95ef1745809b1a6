"""Add rows up at their addresses: the gradient of an embedding.

An embedding copies row index[n] of its table to position n. Backwards, what arrives at position n is added to row
index[n], and a row that was used three times gets three contributions. With one-hot rows this is a matrix product.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def scatter_add(values, index, size):
    """For values (N, C), float32, and index (N,), int64 in 0 … size−1: float32 (size, C).

    out[i] is the sum of all values[n] with index[n] == i, and 0 where there are none.

    >>> scatter_add(tensor.tensor([[1.0], [2.0], [4.0]]), tensor.tensor([1, 0, 1]), 3)
    tensor([[2.],
            [5.],
            [0.]])
    """
    return (tensor.arange(size)[:, None] == index).float() @ values


HINTS = [
    "Each row of the result is a sum of rows of values, with weights 0 and 1: a matrix (size, N) @ (N, C).",
    "The weight of values[n] in out[i] is 1 where index[n] == i. That is a one-hot table, lying on its side.",
    "So compare the column of all addresses with index, and multiply the floats of that by values.",
]
READ = [
    Read("nn/functional/embedding.py", "Embedding", "its backward is this exercise, without building the table"),
    Read("tensor/ops/gather.py", "ScatterAdd", "the function; its own gradient is a gather"),
]
MISTAKES = [
    Mistake(
        "(tensor.arange(size)[:, None] == index)",
        "(tensor.arange(size) == index[:, None])",
        "The table lies the wrong way round: a row for each address, a column for each value, (size, N).",
    ),
]
RULES = OneExpression(allow="arange float where sum")


def specification(values, index, size):
    out = np.zeros((size, values.shape[1]), values.dtype)
    for n in range(len(index)):
        out[index[n]] += values[n]
    return out


def cases(draw):
    for N, C, size in ((1, 1, 1), (2, 1, 3), (3, 1, 1), (0, 2, 2), draw.sizes(3), draw.sizes(3)):
        yield draw.floats(N, C), draw.ints(N, high=size), size
