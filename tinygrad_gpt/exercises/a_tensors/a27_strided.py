"""What a view is: an offset and strides into a row of memory.

A Tensor's memory is one row of numbers. Its strides say how far apart neighbours lie, for each dim. A transpose,
a slice, every second row, a window: all are the same numbers with another offset and other strides. Here you
read memory the way a view does.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def strided(memory, offset, rows, columns, row_stride, column_stride):
    """For memory (N,): the matrix (rows, columns) that lies in it from offset on with these strides.

    Going one row down moves row_stride places in memory, going one column to the right column_stride places.

    >>> memory = tensor.arange(6)
    >>> strided(memory, 0, 2, 3, 3, 1)  # rows of three
    tensor([[0, 1, 2],
            [3, 4, 5]])
    >>> strided(memory, 0, 3, 2, 1, 3)  # its transpose: the strides have changed places
    tensor([[0, 3],
            [1, 4],
            [2, 5]])
    """
    return memory[offset + tensor.arange(rows)[:, None] * row_stride + tensor.arange(columns) * column_stride]


HINTS = [
    "Where in memory does element (i, j) lie? Write it with offset, i, j and the two strides.",
    "At offset + i · row_stride + j · column_stride. For all i and j at once that is a table of positions.",
    "i is a counting column, j a counting row; multiply each by its stride, add the offset, and index memory.",
]
READ = [
    Read("tensor/tensor.py", "Tensor.stride", "the strides of a Tensor, in elements as in PyTorch"),
    Read("tensor/ops/shape.py", "Permute", "a transpose moves nothing: it changes the order of the strides"),
    Read("tensor/inplace.py", "", "why views matter for gradients: a write to one is a write to all"),
]
MISTAKES = [
    Mistake("offset + ", "", "The offset is left out: the view begins there."),
    Mistake(
        "tensor.arange(rows)[:, None] * row_stride + tensor.arange(columns) * column_stride",
        "tensor.arange(rows)[:, None] * column_stride + tensor.arange(columns) * row_stride",
        "The two strides have changed places.",
    ),
]
RULES = OneExpression(allow="arange")


def specification(memory, offset, rows, columns, row_stride, column_stride):
    out = np.zeros((rows, columns), memory.dtype)
    for i in range(rows):
        for j in range(columns):
            out[i, j] = memory[offset + i * row_stride + j * column_stride]
    return out


def cases(draw):
    for offset, rows, columns, row_stride, column_stride in (
        (0, 1, 1, 1, 1),
        (0, 2, 3, 3, 1),  # a matrix
        (0, 3, 2, 1, 3),  # its transpose
        (1, 2, 2, 4, 2),  # part of one, every second column
        (0, 3, 2, 0, 1),  # one row, repeated: a broadcast
        (0, 4, 3, 1, 1),  # sliding windows
        (5, 2, 3, -3, -1),  # backwards
    ):
        yield draw.ints(12, high=100), offset, rows, columns, row_stride, column_stride
