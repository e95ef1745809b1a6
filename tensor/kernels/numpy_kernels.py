"""The kernels as plain NumPy: the readable reference, and what runs where Numba does not.

They run on CuPy arrays as they are. What makes them fast is the same everywhere: work on tiles small enough to
stay in the cache, write into scratch memory (`out=`) instead of making arrays, and skip what is masked anyway.
In all of them a row is the last dimension; N counts rows, C (or V, for a vocabulary) the elements of a row.
"""

from __future__ import annotations

import math

import numpy as np

from tensor.devices import namespace
from tensor.kernels.numpy_attention import attention, attention_backward
from tensor.kernels.numpy_gelu import (
    gelu_erf,
    gelu_erf_backward,
    gelu_tanh,
    gelu_tanh_backward,
    linear_gelu,
    linear_gelu_backward,
)
from tensor.kernels.numpy_norms import (
    add_layer_norm,
    add_layer_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from tensor.kernels.random_bits import random_bits, threshold
from tensor.kernels.tiles import TILE, in_parts, pieces, row_tiles, tiles

__all__ = [
    "adam_step",
    "add_layer_norm",
    "add_layer_norm_backward",
    "attention",
    "attention_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "embedding_backward",
    "gelu_erf",
    "gelu_erf_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_gelu",
    "linear_gelu_backward",
    "log_softmax",
    "log_softmax_backward",
    "rms_norm",
    "rms_norm_backward",
    "softmax",
    "softmax_backward",
]

# ---------------------------------------------------------------------- softmax


def softmax(x, axis: int):
    """exp(x - max x) / Σ exp(x - max x) along `axis`."""
    xp = namespace(x)
    if x.size == 0:
        return xp.empty_like(x)
    y = x - x.max(axis=axis, keepdims=True)
    xp.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y


def softmax_backward(dy, y, axis: int):
    """dx = y ⊙ (dy − Σ dy ⊙ y)."""
    dx = dy * y
    total = dx.sum(axis=axis, keepdims=True)
    dx -= y * total
    return dx


def log_softmax(x, axis: int):
    """x − max x − ln Σ exp(x − max x) along `axis`."""
    xp = namespace(x)
    if x.size == 0:
        return xp.empty_like(x)
    y = x - x.max(axis=axis, keepdims=True)
    y -= xp.log(xp.exp(y).sum(axis=axis, keepdims=True))
    return y


def log_softmax_backward(dy, y, axis: int):
    """dx = dy − exp(y) Σ dy."""
    dx = namespace(dy).exp(y)
    dx *= -dy.sum(axis=axis, keepdims=True)
    dx += dy
    return dx


# ---------------------------------------------------------------------- linear


def linear(x, weight, bias):
    """y = x Wᵀ + b for x (N, C), weight (O, C) and bias (O,) or None."""
    y = x @ weight.T
    if bias is not None:
        y += bias
    return y


# ---------------------------------------------------------------------- cross-entropy


def cross_entropy(logits, targets, row_weight):
    """loss_n = w_n (ln Σ_v exp(x_nv) − x_n,target) for logits x (N, V), targets and weights w (N,).

    Returns the losses (N,) and, for backward, ln Σ exp of each row (N,). A row with weight 0 counts 0, whatever
    its target.
    """
    xp = namespace(logits)
    N = logits.shape[0]
    log_sum = xp.empty(N, logits.dtype)

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(logits, start, stop):
            x = logits[rows]
            top = x.max(axis=1)
            e = x - top[:, None]
            xp.exp(e, out=e)
            log_sum[rows] = xp.log(e.sum(axis=1)) + top

    in_parts(logits, part)
    picked = logits[xp.arange(N), xp.where(row_weight == 0, 0, targets)]
    return xp.where(row_weight == 0, 0, row_weight * (log_sum - picked)), log_sum


def cross_entropy_backward(dlosses, logits, targets, row_weight, log_sum):
    """dlogits_n = dloss_n w_n (softmax(x_n) − onehot(target_n)), (N, V)."""
    xp = namespace(logits)
    scale = xp.where(row_weight == 0, 0, dlosses * row_weight)
    dlogits = xp.empty(logits.shape, logits.dtype)

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(logits, start, stop):
            d = xp.subtract(logits[rows], log_sum[rows, None], out=dlogits[rows])
            xp.exp(d, out=d)
            d *= scale[rows, None]

    in_parts(logits, part)
    dlogits[row_weight == 0] = 0  # also where such a row holds inf or NaN
    dlogits[xp.arange(len(logits)), xp.where(row_weight == 0, 0, targets)] -= scale
    return dlogits


# ---------------------------------------------------------------------- dropout


def dropout(x, p: float, seed: int):
    """x / (1 − p) where the random bits of the element's number (`random_bits`) say so, which has probability 1 − p,
    else 0; elements are numbered in row-major order. The gradient is the same function of dy.
    """
    xp = namespace(x)
    flat = x.reshape(-1)
    y = xp.empty(x.shape, x.dtype)
    out, scale, drop = y.reshape(-1), x.dtype.type(1 / (1 - p)), xp.uint32(threshold(p))

    def part(start: int, stop: int) -> None:
        for tile in tiles(x, start, stop, TILE):
            keep = random_bits(xp, xp.arange(tile.start, tile.stop).astype(xp.uint32), seed) >= drop
            xp.multiply(flat[tile], keep, out=out[tile])
            out[tile] *= scale

    in_parts(out, part)
    return y


# ---------------------------------------------------------------------- embedding


def embedding_backward(dy, idx, num_embeddings: int):
    """dweight (num_embeddings, C): row i is the sum of the rows n of dy (N, C) where idx[n] = i."""
    xp = namespace(dy)
    dweight = xp.zeros((num_embeddings, dy.shape[1]), dy.dtype)
    if xp is not np:
        xp.add.at(dweight, idx, dy)
    elif idx.size:  # add.at is slow in NumPy; sorted, equal indices stand together and `reduceat` sums each run
        order = np.argsort(idx, kind="stable")
        ordered = idx[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        dweight[ordered[starts]] = np.add.reduceat(dy[order], starts, axis=0)
    return dweight


# ---------------------------------------------------------------------- Adam

MANY = 8  # how often parameters must hold what is worth a thread, since most of them are small: each call is short


def adam_step(parameters, *, lr, beta1, beta2, eps, decay, l2, step, factor=1.0) -> None:
    """One step of Adam or AdamW, in place, for a list of parameters: of each (p, g, m, v, v_max), arrays without gaps.

    These are the parameter, its gradient, its moments, and None but for AMSGrad. See `nn.optim.Adam` for the formula;
    `decay` is decoupled (p shrinks), `l2` is added to the gradient. A gradient counts `factor` times what it holds, and
    stays as it is; `factor` is a number, or for arrays on a GPU an array () there too.

    Works tile by tile in a scratch buffer. With r = √(1 − β₂^step) the last line of the formula,
    p ← p − rate m / (√v / r + eps), needs one pass less as

        p ← p − rate r · m / (√v + r eps),

    and the factor costs none as m ← β₁ m + (1 − β₁) factor · g and v ← β₂ v + (√(1 − β₂) factor · g)². What is squared
    there has the factor in it already: g² alone would overflow where a huge g is clipped to nothing.
    """
    first = parameters[0][0]
    xp = namespace(first)
    flat = [[None if a is None else a.reshape(-1) for a in arrays] for arrays in parameters]
    root = math.sqrt(1 - beta2**step)
    rate, shrink = root * lr / (1 - beta1**step), 1 - lr * decay
    gain, root_gain = 1 - beta1, math.sqrt(1 - beta2)
    if not l2:
        gain, root_gain = gain * factor, root_gain * factor

    def part(start: int, stop: int) -> None:
        scratch = xp.empty(min(stop - start, TILE) if xp is np else stop - start, first.dtype)
        for arrays in pieces(flat, start, stop):
            for tile in tiles(first, 0, arrays[0].size, TILE):
                p, g, m, v = [a[tile] for a in arrays[:4]]
                a = scratch[: p.size]
                if l2:
                    g = factor * g + l2 * p
                if decay:
                    p *= shrink
                m *= beta1
                m += xp.multiply(g, gain, out=a)
                xp.multiply(g, root_gain, out=a)
                v *= beta2
                v += xp.multiply(a, a, out=a)
                if arrays[4] is not None:
                    v = xp.maximum(arrays[4][tile], v, out=arrays[4][tile])
                xp.sqrt(v, out=a)
                a += root * eps
                xp.divide(m, a, out=a)
                a *= rate
                p -= a

    total = sum(arrays[0].size for arrays in parameters)
    in_parts(first, part, length=total, elements=total // MANY)
