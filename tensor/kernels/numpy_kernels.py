"""The kernels as plain NumPy: the readable reference, and what runs where Numba does not.

They run on CuPy arrays as they are. What makes them fast is the same everywhere: work on tiles small enough to
stay in the cache, write into scratch memory (`out=`) instead of making arrays, and skip what is masked anyway.
In all of them a row is the last dimension; N counts rows, C (or V, for a vocabulary) the elements of a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tensor.devices import namespace
from tensor.kernels.erfcx import ERFCX_SCALE, erfcx_polynomial

TILE = 1 << 15  # elements: with one or two scratch arrays of its size a float32 tile fits in a 512 KiB cache
SCORES = 1 << 18  # attention scores held at a time on the CPU
QUERIES = 128  # rows of scores computed at a time; the finer, the more of the causal half is skipped


def tiles(x, length: int, step: int) -> Iterator[slice]:
    """Slices that cover range(length), `step` at a time; on a GPU one slice, as launching work is what costs there."""
    step = step if namespace(x) is np else max(length, 1)
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def row_tiles(x) -> Iterator[slice]:
    """Slices over the rows of x (N, C) that hold about TILE elements each."""
    return tiles(x, x.shape[0], max(1, TILE // max(x.shape[1], 1)))


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


# ---------------------------------------------------------------------- layer norm


def layer_norm(x, weight, bias, eps: float):
    """y = (x − mean) · rstd ⊙ weight + bias for the rows of x (N, C); weight, bias (C,) or None.

    Returns y (N, C), mean (N,) and rstd (N,), the reciprocal of √(variance + eps).
    """
    xp = namespace(x)
    N, C = x.shape
    y = xp.empty((N, C), x.dtype)
    mean, rstd = xp.empty(N, x.dtype), xp.empty(N, x.dtype)
    for rows in row_tiles(x):
        xp.mean(x[rows], axis=1, out=mean[rows])
        centred = xp.subtract(x[rows], mean[rows, None], out=y[rows])
        variance = xp.einsum("nc,nc->n", centred, centred) / C
        rstd[rows] = 1 / xp.sqrt(variance + eps)
        centred *= rstd[rows, None]
        if weight is not None:
            centred *= weight
        if bias is not None:
            centred += bias
    return y, mean, rstd


def layer_norm_backward(dy, x, weight, mean, rstd, affine: bool):
    """dx (N, C), and dweight, dbias (C,) where `affine`, else None. Derived in `nn.functional.layer_norm`."""
    xp = namespace(dy)
    N, C = x.shape
    dx = xp.empty((N, C), x.dtype)
    dweight, dbias = (xp.zeros(C, x.dtype), xp.zeros(C, x.dtype)) if affine else (None, None)
    for rows in row_tiles(x):
        normal = (x[rows] - mean[rows, None]) * rstd[rows, None]  # x̂
        if affine:
            dweight += xp.einsum("nc,nc->c", dy[rows], normal)
            dbias += dy[rows].sum(axis=0)
        g = dx[rows]
        xp.multiply(dy[rows], 1 if weight is None else weight, out=g)
        along = xp.einsum("nc,nc->n", g, normal) / C  # mean of g ⊙ x̂
        normal *= along[:, None]
        g -= g.mean(axis=1, keepdims=True)
        g -= normal
        g *= rstd[rows, None]
    return dx, dweight, dbias


# ---------------------------------------------------------------------- GELU

TANH_SCALE = math.sqrt(2 / math.pi)
TANH_CUBIC = 0.044715


def gelu_tanh(x):
    """½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + 0.044715 x³)."""
    return _elementwise(_gelu_tanh, x)


def gelu_tanh_backward(dy, x):
    """dx = dy (s + x s (1 − s) 2u′), where s = σ(2u)."""
    return _elementwise(_gelu_tanh_backward, x, dy)


def gelu_erf(x):
    """x Φ(x), where Φ is the distribution function of the standard normal."""
    return _elementwise(_gelu_erf, x)


def gelu_erf_backward(dy, x):
    """dx = dy (Φ(x) + x φ(x)), where φ is the density of the standard normal."""
    return _elementwise(_gelu_erf_backward, x, dy)


def _elementwise(tile_function, x, *others):
    """Run tile_function(x, *others, out=, scratch=) over flat tiles."""
    xp = namespace(x)
    flat = [a.reshape(-1) for a in (x, *others)]
    y = xp.empty(x.shape, x.dtype)
    out = y.reshape(-1)
    scratch = xp.empty(min(x.size, TILE) if xp is np else x.size, x.dtype)
    for part in tiles(x, x.size, TILE):
        tile_function(*[a[part] for a in flat], out=out[part], scratch=scratch[: part.stop - part.start])
    return y


def _sigmoid_2u(x, out) -> None:
    """σ(2u) = 1 / (1 + exp(−2u)): tanh through the exponential, which NumPy computes faster."""
    xp = namespace(x)
    xp.multiply(x, x, out=out)
    out *= -2 * TANH_SCALE * TANH_CUBIC
    out -= 2 * TANH_SCALE
    out *= x  # −2u
    xp.exp(out, out=out)
    out += 1
    xp.reciprocal(out, out=out)


def _gelu_tanh(x, out, scratch) -> None:
    _sigmoid_2u(x, out)
    out *= x


def _gelu_tanh_backward(x, dy, out, scratch) -> None:
    xp = namespace(x)
    _sigmoid_2u(x, out)  # s
    xp.multiply(x, x, out=scratch)
    scratch *= 6 * TANH_SCALE * TANH_CUBIC
    scratch += 2 * TANH_SCALE
    scratch *= x  # x · 2u′
    scratch *= 1 - out
    scratch += 1
    out *= scratch  # s (1 + x 2u′ (1 − s))
    out *= dy


def _cdf_and_density(x, out, density) -> None:
    """out = Φ(x), density = φ(x): Φ(−|x|) = ½ erfc(|x|/√2) by its Chebyshev series, and Φ(x) = 1 − Φ(−x)."""
    xp = namespace(x)
    z = xp.abs(x)
    z *= math.sqrt(0.5)
    xp.multiply(z, z, out=density)
    xp.negative(density, out=density)
    xp.exp(density, out=density)  # exp(−z²)
    u = (z - ERFCX_SCALE) / (z + ERFCX_SCALE)
    first, *rest = erfcx_polynomial(x.dtype)
    out[...] = first
    for coefficient in rest:  # Horner's rule, from the highest power down
        out *= u
        out += coefficient
    z *= 2
    z += 1
    out /= z
    out *= density
    out *= 0.5  # Φ(−|x|)
    density *= 1 / math.sqrt(2 * math.pi)
    out -= x > 0
    xp.abs(out, out=out)  # 1 − Φ(−|x|) where x > 0


def _gelu_erf(x, out, scratch) -> None:
    _cdf_and_density(x, out, scratch)
    out *= x


def _gelu_erf_backward(x, dy, out, scratch) -> None:
    _cdf_and_density(x, out, scratch)
    scratch *= x
    out += scratch
    out *= dy


# ---------------------------------------------------------------------- cross-entropy


def cross_entropy(logits, targets, row_weight):
    """loss_n = w_n (ln Σ_v exp(x_nv) − x_n,target) for logits x (N, V), targets and weights w (N,).

    Returns the losses (N,) and, for backward, ln Σ exp of each row (N,). A row with weight 0 counts 0, whatever
    its target.
    """
    xp = namespace(logits)
    N = logits.shape[0]
    log_sum = xp.empty(N, logits.dtype)
    for rows in row_tiles(logits):
        x = logits[rows]
        top = x.max(axis=1)
        e = xp.exp(x - top[:, None])
        log_sum[rows] = xp.log(e.sum(axis=1)) + top
    picked = logits[xp.arange(N), xp.where(row_weight == 0, 0, targets)]
    return xp.where(row_weight == 0, 0, row_weight * (log_sum - picked)), log_sum


def cross_entropy_backward(dlosses, logits, targets, row_weight, log_sum):
    """dlogits_n = dloss_n w_n (softmax(x_n) − onehot(target_n)), (N, V)."""
    xp = namespace(logits)
    scale = xp.where(row_weight == 0, 0, dlosses * row_weight)
    dlogits = xp.empty(logits.shape, logits.dtype)
    for rows in row_tiles(logits):
        d = xp.subtract(logits[rows], log_sum[rows, None], out=dlogits[rows])
        xp.exp(d, out=d)
        d *= scale[rows, None]
    dlogits[row_weight == 0] = 0  # also where such a row holds inf or NaN
    dlogits[xp.arange(len(logits)), xp.where(row_weight == 0, 0, targets)] -= scale
    return dlogits


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


# ---------------------------------------------------------------------- attention


def attention(q, k, v, scale: float, causal: bool):
    """softmax(scale q kᵀ) v for q (B, H, T, D), k (B, H, S, D), v (B, H, S, E); if `causal`, row t sees columns ≤ t.

    Returns y (B, H, T, E), stored as (B, T, H, E) so that the heads lie side by side, and for backward the
    logarithm of each row's softmax denominator (B, H, T). Scores are made and dropped tile by tile: no T × S
    matrix is kept (Dao et al. 2022, arXiv:2205.14135).
    """
    xp = namespace(q)
    y = heads_side_by_side(xp, (*q.shape[:3], v.shape[3]), q.dtype)
    log_sum = xp.empty(q.shape[:3], q.dtype)
    for heads, rows, columns in score_tiles(q, k, causal):
        s = q[heads][..., rows, :] @ k[heads][..., columns, :].swapaxes(-1, -2)  # (b, h, t, s)
        s *= scale
        if causal:
            xp.copyto(s, -math.inf, where=_future(xp, rows, columns))
        top = s.max(axis=-1, keepdims=True)
        s -= top
        xp.exp(s, out=s)
        total = s.sum(axis=-1, keepdims=True)
        y[heads][..., rows, :] = s @ v[heads][..., columns, :]
        y[heads][..., rows, :] /= total
        log_sum[heads][..., rows] = (xp.log(total) + top)[..., 0]
    return y, log_sum


def attention_backward(dy, q, k, v, y, log_sum, scale: float, causal: bool):
    """dq, dk, dv of `attention`; see `nn.functional.attention` for the derivation. The scores are computed again."""
    xp = namespace(q)
    dq, dk, dv = (heads_side_by_side(xp, a.shape, a.dtype) for a in (q, k, v))
    dk[...] = 0
    dv[...] = 0
    along = xp.einsum("bhte,bhte->bht", dy, y)  # Σ_s dp p of each row
    for heads, rows, columns in score_tiles(q, k, causal):
        q_t, dy_t, k_s = q[heads][..., rows, :], dy[heads][..., rows, :], k[heads][..., columns, :]
        p = q_t @ k_s.swapaxes(-1, -2)  # (b, h, t, s)
        p *= scale
        p -= log_sum[heads][..., rows, None]
        xp.exp(p, out=p)
        if causal:
            xp.copyto(p, 0, where=_future(xp, rows, columns))
        dv[heads][..., columns, :] += p.swapaxes(-1, -2) @ dy_t
        ds = dy_t @ v[heads][..., columns, :].swapaxes(-1, -2)  # dp
        ds -= along[heads][..., rows, None]
        ds *= p
        ds *= scale
        dq[heads][..., rows, :] = ds @ k_s
        dk[heads][..., columns, :] += ds.swapaxes(-1, -2) @ q_t
    return dq, dk, dv


def heads_side_by_side(xp, shape, dtype):
    """An empty (B, H, T, D) array that lies in memory as (B, T, H, D): merging the heads is then free."""
    B, H, T, D = shape
    return xp.empty((B, T, H, D), dtype).swapaxes(1, 2)


def score_tiles(q, k, causal: bool):
    """(heads, rows, columns) of every tile of scores: indices into (B, H), and slices of T and of S.

    A causal tile leaves out the columns after its last row.
    """
    (B, H, T), S = q.shape[:3], k.shape[2]
    for rows in tiles(q, T, QUERIES):
        height = rows.stop - rows.start
        columns = slice(0, min(rows.stop, S) if causal else S)
        each = max(1, height * columns.stop)
        for h in tiles(q, H, max(1, SCORES // each)):
            for b in tiles(q, B, max(1, SCORES // (each * H))):
                yield (b, h), rows, columns


def _future(xp, rows: slice, columns: slice):
    """Which columns of a causal tile a row may not see yet: bool (t, s)."""
    return xp.arange(columns.stop)[None, :] > xp.arange(rows.start, rows.stop)[:, None]


# ---------------------------------------------------------------------- Adam


def adam_step(p, g, m, v, v_max, *, lr, beta1, beta2, eps, decay, l2, step) -> None:
    """One step of Adam or AdamW on the parameter p, in place, with its gradient g and its moments m and v.

    See `nn.optim.Adam` for the formula; `decay` is decoupled (p shrinks), `l2` is added to the gradient. All arrays
    are flat; `v_max` is None but for AMSGrad. Works tile by tile in two scratch buffers.
    """
    xp = namespace(p)
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    size = min(p.size, TILE) if xp is np else p.size
    scratch, denominator = xp.empty(size, p.dtype), xp.empty(size, p.dtype)
    for part in tiles(p, p.size, TILE):
        pt, gt, mt, vt = p[part], g[part], m[part], v[part]
        a, d = scratch[: pt.size], denominator[: pt.size]
        if l2:
            gt = gt + l2 * pt
        if decay:
            pt *= 1 - lr * decay
        mt *= beta1
        mt += xp.multiply(gt, 1 - beta1, out=a)
        xp.multiply(gt, gt, out=a)
        a *= 1 - beta2
        vt *= beta2
        vt += a
        if v_max is not None:
            xp.maximum(v_max[part], vt, out=v_max[part])
        xp.sqrt(vt if v_max is None else v_max[part], out=d)
        d *= 1 / math.sqrt(correction2)
        d += eps
        xp.multiply(mt, lr / correction1, out=a)
        a /= d
        pt -= a
