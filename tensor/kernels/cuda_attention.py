"""Attention in CUDA C: part of cuda_kernels; the source is cuda/attention.cu."""

from __future__ import annotations

import numpy as np

from tensor.devices import cupy_module
from tensor.kernels import numpy_attention
from tensor.kernels.cuda_source import accum, blocks_for, kernel
from tensor.kernels.numpy_attention import heads_side_by_side
from tensor.kernels.random_bits import threshold, words

SIDE = 16  # a block has SIDE × SIDE threads
SHARED_BYTES = 48 << 10  # of shared memory that every GPU gives a block
ROWS = np.dtype([("data", np.uint64), ("b", np.int64), ("h", np.int64), ("t", np.int64)])


def attention(q, k, v, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """y (B, H, T, E) and log_sum (B, H, T), as in numpy_kernels."""
    macros = tile_macros(max(q.shape[3], v.shape[3]), q.dtype)
    if macros is None:
        return numpy_attention.attention(q, k, v, scale, causal, dropout_p, seed)
    xp, (B, H, T, _) = cupy_module(), q.shape
    y = heads_side_by_side(xp, (B, H, T, v.shape[3]), q.dtype)
    log_sum = xp.empty((B, H, T), accum(q.dtype))
    q, k, v = map(_with_dense_rows, (q, k, v))
    arguments = (*map(_rows, (q, k, v, y)), log_sum, _settings(q, k, v, scale, causal, dropout_p, seed))
    _launch("attention", q, T, 2 * macros["TILE"], macros, arguments)
    return y, log_sum


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool, dropout_p: float = 0.0, seed: int = 0):
    """dq, dk, dv of `attention`."""
    macros = tile_macros(max(q.shape[3], v.shape[3]), q.dtype)
    if macros is None:
        return numpy_attention.attention_backward(dy, q, k, v, y, log_sum, scale, causal, dropout_p, seed)
    xp, T, S = cupy_module(), q.shape[2], k.shape[2]
    gradients = [heads_side_by_side(xp, a.shape, a.dtype) for a in (q, k, v)]
    dy, q, k, v, y = map(_with_dense_rows, (dy, q, k, v, y))
    settings = _settings(q, k, v, scale, causal, dropout_p, seed)
    log_sum = xp.ascontiguousarray(log_sum, accum(q.dtype))
    along = xp.empty_like(log_sum)
    dy_, q_, k_, v_, y_, dq, dk, dv = map(_rows, (dy, q, k, v, y, *gradients))
    inputs = (dy_, q_, k_, v_, log_sum, along)
    _launch("attention_along", q, T, SIDE, macros, (dy_, y_, along, settings))
    _launch("attention_backward_queries", q, T, macros["TILE"], macros, (*inputs, dq, settings))
    _launch("attention_backward_keys", q, S, macros["TILE"], macros, (*inputs, dk, dv, settings))
    return tuple(gradients)


def tile_macros(channels: int, dtype: np.dtype) -> dict[str, int] | None:
    """HEAD and TILE for heads of this size; None where shared memory is too small for them."""
    head = SIDE * blocks_for(channels, SIDE)
    for tile in (32, 16):
        most = 4 * tile * (head + 1) + 2 * tile * (tile + 1)  # elements of attention_backward_keys, which needs most
        if most * accum(dtype).itemsize <= SHARED_BYTES:
            return {"HEAD": head, "TILE": tile}
    return None


def _with_dense_rows(x):
    """x (B, H, T, D), copied where the D elements of a row do not lie side by side."""
    return x if x.strides[-1] == x.itemsize or x.shape[-1] == 1 else cupy_module().ascontiguousarray(x)


def _rows(x):
    """The struct `Rows` of cuda/attention.cu: where x (B, H, T, D) lies."""
    return np.array((x.data.ptr, *[stride // x.itemsize for stride in x.strides[:3]]), ROWS)[()]


def _settings(q, k, v, scale: float, causal: bool, p: float, seed: int):
    """The struct `Settings` of cuda/attention.cu."""
    f, (_, H, T, D), (S, E) = accum(q.dtype), q.shape, v.shape[2:]
    names = (("scale", f), ("grow", f), ("drop", "u4"), ("low", "u4"), ("high", "u4"))
    sizes = [(name, "i4") for name in ("causal", "H", "T", "S", "D", "E")]
    values = (scale, 1 / (1 - p), threshold(p), *words(seed), causal, H, T, S, D, E)
    return np.array(values, np.dtype([*names, *sizes], align=True))[()]


def _launch(name: str, q, rows: int, each: int, macros: dict[str, int], arguments: tuple) -> None:
    """Launch a kernel whose blocks take `each` of the `rows` queries or keys of one head."""
    B, H = q.shape[:2]
    kernel(f"attention:{name}", q.dtype.char, **macros)((blocks_for(rows, each), B * H), (SIDE, SIDE), arguments)
