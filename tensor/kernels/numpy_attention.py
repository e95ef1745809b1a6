"""Attention as plain NumPy: the part of numpy_kernels whose rows look at one another."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tensor.devices import namespace
from tensor.kernels import threads
from tensor.kernels.random_bits import random_bits, threshold
from tensor.kernels.tiles import tiles

SCORES = 1 << 17  # scores held at a time on the CPU
QUERIES = 64  # rows of scores computed at a time; the finer, the more of the causal half is skipped


def attention(q, k, v, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """dropout(softmax(scale q kᵀ)) v for q (B, H, T, D), k (B, H, S, D), v (B, H, S, E); if `causal`, row t sees
    columns ≤ t.

    Returns y (B, H, T, E), stored as (B, T, H, E) so that the heads lie side by side, and for backward the
    logarithm of each row's softmax denominator (B, H, T). Scores are made and dropped tile by tile: no T × S
    matrix is kept (Dao et al. 2022, arXiv:2205.14135). The bits that drop the score at (b, h, t, s) are those of its
    number ((b H + h) T + t) S + s.
    """
    xp = namespace(q)
    y = heads_side_by_side(xp, (*q.shape[:3], v.shape[3]), q.dtype)
    log_sum = xp.empty(q.shape[:3], q.dtype)

    def part(start: int, stop: int) -> None:
        for heads, rows, columns in score_tiles(q, k, causal, start, stop):
            s = q[heads][..., rows, :] @ k[heads][..., columns, :].swapaxes(-1, -2)  # (b, h, t, s)
            s *= scale
            if causal:
                _hide_future(xp, s, rows, columns, -math.inf)
            top = s.max(axis=-1, keepdims=True)
            s -= top
            xp.exp(s, out=s)
            total = s.sum(axis=-1, keepdims=True)
            if dropout_p:
                s *= _keep(xp, q, k, heads, rows, columns, dropout_p, seed)
                s *= 1 / (1 - dropout_p)
            y_t = s @ v[heads][..., columns, :]
            y_t /= total
            y[heads][..., rows, :] = y_t
            log_sum[heads][..., rows] = (xp.log(total) + top)[..., 0]

    _in_parts(part, q, k)
    return y, log_sum


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """dq, dk, dv of `attention`; see `nn.functional.attention` for the derivation. The scores are computed again."""
    xp = namespace(q)
    dq, dk, dv = (heads_side_by_side(xp, a.shape, a.dtype) for a in (q, k, v))

    def part(start: int, stop: int) -> None:
        dk[start:stop] = 0
        dv[start:stop] = 0
        for heads, rows, columns in score_tiles(q, k, causal, start, stop):
            q_t, dy_t, k_s = q[heads][..., rows, :], dy[heads][..., rows, :], k[heads][..., columns, :]
            along = xp.einsum("bhte,bhte->bht", dy_t, y[heads][..., rows, :])  # Σ_s dp p of each row
            p = q_t @ k_s.swapaxes(-1, -2)  # (b, h, t, s)
            p *= scale
            p -= log_sum[heads][..., rows, None]
            xp.exp(p, out=p)
            if causal:
                _hide_future(xp, p, rows, columns, 0)
            dp = dy_t @ v[heads][..., columns, :].swapaxes(-1, -2)
            if dropout_p:
                keep = _keep(xp, q, k, heads, rows, columns, dropout_p, seed) * p.dtype.type(1 / (1 - dropout_p))
                dp *= keep
                dv[heads][..., columns, :] += (p * keep).swapaxes(-1, -2) @ dy_t
            else:
                dv[heads][..., columns, :] += p.swapaxes(-1, -2) @ dy_t
            dp -= along[..., None]
            dp *= p
            dp *= scale  # ds
            dq[heads][..., rows, :] = dp @ k_s
            dk[heads][..., columns, :] += dp.swapaxes(-1, -2) @ q_t

    _in_parts(part, q, k)
    return dq, dk, dv


def heads_side_by_side(xp, shape, dtype):
    """An empty (B, H, T, D) array that lies in memory as (B, T, H, D): merging the heads is then free."""
    B, H, T, D = shape
    return xp.empty((B, T, H, D), dtype).swapaxes(1, 2)


def score_tiles(q, k, causal: bool, start: int, stop: int) -> Iterator[tuple[tuple[slice, slice], slice, slice]]:
    """(sequences and heads, rows, columns) of every tile of the scores of the sequences from start to stop.

    A causal tile leaves out the columns after its last row.
    """
    (_, H, T), S = q.shape[:3], k.shape[2]
    for rows in tiles(q, 0, T, QUERIES):
        columns = slice(0, min(rows.stop, S) if causal else S)
        each = max(1, (rows.stop - rows.start) * columns.stop)
        for h in tiles(q, 0, H, max(1, SCORES // each)):
            for b in tiles(q, start, stop, max(1, SCORES // (each * H))):
                yield (b, h), rows, columns


def _in_parts(part, q, k) -> None:
    """part(start, stop) for the sequences of q and k, shared out among the threads; on a GPU in one call."""
    B, H, T, _ = q.shape
    parts = threads.split(B, 4 * B * H * T * k.shape[2]) if namespace(q) is np else [(0, B)]
    threads.run(part, parts)


def _hide_future(xp, s, rows: slice, columns: slice, value: float) -> None:
    """Write `value` where a column of a causal tile (…, t, s) comes after its row; the first columns never do."""
    first = min(rows.start, columns.stop)
    late = xp.arange(first, columns.stop)[None, :] > xp.arange(rows.start, rows.stop)[:, None]
    xp.copyto(s[..., first:], value, where=late)


def _keep(xp, q, k, heads, rows: slice, columns: slice, p: float, seed: int):
    """Which scores of a tile stay: bool (b, h, t, s)."""
    (_, H, T), S = q.shape[:3], k.shape[2]
    b, h, t, s = xp.ogrid[heads[0], heads[1], rows, columns]
    numbers = (((b * H + h) * T + t) * S + s).astype(xp.uint32)
    return random_bits(xp, numbers, seed) >= xp.uint32(threshold(p))
