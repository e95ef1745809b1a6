"""Attention compiled with Numba: part of numba_kernels, with its loops.

Six queries at a time meet all their keys: six rows of scores, softmax, and the product with the values, while
everything is in the cache. Rows of the scores that causality hides are never computed. A thread owns whole heads, so
nothing is shared, and needs memory for a few rows of scores and for the keys and values of one head.
"""

from __future__ import annotations

import functools
import math

import numba
import numpy as np

from tensor.kernels.numba_loops import dot, exp, random_bits
from tensor.kernels.numba_memory import borrow
from tensor.kernels.numba_threads import SharedLoop, compiled
from tensor.kernels.numba_tile import TALL, WIDE, row_max, tile_product
from tensor.kernels.numpy_attention import empty_gradients, heads_side_by_side
from tensor.kernels.random_bits import threshold, words

BLOCK = 36  # queries whose scores backward holds before it adds to the gradients of the keys and values
STEPS = 4  # elementary steps for each score, in nanoseconds about
FIRST = np.intp(0)  # of the rows; for a plain 0 Numba would compile the functions another time


def attention(q, k, v, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """y (B, H, T, E) and log_sum (B, H, T), as in numpy_kernels."""
    y = heads_side_by_side(np, (*q.shape[:3], v.shape[3]), q.dtype)
    log_sum = np.empty(q.shape[:3], q.dtype)
    arrays = (*map(_with_dense_rows, (q, k, v)), y, log_sum)
    settings = _settings(q.dtype, scale, causal, dropout_p, seed)
    _compile(_attention, q.dtype, 4)
    _attention(*_share(q, k), *arrays, *settings)
    return y, log_sum


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """dq, dk, dv of `attention`."""
    dq, dk, dv = empty_gradients(np, q, k, v)
    arrays = (*map(_with_dense_rows, (dy, q, k, v, y)), dq, dk, dv, log_sum)
    _compile(_attention_backward, q.dtype, 8)
    settings = _settings(q.dtype, scale, causal, dropout_p, seed)
    _attention_backward(*_share(q, k), *arrays, *settings)
    return dq, dk, dv


@functools.cache
def _compile(loop, dtype, arrays: int) -> None:
    """Compile `loop` for `arrays` 4-d arrays with any strides: one version serves all shapes and memory orders."""
    number, word = numba.from_dtype(dtype), numba.uint32
    loop.compile(*[number[:, :, :, :]] * arrays, number[:, :, :], number, numba.boolean, word, number, word, word)


def _with_dense_rows(x):
    """x (B, H, T, D), copied where the D elements of a row do not lie side by side."""
    return x if x.strides[-1] == x.itemsize or x.shape[-1] == 1 else np.ascontiguousarray(x)


@functools.lru_cache
def _settings(dtype, scale: float, causal: bool, p: float, seed: int) -> tuple:
    """The last arguments of the loops, each of the type that they were compiled for."""
    f = dtype.type
    low, high = words(seed)
    return f(scale), causal, np.uint32(threshold(p)), f(1 / (1 - p)), np.uint32(low), np.uint32(high)


def _share(q, k) -> tuple[int, int]:
    """Heads in all, and the elementary steps they take."""
    B, H, T, _ = q.shape
    return B * H, STEPS * B * H * T * k.shape[2]


# ---------------------------------------------------------------------- loops


@compiled
def _up(n, step):
    return (n + step - 1) // step * step


@compiled
def _scale_row(row, out, factor):
    for c in range(row.size):
        out[c] = row[c] * factor


@compiled
def _load(x, b, h, first, count, out, factor):
    """out[n] = factor · x[b, h, first + n] for n < count, as far as x is wide."""
    D = x.shape[3]
    for n in range(count):
        _scale_row(borrow(x, (b, h, first + n, 0), (D,)), borrow(out, (n, 0), (D,)), factor)


@compiled
def _store(rows, x, b, h, first, count, factor):
    """x[b, h, first + n] = factor · rows[n] for n < count, as far as x is wide."""
    D = x.shape[3]
    for n in range(count):
        _scale_row(borrow(rows, (n, 0), (D,)), borrow(x, (b, h, first + n, 0), (D,)), factor)


@compiled
def _panel(panels, s):
    """The panel with the columns s … s + WIDE − 1 of xᵀ, (D, WIDE)."""
    return borrow(panels, (s // WIDE, 0), (panels.shape[1] // WIDE, WIDE))


@compiled
def _pack(x, b, h, panels):
    """panels[s // WIDE, d · WIDE + s % WIDE] = x[b, h, s, d]: xᵀ in panels as wide as a tile, each without gaps."""
    _, _, S, D = x.shape
    for s in range(S):
        row, panel = borrow(x, (b, h, s, 0), (D,)), _panel(panels, s)
        for d in range(row.size):
            panel[d, s % WIDE] = row[d]


@compiled
def _exp_scores(p, i, seen, stop):
    """p[i, :seen] becomes exp(p − max p), and 0 from there to `stop`; returns the maximum and the sum."""
    for s in range(seen, stop):
        p[i, s] = -np.inf
    top, total = row_max(p, i, stop), p.dtype.type(0)
    row = borrow(p, (i, 0), (stop,))
    for s in range(row.size):
        e = exp(row[s] - top)
        row[s] = e
        total += e
    return top, total


@compiled
def _drop_scores(p, i, seen, number, drop, grow, low, high):
    """Scores p[i, :seen], the first with this number, are dropped or grow."""
    row = borrow(p, (i, 0), (seen,))
    for s in range(row.size):
        row[s] = row[s] * grow if random_bits(number + s, low, high) >= drop else row.dtype.type(0)


@SharedLoop
def _attention(q, k, v, y, log_sum, scale, causal, drop, grow, low, high, start, stop):
    _, H, T, D = q.shape
    S, E = v.shape[2:]
    one = q.dtype.type(1)
    k_packed = np.zeros((_up(S, WIDE) // WIDE, D * WIDE), q.dtype)
    v_rows = np.zeros((S, _up(E, WIDE)), q.dtype)
    q_rows = np.zeros((TALL, D), q.dtype)  # scale · q
    p = np.zeros((TALL, _up(S, WIDE)), q.dtype)
    y_rows = np.zeros((TALL, _up(E, WIDE)), q.dtype)
    total = np.zeros((TALL, 1), q.dtype)
    for n in range(start, stop):
        b, h = n // H, n % H
        _pack(k, b, h, k_packed)
        _load(v, b, h, FIRST, S, v_rows, one)
        for t in range(0, T, TALL):
            rows = min(TALL, T - t)
            columns = min(S, t + TALL) if causal else S
            _load(q, b, h, t, rows, q_rows, scale)
            for s in range(0, columns, WIDE):
                tile_product(q_rows, _panel(k_packed, s), p, 0, s, 0, 0, D, False)
            for i in range(rows):
                seen = min(S, t + i + 1) if causal else S
                top, total[i, 0] = _exp_scores(p, i, seen, _up(columns, WIDE))
                log_sum[b, h, t + i] = top + math.log(total[i, 0])
                if drop > 0:
                    _drop_scores(p, i, seen, ((b * H + h) * T + t + i) * S, drop, grow, low, high)
            for e in range(0, E, WIDE):
                tile_product(p, v_rows, y_rows, 0, e, e, 0, columns, False)
            for i in range(rows):
                _scale_row(borrow(y_rows, (i, 0), (E,)), borrow(y, (b, h, t + i, 0), (E,)), one / total[i, 0])


@compiled
def _scores_backward(p, ds, i, seen, stop, log_sum, along, number, drop, grow, low, high):
    """Row i of both: scores in p become dropped-out probabilities, and dp in ds becomes p ⊙ (dp − along).

    Both are 0 from `seen` to `stop`. A weight that dropout keeps grows, one that it drops takes no part; without
    dropout `drop` is 0 and `grow` is 1.
    """
    for s in range(seen, stop):
        p[i, s] = -np.inf
        ds[i, s] = 0
    scores, gradients = borrow(p, (i, 0), (stop,)), borrow(ds, (i, 0), (stop,))
    if drop > 0:
        for s in range(scores.size):
            e = exp(scores[s] - log_sum)
            weight = grow if random_bits(number + s, low, high) >= drop else p.dtype.type(0)
            scores[s] = weight * e
            gradients[s] = e * (weight * gradients[s] - along)
    else:
        for s in range(scores.size):
            e = exp(scores[s] - log_sum)
            scores[s] = e
            gradients[s] = e * (gradients[s] - along)


@SharedLoop
def _attention_backward(dy, q, k, v, y, dq, dk, dv, log_sum, scale, causal, drop, grow, low, high, start, stop):
    _, H, T, D = q.shape
    S, E = v.shape[2:]
    zero, one = q.dtype.type(0), q.dtype.type(1)
    wide_D, wide_E, wide_S = _up(D, WIDE), _up(E, WIDE), _up(S, WIDE)
    k_packed = np.zeros((wide_S // WIDE, D * WIDE), q.dtype)
    v_packed = np.zeros((wide_S // WIDE, E * WIDE), q.dtype)
    k_rows = np.zeros((S, wide_D), q.dtype)
    q_rows = np.zeros((BLOCK, wide_D), q.dtype)  # scale · q
    dy_rows = np.zeros((BLOCK, wide_E), q.dtype)
    p = np.zeros((BLOCK, wide_S + WIDE), q.dtype)  # longer by one tile: else the rows compete for the same cache lines
    ds = np.zeros((BLOCK, wide_S + WIDE), q.dtype)
    p_down, ds_down = p.T, ds.T  # (S, BLOCK)
    dq_rows = np.zeros((TALL, wide_D), q.dtype)
    dk_rows = np.zeros((_up(S, TALL), wide_D), q.dtype)
    dv_rows = np.zeros((_up(S, TALL), wide_E), q.dtype)
    for n in range(start, stop):
        b, h = n // H, n % H
        _pack(k, b, h, k_packed)
        _pack(v, b, h, v_packed)
        _load(k, b, h, FIRST, S, k_rows, one)
        dk_rows[:] = zero
        dv_rows[:] = zero
        for block in range(0, T, BLOCK):
            rows = min(BLOCK, T - block)
            _load(q, b, h, block, rows, q_rows, scale)
            _load(dy, b, h, block, rows, dy_rows, one)
            for i in range(0, rows, TALL):
                t = block + i
                columns = min(S, t + TALL) if causal else S
                for s in range(0, columns, WIDE):
                    tile_product(q_rows, _panel(k_packed, s), p, i, s, 0, 0, D, False)
                    tile_product(dy_rows, _panel(v_packed, s), ds, i, s, 0, 0, E, False)  # dp
                tile_rows = min(TALL, rows - i)
                for r in range(tile_rows):
                    seen = min(S, t + r + 1) if causal else S
                    along = dot(borrow(dy_rows, (i + r, 0), (E,)), borrow(y, (b, h, t + r, 0), (E,)))
                    number = ((b * H + h) * T + t + r) * S
                    _scores_backward(
                        p,
                        ds,
                        i + r,
                        seen,
                        _up(columns, WIDE),
                        log_sum[b, h, t + r],
                        along,
                        number,
                        drop,
                        grow,
                        low,
                        high,
                    )
                for d in range(0, D, WIDE):
                    tile_product(borrow(ds, (i, 0), (TALL, wide_S + WIDE)), k_rows, dq_rows, 0, d, d, 0, columns, False)
                _store(dq_rows, dq, b, h, t, tile_rows, scale)
            for s in range(0, min(S, block + rows) if causal else S, TALL):
                first = max(0, s - block) if causal else 0  # the first query that sees any of these keys
                for e in range(0, E, WIDE):
                    tile_product(p_down, dy_rows, dv_rows, s, e, e, first, rows, True)
                for d in range(0, D, WIDE):
                    tile_product(ds_down, q_rows, dk_rows, s, d, d, first, rows, True)
        _store(dk_rows, dk, b, h, FIRST, S, one)
        _store(dv_rows, dv, b, h, FIRST, S, one)
