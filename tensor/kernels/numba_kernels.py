"""The kernels compiled with Numba: one pass over each row, rows shared out among the cores.

Same functions, arguments and results as in numpy_kernels, for float32 and float64 arrays on the CPU. What stands here
is Python: it makes arrays contiguous and their results; the loops are in numba_loops, what shares them out in
numba_threads.
Attention and GELU have files of their own, numba_attention and numba_gelu.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from tensor.kernels import numba_loops as loops
from tensor.kernels import numpy_kernels
from tensor.kernels.numba_attention import attention as attention
from tensor.kernels.numba_attention import attention_backward as attention_backward
from tensor.kernels.numba_gelu import gelu_erf as gelu_erf
from tensor.kernels.numba_gelu import gelu_erf_backward as gelu_erf_backward
from tensor.kernels.numba_gelu import gelu_tanh as gelu_tanh
from tensor.kernels.numba_gelu import gelu_tanh_backward as gelu_tanh_backward
from tensor.kernels.numba_gelu import linear_gelu as linear_gelu
from tensor.kernels.numba_gelu import linear_gelu_backward as linear_gelu_backward
from tensor.kernels.random_bits import threshold, words

__all__ = numpy_kernels.__all__

# ---------------------------------------------------------------------- softmax


def _along(loop, axis: int, *arrays):
    """Run loop(*arrays, result, start, stop) on rows that lie along `axis`; returns the result."""
    moved = [np.ascontiguousarray(a.swapaxes(axis, -1)) for a in arrays]
    out = np.empty_like(moved[0])
    if out.size:
        _over_rows(loop, *[a.reshape(-1, a.shape[-1]) for a in (*moved, out)])
    return out.swapaxes(axis, -1)


def _over_rows(loop, first, *rest) -> None:
    """Run loop(first, *rest, start, stop) over the rows of `first`."""
    loop(len(first), first.size, first, *rest)


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


# ---------------------------------------------------------------------- norms


def layer_norm(x, weight, bias, eps: float):
    """y (N, C), mean (N,), rstd (N,) as in numpy_kernels."""
    return add_layer_norm(x, None, weight, bias, eps)[1:]


def add_layer_norm(x, branch, weight, bias, eps: float):
    """total = x + branch and y (N, C), mean (N,), rstd (N,) as in numpy_kernels."""
    N, C = x.shape
    x, adds = np.ascontiguousarray(x), branch is not None
    total, branch = (np.empty_like(x), np.ascontiguousarray(branch)) if adds else (x, x)
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    bias = np.zeros(C, x.dtype) if bias is None else np.ascontiguousarray(bias)
    y, mean, rstd = np.empty_like(x), np.empty(N, x.dtype), np.empty(N, x.dtype)
    _over_rows(loops.layer_norm_rows, x, adds, branch, total, weight, bias, x.dtype.type(eps), y, mean, rstd)
    return total, y, mean, rstd


def layer_norm_backward(dy, x, weight, mean, rstd, affine: bool):
    """dx (N, C), dweight and dbias (C,) as in numpy_kernels."""
    return add_layer_norm_backward(None, dy, x, weight, mean, rstd, affine)


def add_layer_norm_backward(dtotal, dy, total, weight, mean, rstd, affine: bool):
    """dx (N, C), dweight and dbias (C,) as in numpy_kernels; each share of the rows has its sums, which are added."""
    N, C = total.shape
    total, dy, adds = np.ascontiguousarray(total), np.ascontiguousarray(dy), dtotal is not None
    dtotal = np.ascontiguousarray(dtotal) if adds else dy
    weight = np.ones(C, dy.dtype) if weight is None else np.ascontiguousarray(weight)
    dx = np.empty_like(dy)
    shares = loops.layer_norm_backward_rows.parts(N, dy.size)
    dweight, dbias = np.zeros((shares, C), dy.dtype), np.zeros((shares, C), dy.dtype)
    loops.layer_norm_backward_rows(shares, dy.size, adds, dtotal, dy, total, weight, mean, rstd, dx, dweight, dbias)
    return (dx, dweight.sum(axis=0), dbias.sum(axis=0)) if affine else (dx, None, None)


def rms_norm(x, weight, eps: float):
    """y (N, C) and rrms (N,) as in numpy_kernels."""
    N, C = x.shape
    x = np.ascontiguousarray(x)
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    y, rrms = np.empty_like(x), np.empty(N, x.dtype)
    _over_rows(loops.rms_norm_rows, x, weight, x.dtype.type(eps), y, rrms)
    return y, rrms


def rms_norm_backward(dy, x, weight, rrms, affine: bool):
    """dx (N, C) and dweight (C,) as in numpy_kernels; each share of the rows has its sums, which are added."""
    N, C = x.shape
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    weight = np.ones(C, x.dtype) if weight is None else np.ascontiguousarray(weight)
    dx = np.empty_like(x)
    shares = loops.rms_norm_backward_rows.parts(N, x.size)
    dweight = np.zeros((shares, C), x.dtype)
    loops.rms_norm_backward_rows(shares, x.size, dy, x, weight, rrms, dx, dweight)
    return dx, dweight.sum(axis=0) if affine else None


# ---------------------------------------------------------------------- linear


def linear(x, weight, bias):
    """y = x Wᵀ + b for x (N, C), weight (O, C) and bias (O,) or None."""
    y = x @ weight.T
    if bias is not None:
        _over_rows(loops.add_to_rows, y, np.ascontiguousarray(bias))
    return y


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


# ---------------------------------------------------------------------- dropout


def dropout(x, p: float, seed: int):
    """x / (1 − p) or 0 for each element, as in numpy_kernels."""
    f, (low, high) = x.dtype.type, words(seed)
    settings = np.uint32(threshold(p)), f(1 / (1 - p)), np.uint32(low), np.uint32(high)
    y = np.empty(x.size, x.dtype)
    loops.dropout(x.size, x.size, np.ascontiguousarray(x).reshape(-1), y, *settings)
    return y.reshape(x.shape)


# ---------------------------------------------------------------------- embedding


def embedding_backward(dy, idx, num_embeddings: int):
    """dweight (num_embeddings, C): row i is the sum of the rows n of dy (N, C) where idx[n] = i."""
    dweight = np.zeros((num_embeddings, dy.shape[1]), dy.dtype)
    dy, indices = np.ascontiguousarray(dy), np.ascontiguousarray(idx, np.int64)
    loops.add_rows(dy.shape[1], dy.size, dy, indices, dweight)  # by columns: no two threads write to the same place
    return dweight


# ---------------------------------------------------------------------- Adam


def adam_step(parameters, *, lr, beta1, beta2, eps, decay, l2, step, factor=1.0) -> None:
    """One step of Adam or AdamW, in place, for a list of (p, g, m, v, v_max); see numpy_kernels.

    All parameters are one range for one call of the loop, which gets the ids of their arrays (n, 5), as a call for
    each parameter would take longer than the work on most of them.
    """
    f = parameters[0][0].dtype.type
    settings = [f(lr / (1 - beta1**step)), f(beta1), f(1 - beta1), f(beta2), f(1 - beta2), f(eps)]
    settings += [f(1 - lr * decay), f(l2), f(1 / math.sqrt(1 - beta2**step)), f(factor)]
    ids = np.fromiter(map(id, itertools.chain.from_iterable(parameters)), np.int64).reshape(-1, 5)
    sizes = np.array([arrays[0].size for arrays in parameters])
    total = int(sizes.sum())
    loops.adam(total, total, ids, sizes, *settings, parameters[0][4] is not None)
