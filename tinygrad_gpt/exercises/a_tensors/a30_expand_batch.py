"""One table for every sequence of a batch, without a copy.

Position embeddings are the same in all sequences. Broadcasting repeats them with a stride of 0: the next sequence lies
0 places further on, so it is the same memory. Backwards every copy has its own gradient, and they are added up.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def expand_batch(x, B):
    """For x (T, C): (B, T, C), B times the same, as a view that shares the memory of x. B may be 0.

    >>> expand_batch(tensor.tensor([[1, 2]]), 2)
    tensor([[[1, 2]],
    <BLANKLINE>
            [[1, 2]]])
    """
    return x.expand(B, x.shape[0], x.shape[1])


HINTS = [
    "Broadcasting on its own: expand(...) gives a Tensor a larger shape, in which dims may be new or stretched.",
    "x.expand takes the whole new shape. The new dim comes first; the others are those of x.",
    "The sizes are B, x.shape[0] and x.shape[1].",
]
READ = [
    Read("tensor/ops/shape.py", "Expand", "its gradient: the sum over all copies"),
    Read("tensor/autograd.py", "unbroadcast", "where that sum is made, for every op"),
]
MISTAKES = [
    Mistake(
        "x.expand(B, x.shape[0], x.shape[1])",
        "x.repeat(B, 1, 1)",
        "The values are right, but it is a copy: expand makes a view.",
    ),
    Mistake(
        "x.expand(B, x.shape[0], x.shape[1])",
        "x[:, None].expand(x.shape[0], B, x.shape[1])",
        "The new dim stands second: the batch comes first.",
    ),
]
RULES = OneExpression(allow="expand repeat")


def specification(x, B):
    out = np.zeros((B, *x.shape), x.dtype)
    for b in range(B):
        out[b] = x
    return out


def cases(draw):
    for B, T, C in ((1, 1, 1), (2, 1, 2), (1, 3, 2), (0, 2, 1), draw.sizes(3), draw.sizes(3)):
        yield draw.floats(T, C), B


def also(result, x, B):
    if result.numel() and not np.shares_memory(result.array, x.array):
        return "The values are right, but it is a copy: expand makes a view."
    return None
