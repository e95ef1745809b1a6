"""Queries, keys and values from one product.

GPT computes all three with a single matrix of 3C rows, then cuts the result in three and each part into heads. The way
back: merge the heads of dq, dk and dv, put the three side by side, and treat them as the gradient of one linear layer.
x has served three purposes, and dx is the sum of all three; here the matrix product does that sum by itself.
"""

import numpy as np

from nn import functional as F
from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def qkv_vjp(dq, dk, dv, x, weight):
    """For qkv = x @ weight.T + bias, cut into q, k, v and into heads: returns (dqkv, dbias, dweight, dx).

    x is (B, T, C), weight (3C, C), bias (3C,), qkv (B, T, 3C): q are its first C channels, then come k and v. Each is
    then split into heads, (B, nh, T, hs); channel h · hs + i is channel i of head h.

    >>> dq, dk, dv = (np.full((1, 1, 1, 1), g) for g in (1.0, 2.0, 3.0))
    >>> qkv_vjp(dq, dk, dv, np.array([[[1.0]]]), np.array([[1.0], [10.0], [100.0]]))[-1]
    array([[[321.]]])
    """
    B, T, C = x.shape
    merged = [g.swapaxes(1, 2).reshape(B, T, C) for g in (dq, dk, dv)]  # the heads side by side
    dqkv = np.concatenate(merged, axis=-1)  # (B, T, 3C)
    rows = dqkv.reshape(B * T, 3 * C)
    dweight = rows.T @ x.reshape(B * T, C)  # (3C, C)
    return dqkv, rows.sum(0), dweight, dqkv @ weight


HINTS = [
    "Merge the heads of each of the three first: exchange the dims of nh and T, then fold (nh, hs) into C (A15).",
    "Three arrays (B, T, C) become one (B, T, 3C) side by side, in the order q, k, v: exercise B10.",
    "From there it is C08 with dqkv for dout and x for y.",
]
READ = [
    Read("tinygrad_gpt/model.py", "CausalSelfAttention.forward", "c_attn, split, view, transpose"),
    Read("tensor/ops/split.py", "Split", "the cut, as an operation with three results"),
]
MISTAKES = [
    Mistake(
        "g.swapaxes(1, 2).reshape(B, T, C)",
        "g.reshape(B, T, C)",
        "dqkv mixes heads and positions: exchange the dims of nh and T before you fold.",
    ),
    Mistake(
        "g.swapaxes(1, 2).reshape(B, T, C)",
        "g.transpose(0, 2, 3, 1).reshape(B, T, C)",
        "dqkv has the channels of the heads interleaved: whole heads lie side by side, C is (nh, hs).",
    ),
    Mistake("(dq, dk, dv)]", "(dk, dq, dv)]", "dqkv has its parts in another order than they were cut: q, k, v."),
    Mistake(
        "dqkv @ weight", "merged[0] @ weight[:C]", "dx has only the share of the queries: x made keys and values, too."
    ),
    Mistake("rows.T @ x.reshape(B * T, C)", "x.reshape(B * T, C).T @ rows", "dweight is transposed: it is (3C, C)."),
    Mistake("dqkv @ weight", "dqkv @ weight / 3", "dx is the mean of its three uses: their shares add up."),
]
RETURNS = ("dqkv", "dbias", "dweight", "dx")


def specification(dq, dk, dv, x, weight):
    C, nh = x.shape[2], dq.shape[1]

    def forward(see, bias, weight, x):
        bias, weight, x = see("dbias", bias), see("dweight", weight), see("dx", x)
        parts = see("dqkv", F.linear(x, weight, bias)).split(C, -1)
        return tuple(part.reshape(*x.shape[:2], nh, C // nh).transpose(1, 2) for part in parts)

    found = vjp_of_steps(forward, (dq, dk, dv), np.zeros(3 * C), weight, x)
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    for B, nh, T, hs in ((1, 1, 1, 1), (1, 2, 1, 1), (1, 2, 2, 2), (2, 2, 3, 1), (2, 3, 2, 2)):
        C = nh * hs
        yield *(draw.array(B, nh, T, hs) for _ in range(3)), draw.array(B, T, C), draw.array(3 * C, C)
