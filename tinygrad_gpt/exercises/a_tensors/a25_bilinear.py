"""From einsum to matrix products: every row against every other.

einsum("btc,cd,bsd->bts", x, W, y). This is what attention scores are when the two projections are multiplied out: x
asks, y answers, and W says how the channels of one concern those of the other.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def bilinear(x, W, y):
    """For x (B, T, C), W (C, D) and y (B, S, D), float32: float32 (B, T, S), without einsum.

    out[b, t, s] = Σ over c and d of x[b, t, c] · W[c, d] · y[b, s, d]

    >>> bilinear(tensor.tensor([[[2.0]]]), tensor.tensor([[3.0]]), tensor.tensor([[[1.0], [10.0]]]))
    tensor([[[ 6., 60.]]])
    """
    return x @ W @ y.mT


HINTS = [
    "Take one sum after the other. Over c: (B, T, C) and (C, D) give what shape?",
    "The second sum is over d, the last dim of both (B, T, D) and (B, S, D). @ wants it second-last there.",
    "y.mT is (B, D, S). Two @ in a row are all there is to it.",
]
READ = [
    Read(
        "tensor/ops/einsum.py", "_contract", "how einsum does it: dims sorted into batch, kept and summed, then one @"
    ),
    Read("tensor/ops/matmul.py", "Matmul", "W is shared by the batch; where its gradient is summed over it"),
]
MISTAKES = [
    Mistake("x @ W @ y.mT", "(x @ W @ y.mT).mT", "Its last two dims have changed places: t before s."),
]
RULES = OneExpression(allow="mT transpose permute")


def specification(x, W, y):
    (B, T, C), (_, S, D) = x.shape, y.shape
    out = np.zeros((B, T, S), x.dtype)
    for b in range(B):
        for t in range(T):
            for s in range(S):
                out[b, t, s] = sum(x[b, t, c] * W[c, d] * y[b, s, d] for c in range(C) for d in range(D))
    return out


def cases(draw):
    for B, T, S, C, D in ((1, 1, 1, 1, 1), (1, 2, 1, 1, 2), (2, 1, 3, 2, 1), (1, 2, 2, 3, 2), draw.sizes(5)):
        yield draw.floats(B, T, C), draw.floats(C, D), draw.floats(B, S, D)
