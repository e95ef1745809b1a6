"""Average all up to here, version 1: as the definition reads.

The simplest way in which a position can take in what came before it is to average it. Four exercises compute the very
same thing, each in a form that is one step nearer to attention. This first one may use loops.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, Read


def average_v1(x):
    """For x (B, T, C), float32: float32 (B, T, C), where out[b, t] is the mean of x[b, 0], …, x[b, t].

    >>> average_v1(tensor.tensor([[[2.0], [4.0], [9.0]]]))
    tensor([[[2.],
             [3.],
             [5.]]])
    """
    B, T, C = x.shape
    out = tensor.zeros(B, T, C)
    for b in range(B):
        for t in range(T):
            out[b, t] = x[b, : t + 1].mean(0)  # (t + 1, C) -> (C,)
    return out


HINTS = [
    "Loops are fine here: one over b, one over t. Start from tensor.zeros(B, T, C) and fill it.",
    "x[b, : t + 1] is what position t may see of sequence b, with shape (t + 1, C).",
    "Its mean over dim 0 is a Tensor (C,), and that can be assigned to out[b, t].",
]
READ = [
    Read("tensor/inplace.py", "assign", "what out[b, t] = … means for the graph"),
    Read("tensor/ops/reduce.py", "Mean", "the gradient of a mean: every element gets dy / n"),
]
MISTAKES = [
    Mistake(": t + 1]", ": t]", "Position t itself is left out: x[b, :t] ends before it."),
    Mistake(".mean(0)", ".sum(0)", "It holds sums: divide by the number of positions, t + 1."),
]


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
