"""The kernels compiled with Numba: one pass over each row, rows shared out among the cores.

Same functions, arguments and results as in numpy_kernels, for float32 and float64 arrays on the CPU. What stands here
is Python: it makes arrays contiguous and hands each thread its part; the loops are in numba_loops.
"""

from __future__ import annotations

import math

import numpy as np

from tensor.kernels import numba_loops as loops
from tensor.kernels import numpy_kernels, threads

# ---------------------------------------------------------------------- softmax


def _along(kernel, axis: int, *arrays):
    """Run kernel(*arrays, result, start, stop) on rows that lie along `axis`; returns the result."""
    moved = [np.ascontiguousarray(np.moveaxis(a, axis, -1)) for a in arrays]
    out = np.empty_like(moved[0])
    if out.size:
        _over_rows(kernel, *[a.reshape(-1, a.shape[-1]) for a in (*moved, out)])
    return np.moveaxis(out, -1, axis)


def _over_rows(kernel, first, *rest) -> None:
    """Run kernel(first, *rest, start, stop) over the rows of `first`, shared out among the threads."""
    parts = threads.split(len(first), first.size)
    threads.run(kernel, [(first, *rest, start, stop) for start, stop in parts])


def softmax(x, axis: int):
    """exp(x - max x) / Σ exp(x - max x) along `axis`."""
    return _along(loops.softmax_rows, axis, x)


def softmax_backward(dy, y, axis: int):
    """dx = y ⊙ (dy − Σ dy ⊙ y)."""
    return _along(loops.softmax_backward_rows, axis, dy, y)


def log_softmax(x, axis: int):
    """x − max x − ln Σ exp(x − max x) along `axis`."""
    return _along(loops.log_softmax_rows, axis, x)


def log_softmax_backward(dy, y, axis: int):
    """dx = dy − exp(y) Σ dy."""
    return _along(loops.log_softmax_backward_rows, axis, dy, y)


# ---------------------------------------------------------------------- layer norm


def layer_norm(x, weight, bias, eps: float):
    """y (N, C), mean (N,), rstd (N,) as in numpy_kernels."""
    N, C = x.shape
    x = np.ascontiguousarray(x)
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    bias = np.zeros(C, x.dtype) if bias is None else np.ascontiguousarray(bias)
    y, mean, rstd = np.empty_like(x), np.empty(N, x.dtype), np.empty(N, x.dtype)
    _over_rows(loops.layer_norm_rows, x, weight, bias, x.dtype.type(eps), y, mean, rstd)
    return y, mean, rstd


def layer_norm_backward(dy, x, weight, mean, rstd, affine: bool):
    """dx (N, C), dweight and dbias (C,) as in numpy_kernels; each thread sums its own rows, then the sums are added."""
    N, C = x.shape
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    dx = np.empty_like(x)
    parts = threads.split(N, x.size)
    sums = np.zeros((len(parts), 2, C), x.dtype)
    threads.run(
        loops.layer_norm_backward_rows,
        [(dy, x, weight, mean, rstd, dx, sums[i, 0], sums[i, 1], *part) for i, part in enumerate(parts)],
    )
    dweight, dbias = sums.sum(axis=0) if affine else (None, None)
    return dx, dweight, dbias


# ---------------------------------------------------------------------- GELU


def _over_elements(kernel, *arrays):
    """Run kernel(*flat arrays, flat result), the elements shared out; the result has the shape of arrays[0]."""
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    out = np.empty(arrays[0].shape, arrays[0].dtype)
    parts = threads.split(out.size, out.size)
    threads.run(kernel, [tuple(a[start:stop] for a in (*flat, out.reshape(-1))) for start, stop in parts])
    return out


def gelu_tanh(x):
    """½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + 0.044715 x³)."""
    return _over_elements(loops.gelu_tanh, x)


def gelu_tanh_backward(dy, x):
    """dx = dy (s + x s (1 − s) 2u′), where s = σ(2u)."""
    return _over_elements(loops.gelu_tanh_backward, dy, x)


def gelu_erf(x):
    """x Φ(x), where Φ is the distribution function of the standard normal."""
    return _over_elements(loops.gelu_erf, x)


def gelu_erf_backward(dy, x):
    """dx = dy (Φ(x) + x φ(x)), where φ is the density of the standard normal."""
    return _over_elements(loops.gelu_erf_backward, dy, x)


# ---------------------------------------------------------------------- cross-entropy


def cross_entropy(logits, targets, row_weight):
    """The losses (N,) and ln Σ exp of each row (N,), as in numpy_kernels."""
    N = len(logits)
    losses, log_sum = np.empty(N, logits.dtype), np.empty(N, logits.dtype)
    targets = np.ascontiguousarray(targets, np.int64)
    _over_rows(loops.cross_entropy_rows, np.ascontiguousarray(logits), targets, row_weight, losses, log_sum)
    return losses, log_sum


