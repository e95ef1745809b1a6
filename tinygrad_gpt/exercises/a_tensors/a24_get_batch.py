"""A batch for training: blocks of text, and what follows.

nanoGPT stacks slices in a loop. One index does it too: a column of beginnings plus a row of steps.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def get_batch(data, starts, block_size):
    """For data (N,) and starts (B,), both int64: the pair x, y, each int64 (B, block_size).

    x[b] holds the block_size tokens from starts[b] on, and y[b] the token after each of them.

    >>> get_batch(tensor.tensor([10, 11, 12, 13]), tensor.tensor([1, 0]), 2)
    (tensor([[11, 12],
            [10, 11]]), tensor([[12, 13],
            [11, 12]]))
    """
    return (
        data[starts[:, None] + tensor.arange(block_size)],
        data[starts[:, None] + tensor.arange(block_size) + 1],
    )


HINTS = [
    "Return two Tensors with a comma between them. Each is data, indexed with a table of positions (B, block_size).",
    "Position (b, t) of x is starts[b] + t: the sliding windows of A23, but only from the given beginnings.",
    "y is the same with all positions one larger.",
]
READ = [
    Read("tinygrad_gpt/data.py", "get_batch", "the training's own, on a file that is mapped into memory"),
    Read("tinygrad_gpt/train.py", "", "where batches are drawn, and how a resumed run gets the same ones"),
]
MISTAKES = [
    Mistake(
        "tensor.arange(block_size) + 1]",
        "tensor.arange(block_size)]",
        "y equals x: the target is the token after each one.",
    ),
    Mistake(
        "tensor.arange(block_size) + 1]",
        "tensor.arange(block_size) + block_size]",
        "y is the next block: only the next token is to be predicted.",
    ),
]
RULES = OneExpression(allow="arange")
RETURNS = ("x", "y")


def specification(data, starts, block_size):
    x = np.zeros((len(starts), block_size), np.int64)
    y = np.zeros((len(starts), block_size), np.int64)
    for b in range(len(starts)):
        for t in range(block_size):
            x[b, t] = data[starts[b] + t]
            y[b, t] = data[starts[b] + t + 1]
    return x, y


def cases(draw):
    for B, T in ((1, 1), (1, 2), (2, 1), (3, 2), draw.sizes(2), draw.sizes(2)):
        yield draw.ints(20, high=100), draw.ints(B, high=20 - 2 * T), T
