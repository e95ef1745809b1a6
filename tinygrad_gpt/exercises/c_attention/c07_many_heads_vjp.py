"""Many heads: one more dim in front, and a merge at the end.

Heads do not talk to each other, neither forward nor backward: B sequences with nh heads are B·nh attentions side by
side, and @ treats all dims in front of the last two as a batch. What is new is the merge: the next layer sees the heads
of a position side by side, (B, T, C). Its gradient goes the same way back, dims first taken apart, then exchanged.
"""

import math

import numpy as np

from tinygrad_gpt.exercises.gradients import causal_attention, vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def many_heads_vjp(dmerged, q, k, v, p):
    """For y = attention(q, k, v), causal, and merged = y with its heads side by side: returns (dy, dv, dp, ds, dq, dk).

    q, k, v and y are (B, nh, T, hs), p and s (B, nh, T, T), merged is (B, T, C) with C = nh · hs: channel h · hs + i of
    it is channel i of head h. The scale is 1/√hs; p was kept.

    >>> dmerged = np.array([[[1.0, 2.0]]])  # one position, two heads of one channel
    >>> q, p = np.ones((1, 2, 1, 1)), np.ones((1, 2, 1, 1))
    >>> many_heads_vjp(dmerged, q, q, q, p)[0].shape
    (1, 2, 1, 1)
    """
    B, nh, T, hs = q.shape
    scale = 1 / math.sqrt(hs)
    dy = dmerged.reshape(B, T, nh, hs).swapaxes(1, 2)  # (B, nh, T, hs)
    dv = p.swapaxes(-1, -2) @ dy
    dp = dy @ v.swapaxes(-1, -2)  # (B, nh, T, T)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    dq = scale * ds @ k
    dk = scale * ds.swapaxes(-1, -2) @ q
    return dy, dv, dp, ds, dq, dk


HINTS = [
    "First undo the merge: (B, T, C) has the heads in its last dim. Take that apart into (nh, hs), then exchange the "
    "dims of T and nh (exercise A14).",
    "Then it is C06, line for line. Each .T has to become .swapaxes(-1, -2), and sums run along dim −1.",
    "The scale belongs to a head: √hs, not √C.",
]
READ = [
    Read("tinygrad_gpt/model.py", "CausalSelfAttention.forward", "forward: split, attend, merge"),
    Read("tensor/kernels/numpy_attention.py", "heads_side_by_side", "memory laid out such that the merge is free"),
]
MISTAKES = [
    Mistake(
        "dmerged.reshape(B, T, nh, hs).swapaxes(1, 2)",
        "dmerged.reshape(B, nh, T, hs)",
        "dy mixes positions and heads: take C apart into (nh, hs) first, then exchange the dims of T and nh.",
    ),
    Mistake(
        "dmerged.reshape(B, T, nh, hs).swapaxes(1, 2)",
        "dmerged.reshape(B, T, hs, nh).transpose(0, 3, 1, 2)",
        "dy has the heads in the wrong order: channel h · hs + i belongs to head h, so C is (nh, hs), not (hs, nh).",
    ),
    Mistake(
        "p.swapaxes(-1, -2) @ dy", "p.T.reshape(p.shape) @ dy", "p.T turns all dims around: exchange the last two."
    ),
    Mistake("math.sqrt(hs)", "math.sqrt(nh * hs)", "dq and dk have the scale 1/√C: each head has its own size, hs."),
    Mistake(
        "(dp * p).sum(-1, keepdims=True)",
        "(dp * p).sum((0, -1), keepdims=True)",
        "ds mixes the sequences of the batch.",
    ),
    Mistake("scale * ds.swapaxes(-1, -2) @ q", "scale * ds @ q", "ds is not transposed in dk."),
]
RETURNS = ("dy", "dv", "dp", "ds", "dq", "dk")


def specification(dmerged, q, k, v, p):
    def forward(see, q, k, v):
        return see("dy", causal_attention(see, q, k, v)).transpose(1, 2).flatten(2)

    found = vjp_of_steps(forward, dmerged, q, k, v)
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    for B, nh, T, hs in ((1, 1, 2, 1), (1, 2, 2, 1), (1, 2, 2, 3), (2, 3, 2, 2), (2, 2, 3, 2)):
        q, k, v = (draw.array(B, nh, T, hs) for _ in range(3))
        e = np.exp(np.where(np.tri(T, dtype=bool), q @ k.swapaxes(-1, -2) / math.sqrt(hs), -np.inf))
        yield draw.array(B, T, nh * hs), q, k, v, e / e.sum(-1, keepdims=True)
