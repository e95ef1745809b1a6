"""What each position has to predict: the token after it.

The targets of a language model are its own input, one place further on. At the last position nothing follows:
−1 marks what does not count in the loss.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def next_tokens(ids):
    """For ids (B, T), int64, T ≥ 1: int64 (B, T) with out[b, t] = ids[b, t + 1], and −1 at the last position.

    >>> next_tokens(tensor.tensor([[5, 6, 7]]))
    tensor([[ 6,  7, -1]])
    """
    return tensor.where(
        tensor.arange(ids.shape[1]) < ids.shape[1] - 1, ids[:, (tensor.arange(ids.shape[1]) + 1) % ids.shape[1]], -1
    )


HINTS = [
    "First move everything one place to the left, whatever lands in the last column; then put −1 there.",
    "Columns are picked by an index Tensor: ids[:, i] with i = 1, 2, …, T−1, 0. The % operator brings T back to 0.",
    "tensor.where(condition, a, b) takes a where the condition holds: at all but the last position. b may be a number.",
]
READ = [
    Read("tinygrad_gpt/model.py", "GPT.forward", "targets, and the ignore_index that −1 stands for"),
    Read("nn/functional/cross_entropy.py", "CrossEntropy", "positions without weight get no gradient"),
]
MISTAKES = [
    Mistake(
        "(tensor.arange(ids.shape[1]) + 1)",
        "(tensor.arange(ids.shape[1]) - 1)",
        "It holds the token before each position, not after it.",
    ),
    Mistake(", -1\n", ", 0\n", "The last position should hold −1: 0 is a token."),
]
RULES = OneExpression(allow="arange where")


def specification(ids):
    B, T = ids.shape
    out = np.full((B, T), -1)
    for b in range(B):
        for t in range(T - 1):
            out[b, t] = ids[b, t + 1]
    return out


def cases(draw):
    for B, T in ((1, 1), (1, 2), (2, 3), (3, 1), draw.sizes(2), draw.sizes(2)):
        yield (draw.ints(B, T, high=10),)
