"""Backward without the T × T matrices, a block at a time.

For a long text p is by far the largest thing in attention: with T = 4096, sixteen million numbers for every head. They
need not be kept. With log_sum[t] = ln Σ_s exp(s[t, s]) every part of p can be made again when it is needed, and
the sum inside the softmax's gradient needs no p at all:

    Σ_s dp[t, s] p[t, s] = Σ_s (dy[t] · v[s]) p[t, s] = dy[t] · Σ_s p[t, s] v[s] = dy[t] · y[t]

So backward can walk over the queries a block at a time. This is what FlashAttention does (arXiv:2205.14135).
"""

import math
import tracemalloc

import numpy as np

from tinygrad_gpt.exercises.gradients import causal_attention, vjp
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


def blockwise_vjp(dy, q, k, v, y, log_sum, size):
    """Causal attention of one head, as C06, from what a blockwise forward keeps: returns (dq, dk, dv).

    dy, q, k, v and y are (T, D), log_sum is (T,), the scale 1/√D. Take `size` queries at a time, all keys at once: no
    array may be larger than (size, T), or than q. The last block may be shorter.

    >>> one = np.ones((1, 1))
    >>> blockwise_vjp(one, one, one, one, one, np.array([1.0]), 64)[2]
    array([[1.]])
    """
    T, D = q.shape
    scale = 1 / math.sqrt(D)
    along = (dy * y).sum(1, keepdims=True)  # (T, 1): Σ_s dp ⊙ p of each row
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for start in range(0, T, size):
        rows = slice(start, start + size)
        p = np.exp(scale * q[rows] @ k.T - log_sum[rows, None])  # (size, T)
        p[np.arange(T) > np.arange(T)[rows, None]] = 0
        dv += p.T @ dy[rows]
        ds = p * (dy[rows] @ v.T - along[rows])  # (size, T)
        dq[rows] = scale * ds @ k
        dk += scale * ds.T @ q[rows]
    return dq, dk, dv


HINTS = [
    "Write it for the whole matrix first: p = exp(scale · q @ k.T − log_sum), with log_sum upright and the future set "
    "to 0, and ds = p ⊙ (dy @ v.T − Σ dy ⊙ y). The rest is C06.",
    "Then put a loop around it, over range(0, T, size), and take rows start to start + size of q, dy, y and log_sum. "
    "Query i of a block is query start + i: the mask has to know.",
    "dq has a row for each query of the block: set it. Every block has something for all keys and values: dk and dv "
    "begin as zeros, and each block adds to them.",
]
READ = [
    Read("tensor/kernels/numpy_attention.py", "attention_backward", "the same, a tile at a time, for all heads"),
    Read("tensor/kernels/numpy_attention.py", "attention", "the forward that keeps y and log_sum only"),
]
MISTAKES = [
    Mistake("dk += scale", "dk = scale", "dk is that of the last block only: each block adds its share."),
    Mistake("dv += p", "dv = p", "dv is that of the last block only: each block adds its share."),
    Mistake(
        "np.arange(T)[rows, None]",
        "np.arange(len(q[rows]))[:, None]",
        "The mask is that of the first block, in all blocks: query i of a block is query start + i.",
    ),
    Mistake(
        "        p[np.arange(T) > np.arange(T)[rows, None]] = 0\n",
        "",
        "There is no mask: keys after the query have p = 0.",
    ),
    Mistake(" - along[rows]", "", "The softmax's second term is missing: dp − Σ dy ⊙ y."),
    Mistake(
        "np.exp(scale * q[rows] @ k.T - log_sum[rows, None])",
        "np.exp(scale * q[rows] @ k.T) / log_sum[rows, None]",
        "log_sum is a logarithm already: exp(s − log_sum), not exp(s) / log_sum.",
    ),
    Mistake("np.exp(scale * q[rows]", "np.exp(q[rows]", "The scale is missing where p is made again."),
    Mistake(
        "range(0, T, size)", "range(0, T - T % size, size)", "The last, shorter block is left out: its dq is still 0."
    ),
    Mistake(
        "    T, D = q.shape\n",
        "    T, D = q.shape\n    size = T\n",
        "The gradients are right, but a whole (T, T) matrix was made: work on `size` queries at a time.",
    ),
]
RETURNS = ("dq", "dk", "dv")
LONG, NARROW = 256, 8  # queries and a block, to see what memory is used


def check(student, draw):
    for T, D, size in ((1, 1, 1), (2, 1, 2), (2, 2, 1), (4, 2, 2), (5, 3, 2), (7, 4, 3)):
        dy, q, k, v, y, log_sum = _inputs(draw, T, D)
        shown = {"dy": dy, "q": q, "k": k, "v": v, "y": y, "log_sum": log_sum, "size": size}
        right = vjp(lambda q, k, v: causal_attention(lambda name, x: x, q, k, v), dy, q, k, v)
        got = student.blockwise_vjp(*(array.copy() for array in (dy, q, k, v, y, log_sum)), size)
        expect(f"a gradient for T = {T} and blocks of {size}", right, got, names=RETURNS, inputs=shown)
    most = _memory(student, _inputs(draw, LONG, 4)) // 8
    if most > LONG * LONG // 2:
        raise Wrong(
            "The gradients are right, but a whole (T, T) matrix was made: work on `size` queries at a time.",
            {"T": LONG, "size": NARROW, "numbers held at a time": most},
        )
    return f"Right for every size of block; for {LONG} queries at most {most:,} numbers, where p has {LONG * LONG:,}."


def _inputs(draw, T, D):
    dy, q, k, v = (draw.array(T, D) for _ in range(4))
    s = np.where(np.tri(T, dtype=bool), q @ k.T / math.sqrt(D), -np.inf)
    log_sum = np.log(np.exp(s).sum(1))
    return dy, q, k, v, np.exp(s - log_sum[:, None]) @ v, log_sum


def _memory(student, inputs) -> int:
    """The bytes that the student's function holds at most."""
    tracemalloc.start()
    try:
        student.blockwise_vjp(*inputs, NARROW)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
