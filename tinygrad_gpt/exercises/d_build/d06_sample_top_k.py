"""Draw the next token, from the k likeliest only.

The tail of the distribution holds thousands of tokens, each unlikely and most of them nonsense. top-k cuts it off
before drawing. So that the answer can be checked, the random number is handed to you.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, Read


def sample_top_k(logits, k, temperature, u):
    """One token for each row of logits (B, V), float64: int64 (B,).

    Divide by temperature, keep the k largest logits of each row (all, if k > V), make probabilities of what is kept
    by a softmax, and draw with u (B,), random numbers in [0, 1): in the order of the vocabulary, the first token at
    which the running sum of the probabilities exceeds u[b]. No two logits of a row are equal.

    >>> logits = tensor.tensor([[1.0, 3.0, 2.0]], dtype=tensor.float64)
    >>> sample_top_k(logits, 1, 1.0, tensor.tensor([0.99], dtype=tensor.float64))
    tensor([1])
    """
    logits = logits / temperature
    least = tensor.topk(logits, min(k, logits.shape[1])).values[:, -1:]  # (B, 1) the k-th largest
    p = logits.masked_fill(logits < least, -tensor.inf).softmax(-1)  # (B, V)
    return (p.cumsum(-1) <= u[:, None]).sum(-1)


HINTS = [
    "tensor.topk(logits, k).values are the k largest of each row, the largest first. The last one is the threshold.",
    "What is below the threshold gets the logit −inf: its probability is 0, and the softmax shares out the rest.",
    "p.cumsum(-1) rises to 1. The token drawn is the number of places where it does not exceed u: compare and count.",
]
READ = [
    Read("tinygrad_gpt/model.py", "GPT.generate", "the loop around it: one token after the other"),
    Read("tensor/random.py", "multinomial", "drawing, as the engine does it"),
]
MISTAKES = [
    Mistake(
        "logits / temperature",
        "logits * temperature",
        "A higher temperature should make the choice more even: divide, do not multiply.",
    ),
    Mistake(
        "logits.masked_fill(logits < least, -tensor.inf).softmax(-1)",
        "logits.softmax(-1).masked_fill(logits < least, 0.0)",
        "The probabilities of the k tokens do not sum to 1: cut before the softmax, not after it.",
    ),
    Mistake("logits < least", "logits <= least", "One token too few is kept: the k-th largest stays."),
    Mistake(
        "logits.masked_fill(logits < least, -tensor.inf)",
        "logits",
        "The tail is not cut off: every token can still be drawn.",
    ),
]


def specification(logits, k, temperature, u):
    B, V = logits.shape
    out = np.zeros(B, np.int64)
    for b in range(B):
        kept = sorted(range(V), key=lambda token: -logits[b, token])[:k]
        weight = {token: np.exp((logits[b, token] - max(logits[b])) / temperature) for token in kept}
        running = 0.0
        for token in sorted(kept):
            running += weight[token] / sum(weight.values())
            if running > u[b]:
                out[b] = token
                break
    return out


def cases(draw):
    for B, V, k, temperature in (
        (1, 3, 1, 1.0),
        (1, 3, 2, 1.0),
        (1, 4, 3, 0.5),
        (1, 4, 4, 3.0),
        (2, 3, 9, 1.0),
        (20, 7, 3, 1.0),
        (20, 6, 4, 2.0),
    ):
        rows = [draw.rng.permutation(V) * 0.4 for _ in range(B)]  # no ties
        u = [draw.uniform(0.0, 0.999) for _ in range(B)]
        yield tensor.tensor(np.array(rows)), k, temperature, tensor.tensor(np.array(u))
