"""The loops of numba_kernels, as Numba compiles them: at the first call, the machine code cached beside this file.

Constants are written in the dtype of the arrays: one float64 among them would slow a float32 loop down by half. Loops
run over `range(row.size)`, whose indices are known not to be negative; others could not become vector instructions.
"""

from __future__ import annotations

import math
import sys

import numba
import numpy as np
from numba.core import event
from numba.extending import overload

from tensor.kernels.numba_memory import borrow, borrow_by_id
from tensor.kernels.numba_threads import SharedLoop, compiled
from tensor.kernels.random_bits import FIRST, SECOND, SPREAD


class _SayOnce(event.Listener):
    """Says that kernels are being compiled when the first one is: it takes a while, and happens once."""

    said = False

    def on_start(self, event):
        if not self.said and event.data["dispatcher"].__module__.startswith("tensor.kernels"):
            self.said = True
            print("tensor: compiling the fast kernels; this takes some seconds, once", file=sys.stderr)

    def on_end(self, event):
        """Part of the interface; the end goes unsaid."""


event.register("numba:compile", _SayOnce())


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
    low, high = f(-87.33), f(88.37)  # eˣ is 0 below (from 2⁻¹²⁶ on); above (just before the largest float32) it is inf
    log2e, ln2_head, ln2_tail = f(1.4426950408889634), f(0.693359375), f(-2.12194440054690583e-4)
    c2, c3, c4, c5, c6, c7 = [f(1 / math.factorial(n)) for n in range(2, 8)]

    def exp32(x):
        # eˣ = 2ⁿ eʳ with |r| ≤ ½ ln 2; eʳ by its Taylor series.
        clamped = min(max(x, low), high)
        nearest = np.floor(clamped * log2e + f(0.5))
        r = (clamped - nearest * ln2_head) - nearest * ln2_tail
        e = (((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + c2) * r * r + r + f(1)
        e = e * _power_of_two(np.int32(nearest)) if x >= low else f(0)
        return e if x <= high else x * f(np.inf)  # NaN stays NaN

    return exp32


@compiled
def largest(row):
    """max row, NaN where the row begins with one; four maxima side by side, as each step waits for the one before."""
    a = b = c = d = row[0]
    for i in range(3, row.size, 4):
        w, x, y, z = row[i - 3], row[i - 2], row[i - 1], row[i]
        a, b = w if w > a else a, x if x > b else b
        c, d = y if y > c else c, z if z > d else d
    for i in range(row.size // 4 * 4, row.size):
        a = max(a, row[i])
    return max(max(a, b), max(c, d))


@compiled
def exp_row(row, top):
    """exp(row − top), in place; returns its sum."""
    total = row.dtype.type(0)
    for c in range(row.size):
        e = exp(row[c] - top)
        row[c] = e
        total += e
    return total


@compiled
def write_exp(row, top, scale, out):
    """out = scale · exp(row − top)."""
    for c in range(row.size):
        out[c] = scale * exp(row[c] - top)


@compiled
def dot(x, y):
    total = x.dtype.type(0)
    for c in range(x.size):
        total += x[c] * y[c]
    return total


@compiled
def row_of(x, n):
    """x[n] of an array without gaps; see `borrow`."""
    return borrow(x, (n, 0), (x.shape[1],))


@compiled
def random_bits(number, low, high):
    """The bits of one element as in tensor/kernels/random_bits.py; a product of uint32 would otherwise be a uint64."""
    x = np.uint32(np.uint32(number) * np.uint32(SPREAD)) + low
    x = np.uint32(x)
    x ^= x >> np.uint32(16)
    x = np.uint32(x * np.uint32(FIRST))
    x ^= x >> np.uint32(15)
    x = np.uint32(x + high)
    x = np.uint32(x * np.uint32(SECOND))
    return np.uint32(x ^ (x >> np.uint32(16)))


@SharedLoop
def softmax_rows(x, y, start, stop):
    for n in range(start, stop):
        row, out = row_of(x, n), row_of(y, n)
        for c in range(row.size):  # `out[:] = row` would take Numba five seconds, for its error messages
            out[c] = row[c]
        total = exp_row(out, largest(row))
        for c in range(row.size):
            out[c] /= total


@SharedLoop
def softmax_backward_rows(dy, y, dx, start, stop):
    for n in range(start, stop):
        g, p, out = row_of(dy, n), row_of(y, n), row_of(dx, n)
        total = g.dtype.type(0)
        for c in range(g.size):
            total += g[c] * p[c]
        for c in range(g.size):
            out[c] = p[c] * (g[c] - total)


@SharedLoop
def log_softmax_rows(x, y, start, stop):
    for n in range(start, stop):
        row, out = row_of(x, n), row_of(y, n)
        top = largest(row)
        total = row.dtype.type(0)
        for c in range(row.size):
            total += exp(row[c] - top)
        log_total = math.log(total)
        for c in range(row.size):
            out[c] = row[c] - top - log_total


@SharedLoop
def log_softmax_backward_rows(dy, y, dx, start, stop):
    for n in range(start, stop):
        g, log_p, out = row_of(dy, n), row_of(y, n), row_of(dx, n)
        total = g.dtype.type(0)
        for c in range(g.size):
            total += g[c]
        for c in range(g.size):
            out[c] = g[c] - exp(log_p[c]) * total


@SharedLoop
def layer_norm_rows(x, adds, branch, total, weight, bias, eps, y, mean, rstd, start, stop):
    """Of total = x + branch if it `adds`, else of total = x."""
    one = x.dtype.type(1)
    for n in range(start, stop):
        row, out = row_of(total, n), row_of(y, n)
        if adds:
            a, b = row_of(x, n), row_of(branch, n)
            for c in range(row.size):
                row[c] = a[c] + b[c]
        C = x.dtype.type(row.size)
        m = x.dtype.type(0)
        for c in range(row.size):
            m += row[c]
        m /= C
        square = x.dtype.type(0)
        for c in range(row.size):
            square += (row[c] - m) * (row[c] - m)
        r = one / math.sqrt(square / C + eps)
        for c in range(row.size):
            out[c] = (row[c] - m) * r * weight[c] + bias[c]
        mean[n], rstd[n] = m, r


@SharedLoop
def layer_norm_backward_rows(adds, dtotal, dy, x, weight, mean, rstd, dx, dweight, dbias, start, stop):
    """Turn i is a share of the rows, whose sums go into dweight[i] and dbias[i], (shares, C).

    They are added up elsewhere: cores that write to neighbouring places wait for one another.
    """
    N, shares = len(x), len(dweight)
    for i in range(start, stop):
        gains, shifts = np.zeros(weight.size, x.dtype), np.zeros(weight.size, x.dtype)
        for n in range(N * i // shares, N * (i + 1) // shares):
            row, g, out = row_of(x, n), row_of(dy, n), row_of(dx, n)
            C = x.dtype.type(row.size)
            m, r = mean[n], rstd[n]
            total = x.dtype.type(0)
            along = x.dtype.type(0)
            for c in range(row.size):
                normal = (row[c] - m) * r
                gains[c] += g[c] * normal
                shifts[c] += g[c]
                total += g[c] * weight[c]
                along += g[c] * weight[c] * normal
            total /= C
            along /= C
            for c in range(row.size):
                out[c] = r * (g[c] * weight[c] - total - (row[c] - m) * r * along)
            if adds:
                others = row_of(dtotal, n)
                for c in range(row.size):
                    out[c] += others[c]
        for c in range(gains.size):
            dweight[i, c], dbias[i, c] = gains[c], shifts[c]


@SharedLoop
def rms_norm_rows(x, weight, eps, y, rrms, start, stop):
    for n in range(start, stop):
        row, out = row_of(x, n), row_of(y, n)
        r = x.dtype.type(1) / math.sqrt(dot(row, row) / x.dtype.type(row.size) + eps)
        for c in range(row.size):
            out[c] = row[c] * r * weight[c]
        rrms[n] = r


@SharedLoop
def rms_norm_backward_rows(dy, x, weight, rrms, dx, dweight, start, stop):
    """Turn i is a share of the rows, as in layer_norm_backward_rows."""
    N, shares = len(x), len(dweight)
    for i in range(start, stop):
        gains = np.zeros(weight.size, x.dtype)
        for n in range(N * i // shares, N * (i + 1) // shares):
            row, g, out, r = row_of(x, n), row_of(dy, n), row_of(dx, n), rrms[n]
            along = x.dtype.type(0)
            for c in range(row.size):
                normal = row[c] * r
                gains[c] += g[c] * normal
                along += g[c] * weight[c] * normal
            along /= x.dtype.type(row.size)
            for c in range(row.size):
                out[c] = r * (g[c] * weight[c] - row[c] * r * along)
        for c in range(gains.size):
            dweight[i, c] = gains[c]


@SharedLoop
def dropout(x, y, drop, grow, low, high, start, stop):
    zero = x.dtype.type(0)
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = grow * x[i] if random_bits(start + i, low, high) >= drop else zero


@SharedLoop
def add_to_rows(y, bias, start, stop):
    for n in range(start, stop):
        row = row_of(y, n)
        for c in range(row.size):
            row[c] += bias[c]


@SharedLoop
def cross_entropy_rows(logits, targets, row_weight, losses, log_sum, start, stop):
    for n in range(start, stop):
        row = row_of(logits, n)
        top = largest(row)
        total = row.dtype.type(0)
        for v in range(row.size):
            total += exp(row[v] - top)
        log_sum[n] = math.log(total) + top
        losses[n] = row_weight[n] * (log_sum[n] - row[targets[n]]) if row_weight[n] != 0 else 0


@SharedLoop
def cross_entropy_backward_rows(logits, targets, row_weight, scale, log_sum, dlogits, start, stop):
    for n in range(start, stop):
        row, out = row_of(logits, n), row_of(dlogits, n)
        if row_weight[n] == 0:
            out[:] = 0
            continue
        write_exp(row, log_sum[n], scale[n], out)
        out[targets[n]] -= scale[n]


@SharedLoop
def add_rows(dy, idx, dweight, start, stop):
    for n in range(idx.size):
        row, out = borrow(dy, (n, start), (stop - start,)), borrow(dweight, (idx[n], start), (stop - start,))
        for c in range(row.size):
            out[c] += row[c]


@SharedLoop
def adam(ids, sizes, rate, beta1, rest1, beta2, rest2, eps, shrink, l2, root_correction, factor, amsgrad, start, stop):
    """Row n of ids (N, 5) names p, g, m, v and v_max of a parameter of sizes[n] elements; all stand end to end."""
    for n in range(len(sizes)):
        first, last = max(start, 0), min(stop, sizes[n])
        if first < last:
            p, g = borrow_by_id(ids[n, 0], first, last, rate), borrow_by_id(ids[n, 1], first, last, rate)
            m, v = borrow_by_id(ids[n, 2], first, last, rate), borrow_by_id(ids[n, 3], first, last, rate)
            v_max = borrow_by_id(ids[n, 4], first, last, rate) if amsgrad else v
            for i in range(p.size):
                gradient = factor * g[i] + l2 * p[i]
                m[i] = beta1 * m[i] + rest1 * gradient
                v[i] = beta2 * v[i] + rest2 * gradient * gradient
                if amsgrad:
                    v_max[i] = max(v_max[i], v[i])
                denominator = math.sqrt(v_max[i] if amsgrad else v[i]) * root_correction + eps
                p[i] = shrink * p[i] - rate * m[i] / denominator
        start, stop = start - sizes[n], stop - sizes[n]
