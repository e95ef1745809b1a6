"""Average all up to here, version 2: one matrix product.

A weighted sum over positions is a matrix product: out = w @ x, where w[t, s] says how much of position s goes into
position t. For the average that is 1/(t+1) for s ≤ t, else 0. The same w serves every sequence of the batch.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def average_v2(x):
    """The same as average_v1, x (B, T, C) float32 -> float32 (B, T, C), without loops: a triangle of weights @ x.

    >>> average_v2(tensor.tensor([[[2.0], [4.0], [9.0]]]))
    tensor([[[2.],
             [3.],
             [5.]]])
    """
    return (
        (tensor.arange(x.shape[1])[:, None] >= tensor.arange(x.shape[1])).float()
        / (tensor.arange(x.shape[1])[:, None] + 1)
        @ x
    )


HINTS = [
    "Make the triangle of ones first (A06), as numbers: .float(). Then each row has to sum to 1.",
    "Row t has t + 1 ones: divide the triangle by the column of the numbers 1, 2, …, T.",
    "weights (T, T) @ x (B, T, C) multiplies every sequence by the same weights: batch dims broadcast in @ as well.",
]
READ = [
    Read("tensor/ops/matmul.py", "Matmul", "the two gradients of a product, and what batch dims do to them"),
    Read("tensor/ops/matmul.py", "matmul", "what @ does for 1, 2 and more dims"),
]
MISTAKES = [
    Mistake("[:, None] + 1)", " + 1)", "It divides the columns, not the rows: rows of the weights should sum to 1."),
    Mistake("[:, None] >=", "[:, None] <=", "The triangle is the upper one: positions average over what comes later."),
    Mistake(
        "/ (tensor.arange(x.shape[1])[:, None] + 1)",
        "/ x.shape[1]",
        "Every row is divided by T; row t has only t + 1 ones.",
    ),
]
RULES = OneExpression(allow="arange float where sum")


def specification(x):
    B, T, C = x.shape
    out = np.zeros((B, T, C), x.dtype)
    for b in range(B):
        for t in range(T):
            for c in range(C):
                out[b, t, c] = sum(x[b, s, c] for s in range(t + 1)) / (t + 1)
    return out


def cases(draw):
    for B, T, C in ((1, 1, 1), (1, 2, 1), (2, 3, 1), draw.sizes(3), draw.sizes(3)):
        yield (draw.floats(B, T, C),)
