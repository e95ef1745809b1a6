"""Average all up to here, version 4: self-attention.

Now the scores depend on the data. Each position asks a question q, each offers a key k, and their dot product says how
much of its value v goes over. With q = 0 this is version three again: the plain average.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def average_v4(q, k, v):
    """Causal attention of one head: q, k and v (B, T, C), float32, give float32 (B, T, C).

    The score of the pair t, s is the dot product of q[b, t] and k[b, s] over √C, for s ≤ t only. A softmax over s makes
    weights of the scores, and out[b, t] is the sum of the v[b, s] with these weights.
    """
    return (q @ k.mT * q.shape[2] ** -0.5).masked_fill(
        tensor.arange(q.shape[1])[:, None] < tensor.arange(q.shape[1]), -tensor.inf
    ).softmax(-1) @ v


HINTS = [
    "All dot products of rows with rows are one product with a transposed matrix: (B, T, C) @ (B, C, T).",
    "k.mT swaps the last two dims. Scale the scores by q.shape[2] ** -0.5 and mask before the softmax, not after it.",
    "scores.masked_fill(mask, -tensor.inf) writes −inf where the mask is True: so the mask is where s > t.",
]
READ = [
    Read("nn/functional/attention.py", "attention_composed", "the same lines, with dropout and other masks"),
    Read("nn/functional/attention.py", "Attention", "the fused form, and its backward pass derived"),
    Read("tinygrad_gpt/model.py", "CausalSelfAttention.forward", "where the GPT calls it"),
]
MISTAKES = [
    Mistake(" * q.shape[2] ** -0.5", "", "The scores are not scaled: divide them by √C before the softmax."),
    Mistake(" * q.shape[2] ** -0.5", " * q.shape[1] ** -0.5", "The scale is √C, the length of a key, not √T."),
    Mistake(
        "q @ k.mT", "k @ q.mT", "Queries and keys have changed places: the rows of the scores belong to the queries."
    ),
    Mistake(
        ".softmax(-1)", ".softmax(-2)", "The softmax has to run over s, the last dim: each query's weights sum to 1."
    ),
    Mistake("-tensor.inf", "0.0", "A masked score of 0 still gets a weight: mask with −inf."),
]
RULES = OneExpression(allow="arange where inf softmax masked_fill mT transpose float")


def specification(q, k, v):
    B, T, C = q.shape
    out = np.zeros((B, T, C), q.dtype)
    for b in range(B):
        for t in range(T):
            scores = [sum(q[b, t, c] * k[b, s, c] for c in range(C)) / C**0.5 for s in range(t + 1)]
            weights = [np.exp(score - max(scores)) for score in scores]
            for s in range(t + 1):
                out[b, t] += weights[s] / sum(weights) * v[b, s]
    return out


def cases(draw):
    for B, T, C in ((1, 1, 1), (1, 2, 1), (1, 2, 3), (2, 3, 2), draw.sizes(3), draw.sizes(3)):
        yield draw.floats(B, T, C), draw.floats(B, T, C), draw.floats(B, T, C)
