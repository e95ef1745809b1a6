"""Fewer keys than queries: grouped-query attention.

Each head of keys and values serves several heads of queries, which makes the cache smaller. Before the scores are
computed each of their heads is repeated n times: 0, 0, 1, 1, 2, 2 and not 0, 1, 2, 0, 1, 2.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def repeat_heads(k, n):
    """For k (B, nkv, S, hs): (B, nkv · n, S, hs), every head n times in a row.

    >>> repeat_heads(tensor.tensor([[[[5]], [[7]]]]), 2)[0, :, 0, 0]
    tensor([5, 5, 7, 7])
    """
    return k[:, tensor.arange(k.shape[1] * n) // n]


HINTS = [
    "Which head of k does head h of the result come from? Write that as a formula in h and n.",
    "It is h // n, and all h at once are an arange as long as the result has heads.",
    "An index Tensor in the second place, after a colon for the batch, picks heads; a head may be picked repeatedly.",
]
READ = [
    Read("nn/functional/attention.py", "_repeat_heads", "the engine's own line, for enable_gqa=True"),
    Read("tensor/ops/index.py", "sum_at", "the gradient: what was picked n times gets the sum of n gradients"),
]
MISTAKES = [
    Mistake(
        "// n]", "% k.shape[1]]", "The order is 0, 1, 2, 0, 1, 2: the copies of one head should stand side by side."
    ),
]
RULES = OneExpression(allow="arange")


def specification(k, n):
    B, nkv, S, hs = k.shape
    out = np.zeros((B, nkv * n, S, hs), k.dtype)
    for h in range(nkv):
        for i in range(n):
            out[:, h * n + i] = k[:, h]
    return out


def cases(draw):
    for B, nkv, S, hs, n in ((1, 1, 1, 1, 1), (1, 2, 1, 1, 2), (1, 3, 1, 2, 2), (2, 2, 3, 1, 3), draw.sizes(5)):
        yield draw.floats(B, nkv, S, hs), n
