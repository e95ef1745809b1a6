"""The log-probability of the token that really came.

Cross-entropy is minus the mean of these. Of the V numbers at each position exactly one is wanted, the target's:
indexing with three index Tensors that broadcast against each other.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def target_log_prob(logp, targets):
    """For logp (B, T, V), float32, and targets (B, T), int64: float32 (B, T).

    out[b, t] = logp[b, t, targets[b, t]]

    >>> target_log_prob(tensor.tensor([[[-1.0, -2.0], [-3.0, -4.0]]]), tensor.tensor([[1, 0]]))
    tensor([[-2., -3.]])
    """
    return logp[tensor.arange(logp.shape[0])[:, None], tensor.arange(logp.shape[1]), targets]


HINTS = [
    "As on the diagonal (A05), index Tensors walk together; now there are three: for b, for t and for the token.",
    "Index Tensors broadcast. targets is (B, T) already; the others have to fit beside it as (B, 1) and (T,).",
    "The first is a counting column for b, the second a counting row for t, the third targets itself.",
]
READ = [
    Read("nn/functional/cross_entropy.py", "cross_entropy_composed", "the loss, made of this and log_softmax"),
    Read("nn/functional/cross_entropy.py", "CrossEntropy", "why its gradient is softmax minus one-hot"),
    Read("tensor/ops/gather.py", "Gather", "the same as a function: logp.gather(2, targets[..., None])"),
]
MISTAKES = [
    Mistake(
        "logp[tensor.arange(logp.shape[0])[:, None], tensor.arange(logp.shape[1]), targets]",
        "logp[:, :, targets][:, :, 0, 0]",
        "Every position got the first target: the three indices have to walk together.",
    ),
]
RULES = OneExpression(allow="arange")


def specification(logp, targets):
    B, T = targets.shape
    out = np.zeros((B, T), logp.dtype)
    for b in range(B):
        for t in range(T):
            out[b, t] = logp[b, t, targets[b, t]]
    return out


def cases(draw):
    for B, T, V in ((1, 1, 2), (1, 2, 3), (2, 1, 3), (2, 2, 4), draw.sizes(3), draw.sizes(3)):
        yield -draw.floats(B, T, V).abs(), draw.ints(B, T, high=V)
