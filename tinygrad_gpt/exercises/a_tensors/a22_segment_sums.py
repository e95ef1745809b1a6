"""Sums over pieces of different lengths.

Texts of different lengths are often kept in one long row, with a list of where each begins. Their sums (of losses, of
counts) are then sums between borders.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def segment_sums(x, offsets):
    """For x (N,), float32, and rising offsets (S + 1,), int64 in 0 … N: float32 (S,).

    out[s] is the sum of x[offsets[s]], …, x[offsets[s + 1] − 1]; 0 for an empty piece.

    >>> segment_sums(tensor.tensor([1.0, 2.0, 3.0]), tensor.tensor([0, 2, 3]))
    tensor([3., 3.])
    """
    return (
        (tensor.arange(x.shape[0]) >= offsets[:-1, None]) & (tensor.arange(x.shape[0]) < offsets[1:, None])
    ).float() @ x


HINTS = [
    "A table (S, N) of ones and zeros times x: which elements belong to which piece?",
    "Element n belongs to piece s where offsets[s] ≤ n and n < offsets[s + 1]. Beginnings are offsets[:-1].",
    "offsets[:-1, None] and offsets[1:, None] are columns. Join two comparisons, each in parentheses, by &.",
]
READ = [Read("tensor/ops/scan.py", "cumsum", "another way: differences of a running sum, at a loss of precision")]
MISTAKES = [
    Mistake(
        "< offsets[1:, None]",
        "<= offsets[1:, None]",
        "The first element of the next piece is counted too: a piece ends before offsets[s + 1].",
    ),
    Mistake(">= offsets[:-1, None]", "> offsets[:-1, None]", "The first element of each piece is left out."),
]
RULES = OneExpression(allow="arange float sum where cumsum")


def specification(x, offsets):
    out = np.zeros(len(offsets) - 1, x.dtype)
    for s in range(len(offsets) - 1):
        for n in range(offsets[s], offsets[s + 1]):
            out[s] += x[n]
    return out


def cases(draw):
    for N, S in ((1, 1), (2, 1), (3, 2), (2, 4), (0, 1), draw.sizes(2), draw.sizes(2)):
        yield draw.floats(N), draw.ints(S + 1, high=N + 1).sort().values
