"""Attention compiled with Numba: part of numba_kernels, with its loops.

Four queries at a time meet all their keys: four rows of scores, softmax, and the product with the values, while
everything is in the cache. Rows of the scores that causality hides are never computed. A thread owns whole heads, so
nothing is shared, and needs memory for a few rows of scores and for the keys and values of one head.
"""

from __future__ import annotations

import functools
import math

import numba
import numpy as np

from tensor.kernels.numba_loops import dot, exp_row, largest, random_bits, scores_backward
from tensor.kernels.numba_threads import SharedLoop, compiled
from tensor.kernels.numba_tile import TALL, WIDE, dense, tile_product
from tensor.kernels.numpy_attention import empty_gradients, heads_side_by_side
from tensor.kernels.random_bits import threshold, words

BLOCK = 32  # queries whose scores backward holds before it adds to the gradients of the keys and values
STEPS = 4  # elementary steps for each score, in nanoseconds about


def attention(q, k, v, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """y (B, H, T, E) and log_sum (B, H, T), as in numpy_kernels."""
    y = heads_side_by_side(np, (*q.shape[:3], v.shape[3]), q.dtype)
    log_sum = np.empty(q.shape[:3], q.dtype)
    arrays = (*map(_with_dense_rows, (q, k, v)), y, log_sum)
    settings = _settings(q, scale, causal, dropout_p, seed)
    _compile(_attention, q.dtype, 4)
    _attention(*_share(q, k), *arrays, *settings)
    return y, log_sum


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """dq, dk, dv of `attention`."""
    dq, dk, dv = empty_gradients(np, q, k, v)
    arrays = (*map(_with_dense_rows, (dy, q, k, v, y)), dq, dk, dv, log_sum)
    _compile(_attention_backward, q.dtype, 8)
    settings = _settings(q, scale, causal, dropout_p, seed)
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


def _settings(q, scale: float, causal: bool, p: float, seed: int) -> tuple:
    f = q.dtype.type
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
def _copy_rows(x, out, factor):
    for n in range(x.shape[0]):
        row, target = dense(x[n]), dense(out[n])
        for c in range(row.size):
            target[c] = row[c] * factor


@compiled
def _pack(x, panels):
    """panels[s // WIDE, d, s % WIDE] = x[s, d]: xᵀ in panels as wide as a tile, each without gaps."""
    for s in range(x.shape[0]):
        row, panel = dense(x[s]), panels[s // WIDE]
        for d in range(row.size):
            panel[d, s % WIDE] = row[d]


@SharedLoop
def _attention(q, k, v, y, log_sum, scale, causal, drop, grow, low, high, start, stop):
    _, H, T, D = q.shape
    S, E = v.shape[2:]
    zero, one = q.dtype.type(0), q.dtype.type(1)
    k_packed = np.zeros((_up(S, WIDE) // WIDE, D, WIDE), q.dtype)
    v_rows = np.zeros((S, _up(E, WIDE)), q.dtype)
    q_rows = np.zeros((TALL, D), q.dtype)  # scale · q
    p = np.zeros((TALL, _up(S, WIDE)), q.dtype)
    y_rows = np.zeros((TALL, _up(E, WIDE)), q.dtype)
    total = np.ones(TALL, q.dtype)
    for n in range(start, stop):
        b, h = n // H, n % H
        _pack(k[b, h], k_packed)
        _copy_rows(v[b, h], v_rows, one)
        for t in range(0, T, TALL):
            rows = min(TALL, T - t)
            columns = min(S, t + TALL) if causal else S
            _copy_rows(q[b, h, t : t + rows], q_rows, scale)
            for s in range(0, columns, WIDE):
                tile_product(q_rows, k_packed[s // WIDE], p, 0, s, 0, 0, D, False)
            for i in range(rows):
                seen = p[i, : min(S, t + i + 1) if causal else S]
                top = largest(seen)
                total[i] = exp_row(seen, top)
                log_sum[b, h, t + i] = top + math.log(total[i])
                if drop > 0:
                    number = ((b * H + h) * T + t + i) * S
                    for s in range(seen.size):
                        seen[s] = seen[s] * grow if random_bits(number + s, low, high) >= drop else zero
                p[i, seen.size : columns] = zero
            for e in range(0, E, WIDE):
                tile_product(p, v_rows, y_rows, 0, e, e, 0, columns, False)
            for i in range(rows):
                _copy_rows(y_rows[i : i + 1, :E], y[b, h, t + i : t + i + 1], one / total[i])


@SharedLoop
def _attention_backward(dy, q, k, v, y, dq, dk, dv, log_sum, scale, causal, drop, grow, low, high, start, stop):
    _, H, T, D = q.shape
    S, E = v.shape[2:]
    zero, one = q.dtype.type(0), q.dtype.type(1)
    wide_D, wide_E, wide_S = _up(D, WIDE), _up(E, WIDE), _up(S, WIDE)
    k_packed = np.zeros((wide_S // WIDE, D, WIDE), q.dtype)
    v_packed = np.zeros((wide_S // WIDE, E, WIDE), q.dtype)
    k_rows = np.zeros((S, wide_D), q.dtype)
    q_rows = np.zeros((BLOCK, wide_D), q.dtype)  # scale · q
    dy_rows = np.zeros((BLOCK, wide_E), q.dtype)
    p = np.zeros((BLOCK, wide_S + WIDE), q.dtype)  # longer by one tile: else the rows compete for the same cache lines
    ds = np.zeros((BLOCK, wide_S + WIDE), q.dtype)
    dq_rows = np.zeros((TALL, wide_D), q.dtype)
    dk_rows = np.zeros((_up(S, TALL), wide_D), q.dtype)
    dv_rows = np.zeros((_up(S, TALL), wide_E), q.dtype)
    for n in range(start, stop):
        b, h = n // H, n % H
        _pack(k[b, h], k_packed)
        _pack(v[b, h], v_packed)
        _copy_rows(k[b, h], k_rows, one)
        dk_rows[:] = zero
        dv_rows[:] = zero
        for block in range(0, T, BLOCK):
            rows = min(BLOCK, T - block)
            _copy_rows(q[b, h, block : block + rows], q_rows, scale)
            _copy_rows(dy[b, h, block : block + rows], dy_rows, one)
            for i in range(0, rows, TALL):
                t = block + i
                columns = min(S, t + TALL) if causal else S
                for s in range(0, columns, WIDE):
                    tile_product(q_rows, k_packed[s // WIDE], p, i, s, 0, 0, D, False)
                    tile_product(dy_rows, v_packed[s // WIDE], ds, i, s, 0, 0, E, False)  # dp
                for r in range(min(TALL, rows - i)):
                    seen = min(S, t + r + 1) if causal else S
                    along = dot(dense(dy[b, h, t + r]), dense(y[b, h, t + r]))
                    number = ((b * H + h) * T + t + r) * S
                    p_row, ds_row = p[i + r, :seen], ds[i + r, :seen]
                    scores_backward(p_row, ds_row, log_sum[b, h, t + r], along, number, drop, grow, low, high)
                    p[i + r, seen : columns + TALL] = zero
                    ds[i + r, seen : columns + TALL] = zero
                tile_rows = min(TALL, rows - i)
                for d in range(0, D, WIDE):
                    tile_product(ds[i : i + TALL], k_rows, dq_rows, 0, d, d, 0, columns, False)
                _copy_rows(dq_rows[:tile_rows, :D], dq[b, h, t : t + tile_rows], scale)
            for s in range(0, min(S, block + rows) if causal else S, TALL):
                first = max(0, s - block) if causal else 0  # the first query that sees any of these keys
                for e in range(0, E, WIDE):
                    tile_product(p.T, dy_rows, dv_rows, s, e, e, first, rows, True)
                for d in range(0, D, WIDE):
                    tile_product(ds.T, q_rows, dk_rows, s, d, d, first, rows, True)
        _copy_rows(dk_rows[:S, :D], dk[b, h], one)
        _copy_rows(dv_rows[:S, :E], dv[b, h], one)
