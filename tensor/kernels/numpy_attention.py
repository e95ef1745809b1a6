"""Attention as plain NumPy: the part of numpy_kernels whose rows look at one another.

Each pass over the scores costs time: there are T / D times as many as numbers in q. So `scale` is applied to q,
sums are products with ones (BLAS is faster than `sum`), and what backward takes off each score of a row rides along
in the matrix product as one more channel:

    [scale q, −c] [k, 1]ᵀ = scale q kᵀ − c
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from tensor.devices import namespace
from tensor.kernels import threads
from tensor.kernels.random_bits import random_bits, threshold
from tensor.kernels.tiles import one_blas_thread, tiles

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
    all_tiles = list(score_tiles(q, k, causal))

    def part(*heads: slice) -> None:
        for rows, columns, limit in all_tiles:
            q_t, k_s = scale * q[heads][..., rows, :], k[heads][..., columns, :]
            e, top = _exp_scores(xp, q_t @ k_s.swapaxes(-1, -2), limit), 0
            total = e @ xp.ones((e.shape[-1], 1), e.dtype)
            if not _far_from_limits(total):
                e, top = _shifted_exp_scores(xp, q_t @ k_s.swapaxes(-1, -2), limit)
                total = e.sum(axis=-1, keepdims=True)
            if dropout_p:
                e *= _keep(xp, q, k, heads, rows, columns, dropout_p, seed)
                e *= 1 / (1 - dropout_p)
            y_t = e @ v[heads][..., columns, :]
            y_t /= total
            y[heads][..., rows, :] = y_t
            log_sum[heads][..., rows] = (xp.log(total) + top)[..., 0]

    _for_heads(part, q, k)
    return y, log_sum


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """dq, dk, dv of `attention`; see `nn.functional.attention` for the derivation. The scores are computed again."""
    xp = namespace(q)
    dq, dk, dv = empty_gradients(xp, q, k, v)
    all_tiles = list(score_tiles(q, k, causal))

    def part(*heads: slice) -> None:
        along = xp.einsum("bhte,bhte->bht", dy[heads], y[heads])  # Σ_s dp p of each row
        q_1 = _with_channel(xp, q[heads], -log_sum[heads], scale)
        dy_1 = _with_channel(xp, dy[heads], 0 if dropout_p else -along)
        k_1, v_1 = _with_channel(xp, k[heads], 1), _with_channel(xp, v[heads], 1)
        dk[heads] = 0
        dv[heads] = 0
        for rows, columns, limit in all_tiles:
            q_t, dy_t = q_1[..., rows, :], dy_1[..., rows, :]
            k_s, v_s = k_1[..., columns, :], v_1[..., columns, :]
            p = _exp_scores(xp, q_t @ k_s.swapaxes(-1, -2), limit)
            ds = dy_t @ v_s.swapaxes(-1, -2)  # dp − along
            kept = p
            if dropout_p:
                keep = _keep(xp, q, k, heads, rows, columns, dropout_p, seed) * p.dtype.type(1 / (1 - dropout_p))
                kept = p * keep
                ds *= keep
                ds -= along[..., rows, None]
            dv[heads][..., columns, :] += kept.swapaxes(-1, -2) @ dy_t[..., :-1]
            ds *= p
            dq[heads][..., rows, :] = ds @ k_s[..., :-1]
            dk[heads][..., columns, :] += ds.swapaxes(-1, -2) @ q_t[..., :-1]
        dq[heads] *= scale

    _for_heads(part, q, k)
    return dq, dk, dv


def heads_side_by_side(xp, shape, dtype):
    """An empty (B, H, T, D) array that lies in memory as (B, T, H, D): merging the heads is then free."""
    B, H, T, D = shape
    return xp.empty((B, T, H, D), dtype).swapaxes(1, 2)


def empty_gradients(xp, q, k, v) -> list:
    """Empty dq, dk, dv. For a q, k and v of one shape they lie side by side, as most models cut these out of one array
    (B, T, 3C): that array's gradient is then there already (tensor/ops/split.py)."""
    if not q.shape == k.shape == v.shape:
        return [heads_side_by_side(xp, x.shape, x.dtype) for x in (q, k, v)]
    B, H, T, D = q.shape
    together = xp.empty((B, T, 3, H, D), q.dtype)
    return [together[:, :, i].swapaxes(1, 2) for i in range(3)]