def cross_entropy_backward(dlosses, logits, targets, row_weight, log_sum):
    """dlogits_n = dloss_n w_n (softmax(x_n) − onehot(target_n)), (N, V)."""
    dlogits = np.empty(logits.shape, logits.dtype)
    targets = np.ascontiguousarray(targets, np.int64)
    scale = np.ascontiguousarray(dlosses * row_weight)
    _over_rows(
        loops.cross_entropy_backward_rows, np.ascontiguousarray(logits), targets, row_weight, scale, log_sum, dlogits
    )
    return dlogits


# ---------------------------------------------------------------------- embedding


def embedding_backward(dy, idx, num_embeddings: int):
    """dweight (num_embeddings, C): row i is the sum of the rows n of dy (N, C) where idx[n] = i."""
    dweight = np.zeros((num_embeddings, dy.shape[1]), dy.dtype)
    columns = threads.split(dy.shape[1], dy.size)  # by columns, so that no two threads write to the same place
    indices = np.ascontiguousarray(idx, np.int64)
    threads.run(loops.add_rows, [(np.ascontiguousarray(dy), indices, dweight, *part) for part in columns])
    return dweight


# ---------------------------------------------------------------------- attention


def attention(q, k, v, scale: float, causal: bool):
    """y (B, H, T, E) and log_sum (B, H, T), as in numpy_kernels: products by BLAS, all between them in one pass."""
    y = numpy_kernels.heads_side_by_side(np, (*q.shape[:3], v.shape[3]), q.dtype)
    log_sum = np.empty(q.shape[:3], q.dtype)
    parts = threads.split(len(q), q.size // q.shape[3] * k.shape[2])
    threads.run(
        _attention_part,
        [(q[a:b], k[a:b], v[a:b], q.dtype.type(scale), causal, y[a:b], log_sum[a:b]) for a, b in parts],
    )
    return y, log_sum


def _attention_part(q, k, v, scale, causal, y, log_sum):
    for heads, rows, columns in numpy_kernels.score_tiles(q, k, causal):
        s = q[heads][..., rows, :] @ k[heads][..., columns, :].swapaxes(-1, -2)  # (b, h, t, s)
        sums = np.empty(s.shape[:3], s.dtype)
        first = rows.start if causal else s.shape[3]
        loops.softmax_scores(s.reshape(-1, *s.shape[2:]), sums.reshape(-1, s.shape[2]), scale, first)
        np.matmul(s, v[heads][..., columns, :], out=y[heads][..., rows, :])
        log_sum[heads][..., rows] = sums


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool):
    """dq, dk, dv of `attention`."""
    dq, dk, dv = (numpy_kernels.heads_side_by_side(np, a.shape, a.dtype) for a in (q, k, v))
    parts = threads.split(len(q), q.size // q.shape[3] * k.shape[2])
    threads.run(
        _attention_backward_part,
        [
            (*[a[i:j] for a in (dy, q, k, v, y, log_sum)], q.dtype.type(scale), causal, dq[i:j], dk[i:j], dv[i:j])
            for i, j in parts
        ],
    )
    return dq, dk, dv


def _attention_backward_part(dy, q, k, v, y, log_sum, scale, causal, dq, dk, dv):
    dk[...] = 0
    dv[...] = 0
    along = np.einsum("bhte,bhte->bht", dy, y)
    for heads, rows, columns in numpy_kernels.score_tiles(q, k, causal):
        q_t, dy_t, k_s = q[heads][..., rows, :], dy[heads][..., rows, :], k[heads][..., columns, :]
        p = q_t @ k_s.swapaxes(-1, -2)
        ds = dy_t @ v[heads][..., columns, :].swapaxes(-1, -2)
        flat = (-1, *p.shape[2:])
        sums, alongs = [np.ascontiguousarray(a[heads][..., rows]).reshape(-1, p.shape[2]) for a in (log_sum, along)]
        loops.scores_backward(
            p.reshape(flat), ds.reshape(flat), sums, alongs, scale, rows.start if causal else p.shape[3]
        )
        dv[heads][..., columns, :] += p.swapaxes(-1, -2) @ dy_t
        np.matmul(ds, k_s, out=dq[heads][..., rows, :])
        dk[heads][..., columns, :] += ds.swapaxes(-1, -2) @ q_t


# ---------------------------------------------------------------------- Adam


def adam_step(p, g, m, v, v_max, *, lr, beta1, beta2, eps, decay, l2, step) -> None:
    """One step of Adam or AdamW on the flat parameter p, in place; see numpy_kernels."""
    f = p.dtype.type
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    settings = [f(lr / correction1), f(beta1), f(1 - beta1), f(beta2), f(1 - beta2), f(eps)]
    settings += [f(1 - lr * decay), f(l2), f(1 / math.sqrt(correction2))]
    arrays = (p, g, m, v, v if v_max is None else v_max)
    parts = threads.split(p.size, p.size)
    threads.run(loops.adam, [(*[a[start:stop] for a in arrays], *settings, v_max is not None) for start, stop in parts])
