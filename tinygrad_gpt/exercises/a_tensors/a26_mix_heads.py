"""From matrix products to einsum: mix the values of all heads.

The model writes (weights @ v).transpose(1, 2). einsum says the same as a formula: name each dim by a letter, and write
after the arrow what is left, in the order that is wanted.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def mix_heads(weights, v):
    """For weights (B, nh, T, S) and v (B, nh, S, hs), float32: float32 (B, T, nh, hs), by one einsum.

    out[b, t, h] = Σ over s of weights[b, h, t, s] · v[b, h, s]

    >>> mix_heads(tensor.tensor([[[[1.0, 10.0]]]]), tensor.tensor([[[[2.0], [3.0]]]]))
    tensor([[[[32.]]]])
    """
    return tensor.einsum("bhts,bhsd->bthd", weights, v)


HINTS = [
    'tensor.einsum("ij,jk->ik", a, b) is a @ b. A letter that is missing after the arrow is summed over.',
    "Five letters: one each for batch, head, query position, key position, channel. Which of them disappears?",
    "The two operands share batch, head and key position; in the result the query position comes before the head.",
]
READ = [
    Read("tensor/ops/einsum.py", "einsum", "it has no gradient of its own: it is made of products, sums and permutes"),
]
MISTAKES = [
    Mistake("->bthd", "->bhtd", "The dims come in the order b, h, t, d: positions should come before heads."),
    Mistake("bhts,bhsd", "bhst,bhsd", "The weights are read the wrong way round: t is their third dim, s their last."),
]
RULES = OneExpression(allow="einsum")


def specification(weights, v):
    B, nh, T, S = weights.shape
    out = np.zeros((B, T, nh, v.shape[3]), v.dtype)
    for b in range(B):
        for h in range(nh):
            for t in range(T):
                for s in range(S):
                    out[b, t, h] += weights[b, h, t, s] * v[b, h, s]
    return out


def cases(draw):
    for B, nh, T, S, hs in ((1, 1, 1, 1, 1), (1, 2, 1, 1, 1), (1, 1, 2, 2, 1), (1, 2, 3, 2, 1), draw.sizes(5)):
        yield draw.floats(B, nh, T, S), draw.floats(B, nh, S, hs)