def score_tiles(q, k, causal: bool) -> Iterator[tuple]:
    """(rows, columns, limit) of every tile of the scores; a causal tile leaves out the columns after its last row.

    Of its last columns, limit (t, s) says what exp(score) may be at most: 0 where a column comes after the row, else
    inf. It is None where nothing is hidden.
    """
    xp, T, S = namespace(q), q.shape[2], k.shape[2]
    for rows in tiles(q, 0, T, QUERIES):
        if not causal or rows.start >= S:
            yield rows, slice(0, S), None
        else:
            columns = xp.arange(rows.start, min(rows.stop, S))
            late = columns > xp.arange(rows.start, rows.stop)[:, None]
            yield rows, slice(0, min(rows.stop, S)), xp.where(late, 0, math.inf).astype(q.dtype)


def _for_heads(part: Callable[[slice, slice], None], q, k) -> None:
    """part(sequences, heads) for as many heads of q and k at a time as make SCORES scores, on a GPU for all at once.

    Threads share the sequences, or the heads if there are more of those.
    """
    (B, H, T, _), S = q.shape, k.shape[2]
    heads = max(1, SCORES // (min(T, QUERIES) * S))

    def several(b: slice, h: slice) -> None:
        for some_b in tiles(q, b.start, b.stop, max(1, heads // H)):
            for some_h in tiles(q, h.start, h.stop, heads):
                part(some_b, some_h)

    if namespace(q) is not np:
        return part(slice(0, B), slice(0, H))
    shares = [slice(*share) for share in threads.split(max(B, H), 4 * B * H * T * S)]
    parts = [(share, slice(0, H)) if B >= H else (slice(0, B), share) for share in shares]
    with one_blas_thread(len(parts) > 1):
        threads.run(several, parts)


def _with_channel(xp, x, value, scale: float = 1):
    """[scale x, value]: x (b, h, t, D) with one more channel, which is `value`, a number or (b, h, t)."""
    extended = xp.empty((*x.shape[:-1], x.shape[-1] + 1), x.dtype)
    xp.multiply(x, scale, out=extended[..., :-1])
    extended[..., -1] = value
    return extended


def _exp_scores(xp, s, limit):
    """exp(s) for a tile of scores (b, h, t, s), in place, and 0 where they are hidden, also if exp is inf there."""
    xp.exp(s, out=s)
    if limit is not None:
        last = s[..., s.shape[-1] - limit.shape[1] :]
        xp.minimum(last, limit, out=last)
    return s


def _shifted_exp_scores(xp, s, limit):
    """exp(s − max s) for each row, in place, and that maximum: the same softmax, and no exp is too large."""
    if limit is not None:
        xp.copyto(s[..., s.shape[-1] - limit.shape[1] :], -math.inf, where=limit == 0)
    top = s.max(axis=-1, keepdims=True)
    s -= top
    return xp.exp(s, out=s), top


def _far_from_limits(total) -> bool:
    """Are the sums of exp so far from the largest and smallest number that no summand was lost? NaN is not."""
    limits = np.finfo(total.dtype)
    return bool(total.min() > math.sqrt(limits.tiny)) and bool(total.max() < math.sqrt(limits.max))


def _keep(xp, q, k, heads, rows: slice, columns: slice, p: float, seed: int):
    """Which scores of a tile stay: bool (b, h, t, s)."""
    (_, H, T), S = q.shape[:3], k.shape[2]
    b, h, t, s = xp.ogrid[heads[0], heads[1], rows, columns]
    numbers = (((b * H + h) * T + t) * S + s).astype(xp.uint32)
    return random_bits(xp, numbers, seed) >= xp.uint32(threshold(p))
