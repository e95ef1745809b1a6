"""Walk down a matrix with two index Tensors.

Where two index Tensors stand side by side they walk together: x[i, j] has one element for each pair (i[n], j[n]), not
for each combination. Picking the probability of every target, later on, is the same move.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def diagonal(x):
    """The elements x[0, 0], x[1, 1], … of x (N, M) with N ≤ M, float32: float32 (N,).

    >>> diagonal(tensor.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    tensor([1., 5.])
    """
    return x[tensor.arange(x.shape[0]), tensor.arange(x.shape[0])]


HINTS = [
    "Element n of the result is x[n, n]. Both indices may be Tensors.",
    "With i = tensor.arange(3), x[i, i] is [x[0, 0], x[1, 1], x[2, 2]].",
    "Index with the same counting Tensor in both places. It is as long as x has rows: x.shape[0].",
]
READ = [
    Read("tensor/ops/index.py", "Index", "indexing with Tensors: a copy, whose gradient is added back place by place"),
    Read("tensor/ops/index.py", "Slice", "indexing with slices, beside it: a view"),
]
MISTAKES = [
    Mistake("tensor.arange(x.shape[0])]", ":]", "Index Tensor and slice give every combination: here, all of x."),
    Mistake(", tensor.arange(x.shape[0])]", ", 0]", "That is the first column: both indices have to move."),
]
RULES = OneExpression(allow="arange")


def specification(x):
    out = np.zeros(x.shape[0], x.dtype)
    for n in range(x.shape[0]):
        out[n] = x[n, n]
    return out


def cases(draw):
    for N, M in ((1, 1), (1, 3), (2, 3), (0, 2), (3, 3), sorted(draw.sizes(2)), sorted(draw.sizes(2))):
        yield (draw.floats(N, M),)
