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
        return math.exp
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
    return _over_elements(_gelu_erf(x.dtype), x)


def gelu_erf_backward(dy, x):
    """dx = dy (Φ(x) + x φ(x)), where φ is the density of the standard normal."""
    return _over_elements(_gelu_erf_backward(x.dtype), dy, x)
