"""The kernels compiled with Numba: one pass over each row, rows shared out among the cores.

Same functions, arguments and results as in numpy_kernels, for float32 and float64 arrays on the CPU. A public function makes
its arrays contiguous and hands rows `start` to `stop` of them to each thread; the `_rows` function under it is compiled, at
its first call, and the machine code is cached beside this file.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba.extending import overload

from tensor.kernels import numpy_kernels, threads
from tensor.kernels.erfcx import ERFCX_SCALE, erfcx_polynomial

# Reordering sums and fusing multiply-adds lets the loops use vector instructions; NaN and inf stay what they are.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def exp(x):
    """eˣ; for float32 as straight-line arithmetic, which the compiler can run on whole vectors, unlike math.exp."""
    return math.exp(x)


@numba.njit(inline="always")
def _power_of_two(n):
    return np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)  # n written into a float32's exponent bits


@overload(exp, jit_options={"error_model": "numpy"})
def _exp(x):
    if x is not numba.types.float32:
        return lambda x: math.exp(x)
    f = np.float32
    low, high = f(-104), f(88.37)  # eˣ is 0 below; above (just before the largest float32) it becomes inf
    log2e, ln2_head, ln2_tail = f(1.4426950408889634), f(0.693359375), f(-2.12194440054690583e-4)
    c2, c3, c4, c5, c6, c7 = [f(1 / math.factorial(n)) for n in range(2, 8)]

    def exp32(x):
        # eˣ = 2ⁿ eʳ with |r| ≤ ½ ln 2; eʳ by its Taylor series, 2ⁿ in two halves that are normal numbers.
        clamped = min(max(x, low), high)
        nearest = np.floor(clamped * log2e + f(0.5))
        r = (clamped - nearest * ln2_head) - nearest * ln2_tail
        e = (((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + c2) * r * r + r + f(1)
        n = np.int32(nearest)
        half = n >> np.int32(1)
        e = e * _power_of_two(half) * _power_of_two(n - half)
        return e if x <= high else x * f(np.inf)  # NaN stays NaN

    return exp32


# ---------------------------------------------------------------------- softmax


def _as_rows(x, axis: int):
    """x with `axis` last, and as contiguous rows (N, C)."""
    moved = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    return moved, moved.reshape(-1, moved.shape[-1]) if moved.size else moved.reshape(0, 1)


def _along(kernel, axis: int, *arrays):
    """Run kernel(*rows of each array, out, start, stop) with `axis` as the rows."""
    moved, _ = _as_rows(arrays[0], axis)
    rows = [_as_rows(a, axis)[1] for a in arrays]
    out = np.empty_like(rows[0])
    _over_rows(kernel, *rows, out)
    return np.moveaxis(out.reshape(moved.shape), -1, axis)


def _over_rows(kernel, first, *rest) -> None:
    """Run kernel(first, *rest, start, stop) over the rows of `first`, shared out among the threads."""
    parts = threads.split(len(first), first.size)
    threads.run(kernel, [(first, *rest, start, stop) for start, stop in parts])


def softmax(x, axis: int):
    """exp(x - max x) / Σ exp(x - max x) along `axis`."""
    return _along(_softmax_rows, axis, x)


@compiled
def _softmax_rows(x, y, start, stop):
    for n in range(start, stop):
        row, out = x[n], y[n]
        top = row[0]
        for c in range(row.size):
            top = max(top, row[c])
        total = row.dtype.type(0)
        for c in range(row.size):
            e = exp(row[c] - top)
            out[c] = e
            total += e
        for c in range(row.size):
            out[c] /= total


def softmax_backward(dy, y, axis: int):
    """dx = y ⊙ (dy − Σ dy ⊙ y)."""
    return _along(_softmax_backward_rows, axis, dy, y)


@compiled
def _softmax_backward_rows(dy, y, dx, start, stop):
    for n in range(start, stop):
        g, p, out = dy[n], y[n], dx[n]
        total = g.dtype.type(0)
        for c in range(g.size):
            total += g[c] * p[c]
        for c in range(g.size):
            out[c] = p[c] * (g[c] - total)


def log_softmax(x, axis: int):
    """x − max x − ln Σ exp(x − max x) along `axis`."""
    return _along(_log_softmax_rows, axis, x)


@compiled
def _log_softmax_rows(x, y, start, stop):
    for n in range(start, stop):
        row, out = x[n], y[n]
        top = row[0]
        for c in range(row.size):
            top = max(top, row[c])
        total = row.dtype.type(0)
        for c in range(row.size):
            total += exp(row[c] - top)
        log_total = math.log(total)
        for c in range(row.size):
            out[c] = row[c] - top - log_total


def log_softmax_backward(dy, y, axis: int):
    """dx = dy − exp(y) Σ dy."""
    return _along(_log_softmax_backward_rows, axis, dy, y)


@compiled
def _log_softmax_backward_rows(dy, y, dx, start, stop):
    for n in range(start, stop):
        g, log_p, out = dy[n], y[n], dx[n]
        total = g.dtype.type(0)
        for c in range(g.size):
            total += g[c]
        for c in range(g.size):
            out[c] = g[c] - exp(log_p[c]) * total


# ---------------------------------------------------------------------- layer norm


def layer_norm(x, weight, bias, eps: float):
    """y (N, C), mean (N,), rstd (N,) as in numpy_kernels."""
    N, C = x.shape
    x = np.ascontiguousarray(x)
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    bias = np.zeros(C, x.dtype) if bias is None else np.ascontiguousarray(bias)
    y, mean, rstd = np.empty_like(x), np.empty(N, x.dtype), np.empty(N, x.dtype)
    _over_rows(_layer_norm_rows, x, weight, bias, x.dtype.type(eps), y, mean, rstd)
    return y, mean, rstd


@compiled
def _layer_norm_rows(x, weight, bias, eps, y, mean, rstd, start, stop):
    one = x.dtype.type(1)
    for n in range(start, stop):
        row, out = x[n], y[n]
        C = x.dtype.type(row.size)
        total = x.dtype.type(0)
        for c in range(row.size):
            total += row[c]
        m = total / C
        square = x.dtype.type(0)
        for c in range(row.size):
            square += (row[c] - m) * (row[c] - m)
        r = one / math.sqrt(square / C + eps)
        for c in range(row.size):
            out[c] = (row[c] - m) * r * weight[c] + bias[c]
        mean[n], rstd[n] = m, r


def layer_norm_backward(dy, x, weight, mean, rstd, affine: bool):
    """dx (N, C), dweight and dbias (C,) as in numpy_kernels; each thread sums its own rows, then the sums are added."""
    N, C = x.shape
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    dx = np.empty_like(x)
    parts = threads.split(N, x.size)
    sums = np.zeros((len(parts), 2, C), x.dtype)
    threads.run(
        _layer_norm_backward_rows,
        [(dy, x, weight, mean, rstd, dx, sums[i, 0], sums[i, 1], *part) for i, part in enumerate(parts)],
    )
    dweight, dbias = sums.sum(axis=0) if affine else (None, None)
    return dx, dweight, dbias


@compiled
def _layer_norm_backward_rows(dy, x, weight, mean, rstd, dx, dweight, dbias, start, stop):
    for n in range(start, stop):
        row, g, out = x[n], dy[n], dx[n]
        C = x.dtype.type(row.size)
        m, r = mean[n], rstd[n]
        total = x.dtype.type(0)
        along = x.dtype.type(0)
        for c in range(row.size):
            normal = (row[c] - m) * r
            dweight[c] += g[c] * normal
            dbias[c] += g[c]
            total += g[c] * weight[c]
            along += g[c] * weight[c] * normal
        total /= C
        along /= C
        for c in range(row.size):
            out[c] = r * (g[c] * weight[c] - total - (row[c] - m) * r * along)


# ---------------------------------------------------------------------- GELU


def _over_elements(kernel, *arrays):
    """kernel(*flat arrays, flat result), the elements shared out among the threads; the result has the shape of arrays[0]."""
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    out = np.empty(arrays[0].shape, arrays[0].dtype)
    parts = threads.split(out.size, out.size)
    threads.run(kernel, [tuple(a[start:stop] for a in (*flat, out.reshape(-1))) for start, stop in parts])
    return out


def gelu_tanh(x):
    """½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + 0.044715 x³)."""
    return _over_elements(_gelu_tanh, x)


_SLOPE = 2 * numpy_kernels.TANH_SCALE
_CUBIC = 2 * numpy_kernels.TANH_SCALE * numpy_kernels.TANH_CUBIC


@compiled
def _gelu_tanh(x, y):
    one, slope, cubic = x.dtype.type(1), x.dtype.type(_SLOPE), x.dtype.type(_CUBIC)
    for i in range(x.size):
        v = x[i]
        y[i] = v / (one + exp(-v * (slope + cubic * v * v)))


def gelu_tanh_backward(dy, x):
    """dx = dy (s + x s (1 − s) 2u′), where s = σ(2u)."""
    return _over_elements(_gelu_tanh_backward, dy, x)


@compiled
def _gelu_tanh_backward(dy, x, dx):
    one, three = x.dtype.type(1), x.dtype.type(3)
    slope, cubic = x.dtype.type(_SLOPE), x.dtype.type(_CUBIC)
    for i in range(x.size):
        v = x[i]
        s = one / (one + exp(-v * (slope + cubic * v * v)))
        dx[i] = dy[i] * s * (one + (one - s) * v * (slope + three * cubic * v * v))


def gelu_erf(x):
    """x Φ(x), where Φ is the distribution function of the standard normal."""
    return _over_elements(_gelu_erf, x)


def gelu_erf_backward(dy, x):
    """dx = dy (Φ(x) + x φ(x)), where φ is the density of the standard normal."""
    return _over_elements(_gelu_erf_backward, dy, x)


def _cdf_and_density(x):
    """Φ(x) and φ(x), for use inside compiled functions."""


@overload(_cdf_and_density, jit_options={"error_model": "numpy"})
def _normal(x):
    root_half, factor = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)
    if x is not numba.types.float32:
        return lambda x: (0.5 * math.erfc(-x * root_half), factor * math.exp(-0.5 * x * x))
    f = np.float32
    first, *others = map(f, erfcx_polynomial(f))
    rest = tuple(others)
    root_half, factor, scale = f(root_half), f(factor), f(ERFCX_SCALE)

    def normal32(x):
        z = abs(x) * root_half
        e = exp(-z * z)
        u = (z - scale) / (z + scale)
        p = first
        for coefficient in rest:
            p = p * u + coefficient
        below = f(0.5) * e * p / (f(1) + f(2) * z)  # Φ(−|x|)
        return (f(1) - below if x > f(0) else below), factor * e

    return normal32


@compiled
def _gelu_erf(x, y):
    for i in range(x.size):
        cdf, _ = _cdf_and_density(x[i])
        y[i] = x[i] * cdf


@compiled
def _gelu_erf_backward(dy, x, dx):
    for i in range(x.size):
        cdf, density = _cdf_and_density(x[i])
        dx[i] = dy[i] * (cdf + x[i] * density)


# ---------------------------------------------------------------------- cross-entropy


def cross_entropy(logits, targets, row_weight):
    """The losses (N,) and ln Σ exp of each row (N,), as in numpy_kernels."""
    N = len(logits)
    losses, log_sum = np.empty(N, logits.dtype), np.empty(N, logits.dtype)
    targets = np.ascontiguousarray(targets, np.int64)
    _over_rows(_cross_entropy_rows, np.ascontiguousarray(logits), targets, row_weight, losses, log_sum)
    return losses, log_sum


@compiled
def _cross_entropy_rows(logits, targets, row_weight, losses, log_sum, start, stop):
    for n in range(start, stop):
        row = logits[n]
        top = row[0]
        for v in range(row.size):
            top = max(top, row[v])
        total = row.dtype.type(0)
        for v in range(row.size):
            total += exp(row[v] - top)
        log_sum[n] = math.log(total) + top
        losses[n] = row_weight[n] * (log_sum[n] - row[targets[n]]) if row_weight[n] != 0 else 0


def cross_entropy_backward(dlosses, logits, targets, row_weight, log_sum):
    """dlogits_n = dloss_n w_n (softmax(x_n) − onehot(target_n)), (N, V)."""
    dlogits = np.empty(logits.shape, logits.dtype)
    targets = np.ascontiguousarray(targets, np.int64)
    scale = np.ascontiguousarray(dlosses * row_weight)
    _over_rows(_cross_entropy_backward_rows, np.ascontiguousarray(logits), targets, row_weight, scale, log_sum, dlogits)
    return dlogits


@compiled
def _cross_entropy_backward_rows(logits, targets, row_weight, scale, log_sum, dlogits, start, stop):
    for n in range(start, stop):
        row, out = logits[n], dlogits[n]
        if row_weight[n] == 0:
            out[:] = 0
            continue
        for v in range(row.size):
            out[v] = scale[n] * exp(row[v] - log_sum[n])
        out[targets[n]] -= scale[n]


# ---------------------------------------------------------------------- embedding


def embedding_backward(dy, idx, num_embeddings: int):
    """dweight (num_embeddings, C): row i is the sum of the rows n of dy (N, C) where idx[n] = i."""
    dweight = np.zeros((num_embeddings, dy.shape[1]), dy.dtype)
    columns = threads.split(dy.shape[1], dy.size)  # by columns, so that no two threads write to the same place
    indices = np.ascontiguousarray(idx, np.int64)
    threads.run(_add_rows, [(np.ascontiguousarray(dy), indices, dweight, *part) for part in columns])
    return dweight


@compiled
def _add_rows(dy, idx, dweight, start, stop):
    for n in range(idx.size):
        row, out = dy[n, start:stop], dweight[idx[n], start:stop]
        for c in range(row.size):
            out[c] += row[c]


# ---------------------------------------------------------------------- attention


def attention(q, k, v, scale: float, causal: bool):
    """y (B, H, T, E) and log_sum (B, H, T), as in numpy_kernels: products by BLAS, all between them in one pass."""
    y = numpy_kernels._heads_side_by_side(np, (*q.shape[:3], v.shape[3]), q.dtype)
    log_sum = np.empty(q.shape[:3], q.dtype)
    parts = threads.split(len(q), q.size // q.shape[3] * k.shape[2])
    threads.run(
        _attention_part,
        [(q[a:b], k[a:b], v[a:b], q.dtype.type(scale), causal, y[a:b], log_sum[a:b]) for a, b in parts],
    )
    return y, log_sum


def _attention_part(q, k, v, scale, causal, y, log_sum):
    for heads, rows, columns in _tiles(q, k, causal):
        s = q[heads][..., rows, :] @ k[heads][..., columns, :].swapaxes(-1, -2)  # (b, h, t, s)
        sums = np.empty(s.shape[:3], s.dtype)
        first = rows.start if causal else s.shape[3]
        _softmax_scores(s.reshape(-1, *s.shape[2:]), sums.reshape(-1, s.shape[2]), scale, first)
        np.matmul(s, v[heads][..., columns, :], out=y[heads][..., rows, :])
        log_sum[heads][..., rows] = sums


@compiled
def _softmax_scores(s, log_sum, scale, first):
    """In place, row t of each s (t, s): the softmax of scale · s over its columns up to first + t; 0 beyond."""
    for m in range(s.shape[0]):
        for t in range(s.shape[1]):
            row = s[m, t]
            seen = row[: min(first + t + 1, row.size)]
            top = seen[0] * scale
            for c in range(seen.size):
                top = max(top, seen[c] * scale)
            total = s.dtype.type(0)
            for c in range(seen.size):
                e = exp(seen[c] * scale - top)
                seen[c] = e
                total += e
            for c in range(seen.size):
                seen[c] /= total
            row[seen.size :] = 0
            log_sum[m, t] = top + math.log(total)


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool):
    """dq, dk, dv of `attention`."""
    dq, dk, dv = (numpy_kernels._heads_side_by_side(np, a.shape, a.dtype) for a in (q, k, v))
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
    for heads, rows, columns in _tiles(q, k, causal):
        q_t, dy_t, k_s = q[heads][..., rows, :], dy[heads][..., rows, :], k[heads][..., columns, :]
        p = q_t @ k_s.swapaxes(-1, -2)
        ds = dy_t @ v[heads][..., columns, :].swapaxes(-1, -2)
        flat = (-1, *p.shape[2:])
        sums, alongs = [np.ascontiguousarray(a[heads][..., rows]).reshape(-1, p.shape[2]) for a in (log_sum, along)]
        _scores_backward(
            p.reshape(flat), ds.reshape(flat), sums, alongs, scale, rows.start if causal else p.shape[3]
        )
        dv[heads][..., columns, :] += p.swapaxes(-1, -2) @ dy_t
        np.matmul(ds, k_s, out=dq[heads][..., rows, :])
        dk[heads][..., columns, :] += ds.swapaxes(-1, -2) @ q_t


@compiled
def _scores_backward(p, ds, log_sum, along, scale, first):
    """In place: the scores in p become probabilities, and dp in ds becomes scale · p ⊙ (dp − along)."""
    for m in range(p.shape[0]):
        for t in range(p.shape[1]):
            row, out = p[m, t], ds[m, t]
            seen = min(first + t + 1, row.size)
            for c in range(row[:seen].size):
                row[c] = exp(row[c] * scale - log_sum[m, t])
                out[c] = scale * row[c] * (out[c] - along[m, t])
            row[seen:] = 0
            out[seen:] = 0


def _tiles(q, k, causal):
    return ((heads, rows, columns) for heads, rows, columns, _ in numpy_kernels._score_tiles(q, k, causal))


# ---------------------------------------------------------------------- Adam


def adam_step(p, g, m, v, v_max, *, lr, beta1, beta2, eps, decay, l2, step) -> None:
    """One step of Adam or AdamW on the flat parameter p, in place; see numpy_kernels."""
    f = p.dtype.type
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    settings = [f(lr / correction1), f(beta1), f(1 - beta1), f(beta2), f(1 - beta2), f(eps)]
    settings += [f(1 - lr * decay), f(l2), f(1 / math.sqrt(correction2))]
    arrays = (p, g, m, v, v if v_max is None else v_max)
    parts = threads.split(p.size, p.size)
    threads.run(_adam, [(*[a[start:stop] for a in arrays], *settings, v_max is not None) for start, stop in parts])


@compiled
def _adam(p, g, m, v, v_max, rate, beta1, rest1, beta2, rest2, eps, shrink, l2, root_correction, amsgrad):
    for i in range(p.size):
        gradient = g[i] + l2 * p[i]
        m[i] = beta1 * m[i] + rest1 * gradient
        v[i] = beta2 * v[i] + rest2 * gradient * gradient
        if amsgrad:
            v_max[i] = max(v_max[i], v[i])
        denominator = math.sqrt(v_max[i] if amsgrad else v[i]) * root_correction + eps
        p[i] = shrink * p[i] - rate * m[i] / denominator
