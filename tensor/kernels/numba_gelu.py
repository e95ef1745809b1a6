"""GELU compiled with Numba, alone and at the end of a linear layer: part of numba_kernels, with its loops."""

from __future__ import annotations

import math

import numba
import numpy as np
from numba.extending import overload

from tensor.kernels.erfcx import ERFCX_SCALE, erfcx_polynomial
from tensor.kernels.numba_loops import exp, row_of
from tensor.kernels.numba_threads import SharedLoop, compiled
from tensor.kernels.numpy_gelu import TANH_CUBIC, TANH_SCALE

_LINEAR = 2 * TANH_SCALE
_CUBIC = 2 * TANH_SCALE * TANH_CUBIC


def gelu_tanh(x, backward: bool):
    """½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + 0.044715 x³), and its slope."""
    return _value_and_slope(x, backward, _gelu_tanh, _gelu_tanh_and_slope)


def gelu_tanh_backward(dy, kept):
    """dx = dy (s + x s (1 − s) 2u′), where s = σ(2u)."""
    return _over_elements(_multiply, dy, kept)


def gelu_erf(x, backward: bool):
    """x Φ(x), where Φ is the distribution function of the standard normal, and its slope."""
    return _value_and_slope(x, backward, _gelu_erf, _gelu_erf_and_slope)


def gelu_erf_backward(dy, kept):
    """dx = dy (Φ(x) + x φ(x)), where φ is the density of the standard normal."""
    return _over_elements(_multiply, dy, kept)


def _value_and_slope(x, backward: bool, loop, loop_of_both):
    """y = f(x) and, if there will be a `backward`, its slope dy/dx; each loop has one pass over x."""
    if not backward:
        return _over_elements(loop, x), None
    slope = np.empty(x.shape, x.dtype)
    return _over_elements(loop_of_both, x, slope), slope


def _over_elements(loop, *arrays):
    """Run loop(*flat arrays, flat result, start, stop); the result has the shape of arrays[0]."""
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    out = np.empty(arrays[0].size, arrays[0].dtype)
    loop(out.size, out.size, *flat, out)
    return out.reshape(arrays[0].shape)


def linear_gelu(x, weight, bias, backward: bool):
    """y = gelu_tanh(x Wᵀ + b) (N, O) and its slope, as in numpy_kernels."""
    y = x @ weight.T
    bias = np.zeros(y.shape[1], y.dtype) if bias is None else np.ascontiguousarray(bias)
    if not backward:
        _bias_gelu_tanh(len(y), y.size, y, bias)
        return y, None
    slope = np.empty_like(y)
    _bias_gelu_tanh_and_slope(len(y), y.size, y, bias, slope)
    return y, slope


def linear_gelu_backward(dy, kept, bias: bool):
    """dz (N, O) and Σ_n dz (O,) as in numpy_kernels; each share of the rows has its sums, which are added."""
    if not bias:
        return _over_elements(_multiply, dy, kept), None
    dy = np.ascontiguousarray(dy)
    dz = np.empty_like(dy)
    shares = _multiply_rows.parts(len(dy), dy.size)
    sums = np.empty((shares, dy.shape[1]), dy.dtype)
    _multiply_rows(shares, dy.size, dy, kept, dz, sums)
    return dz, sums.sum(axis=0)


# ---------------------------------------------------------------------- loops


@SharedLoop
def _gelu_tanh(x, y, start, stop):
    x, y = x[start:stop], y[start:stop]
    one, linear, cubic = x.dtype.type(1), x.dtype.type(_LINEAR), x.dtype.type(_CUBIC)
    for i in range(x.size):
        v = x[i]
        y[i] = v / (one + exp(-v * (linear + cubic * v * v)))


@SharedLoop
def _gelu_tanh_and_slope(x, slope, y, start, stop):
    x, slope, y = x[start:stop], slope[start:stop], y[start:stop]
    one, three = x.dtype.type(1), x.dtype.type(3)
    linear, cubic = x.dtype.type(_LINEAR), x.dtype.type(_CUBIC)
    for i in range(x.size):
        v = x[i]
        s = one / (one + exp(-v * (linear + cubic * v * v)))
        y[i] = v * s
        slope[i] = s * (one + (one - s) * v * (linear + three * cubic * v * v))


@compiled
def _row_gelu_tanh(row, bias):
    one, linear, cubic = row.dtype.type(1), row.dtype.type(_LINEAR), row.dtype.type(_CUBIC)
    for c in range(row.size):
        v = row[c] + bias[c]
        row[c] = v / (one + exp(-v * (linear + cubic * v * v)))


@compiled
def _row_gelu_tanh_and_slope(row, bias, slope):
    one, three = row.dtype.type(1), row.dtype.type(3)
    linear, cubic = row.dtype.type(_LINEAR), row.dtype.type(_CUBIC)
    for c in range(row.size):
        v = row[c] + bias[c]
        s = one / (one + exp(-v * (linear + cubic * v * v)))
        row[c] = v * s
        slope[c] = s * (one + (one - s) * v * (linear + three * cubic * v * v))


# Rows of x Wᵀ become those of gelu_tanh(x Wᵀ + b). A row has a function of its own since there are as many constants as
# registers: inside two loops they would be loaded again for each element, which takes a quarter longer.


@SharedLoop
def _bias_gelu_tanh(y, bias, start, stop):
    for n in range(start, stop):
        _row_gelu_tanh(row_of(y, n), bias)


@SharedLoop
def _bias_gelu_tanh_and_slope(y, bias, slope, start, stop):
    for n in range(start, stop):
        _row_gelu_tanh_and_slope(row_of(y, n), bias, row_of(slope, n))


@SharedLoop
def _multiply(a, b, out, start, stop):
    a, b, out = a[start:stop], b[start:stop], out[start:stop]
    for i in range(a.size):
        out[i] = a[i] * b[i]


@SharedLoop
def _multiply_rows(dy, slope, dz, sums, start, stop):
    """Turn i is a share of the rows, whose column sums go into sums[i], as in layer_norm_backward_rows."""
    N, shares = len(dy), len(sums)
    for i in range(start, stop):
        total = np.zeros(dy.shape[1], dy.dtype)
        for n in range(N * i // shares, N * (i + 1) // shares):
            a, b, out = row_of(dy, n), row_of(slope, n), row_of(dz, n)
            for c in range(a.size):
                out[c] = a[c] * b[c]
                total[c] += out[c]
        for c in range(total.size):
            sums[i, c] = total[c]


def cdf_and_density(x):
    """Φ(x) and φ(x), for use inside compiled functions."""


@overload(cdf_and_density, jit_options={"error_model": "numpy"})
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


@SharedLoop
def _gelu_erf(x, y, start, stop):
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        cdf, _ = cdf_and_density(x[i])
        y[i] = x[i] * cdf


@SharedLoop
def _gelu_erf_and_slope(x, slope, y, start, stop):
    x, slope, y = x[start:stop], slope[start:stop], y[start:stop]
    for i in range(x.size):
        cdf, density = cdf_and_density(x[i])
        y[i] = x[i] * cdf
        slope[i] = cdf + x[i] * density
