"""Layer norm and RMS norm as plain NumPy: part of numpy_kernels.

Sums of rows and over rows are products with a vector: BLAS is faster than `sum`, and applies a factor on the way.
"""

from __future__ import annotations

from tensor.devices import namespace
from tensor.kernels.tiles import added_up, in_parts, row_tiles


def layer_norm(x, weight, bias, eps: float):
    """y = (x − mean) · rstd ⊙ weight + bias for the rows of x (N, C); weight, bias (C,) or None.

    Returns y (N, C), mean (N,) and rstd (N,), the reciprocal of √(variance + eps).
    """
    return add_layer_norm(x, None, weight, bias, eps)[1:]


def add_layer_norm(x, branch, weight, bias, eps: float):
    """total = x + branch, and its layer_norm: total (N, C), y (N, C), mean (N,) and rstd (N,).

    A tile is normalised while the sum is in the cache. Without a branch (None) total is x.
    """
    xp = namespace(x)
    N, C = x.shape
    total = x if branch is None else xp.empty((N, C), x.dtype)
    y, mean, rstd = xp.empty((N, C), x.dtype), xp.empty(N, x.dtype), xp.empty(N, x.dtype)

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(x, start, stop):
            if branch is not None:
                xp.add(x[rows], branch[rows], out=total[rows])
            mean[rows], rstd[rows] = _layer_norm(xp, total[rows], weight, bias, eps, y[rows])

    in_parts(x, part)
    return total, y, mean, rstd


def _layer_norm(xp, x, weight, bias, eps: float, y) -> tuple:
    """Write a tile's y; returns its mean and rstd."""
    C = x.shape[1]
    average = xp.full(C, 1 / C, x.dtype)
    mean = x @ average
    centred = xp.subtract(x, mean[:, None], out=y)
    rstd = (centred * centred) @ average  # the variance
    rstd += eps
    xp.sqrt(rstd, out=rstd)
    xp.reciprocal(rstd, out=rstd)
    _scale_and_shift(centred, rstd, weight, bias)
    return mean, rstd


def layer_norm_backward(dy, x, weight, mean, rstd, affine: bool):
    """dx (N, C), and dweight, dbias (C,) where `affine`, else None. Derived in `nn.functional.layer_norm`."""
    return add_layer_norm_backward(None, dy, x, weight, mean, rstd, affine)


def add_layer_norm_backward(dtotal, dy, total, weight, mean, rstd, affine: bool):
    """dx (N, C), which is dbranch as well, and dweight, dbias (C,) where `affine`, else None.

    dx is what arrives at the sum itself, dtotal (N, C) or None, and what comes through the norm.
    """
    xp = namespace(dy)
    dx = xp.empty(total.shape, total.dtype)
    sums: dict = {}  # first row of a tile -> its dweight and dbias
    weight = xp.ones(total.shape[1], total.dtype) if weight is None else weight

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(total, start, stop):
            sums[rows.start] = _layer_norm_backward(xp, dy[rows], total[rows], weight, mean[rows], rstd[rows], dx[rows])
            if dtotal is not None:
                dx[rows] += dtotal[rows]

    in_parts(total, part)
    return (dx, *(added_up(sums) or (0 * weight, 0 * weight))) if affine else (dx, None, None)


def _layer_norm_backward(xp, dy, x, weight, mean, rstd, dx) -> tuple:
    """Write a tile's dx; returns its dweight and dbias."""
    C = x.shape[1]
    centred = x - mean[:, None]  # x̂ / rstd
    product = dy * centred
    dweight, dbias = rstd @ product, xp.ones(len(dy), dy.dtype) @ dy  # Σ_n dy ⊙ x̂ and Σ_n dy
    share = weight / C
    mean_g = dy @ share
    along = product @ share
    along *= rstd
    along *= rstd
    centred *= along[:, None]  # x̂ mean(g ⊙ x̂)
    g = xp.multiply(dy, weight, out=dx)
    g -= mean_g[:, None]
    g -= centred
    g *= rstd[:, None]
    return dweight, dbias


def rms_norm(x, weight, eps: float):
    """y = x · rrms ⊙ weight for the rows of x (N, C); weight (C,) or None.

    Returns y (N, C) and rrms (N,), the reciprocal of √(mean(x²) + eps).
    """
    xp = namespace(x)
    N, C = x.shape
    y, rrms = xp.empty((N, C), x.dtype), xp.empty(N, x.dtype)

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(x, start, stop):
            rrms[rows] = 1 / xp.sqrt(xp.einsum("nc,nc->n", x[rows], x[rows]) / C + eps)
            y[rows] = x[rows]
            _scale_and_shift(y[rows], rrms[rows], weight, None)

    in_parts(x, part)
    return y, rrms


def rms_norm_backward(dy, x, weight, rrms, affine: bool):
    """dx (N, C), and dweight (C,) where `affine`, else None. Derived in `nn.functional.layer_norm`."""
    xp = namespace(dy)
    C = x.shape[1]
    dx = xp.empty(x.shape, x.dtype)
    sums: dict = {}  # first row of a tile -> its dweight
    weight = xp.ones(C, x.dtype) if weight is None else weight

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(x, start, stop):
            r = rrms[rows]
            product = dy[rows] * x[rows]
            sums[rows.start] = (r @ product,)  # Σ_n dy ⊙ x̂
            g = xp.multiply(dy[rows], weight, out=dx[rows])
            g -= x[rows] * (r * r * (product @ weight) / C)[:, None]  # x̂ mean(g ⊙ x̂)
            g *= r[:, None]

    in_parts(x, part)
    return dx, (added_up(sums) or (0 * weight,))[0] if affine else None


def _scale_and_shift(rows, factor, weight, bias) -> None:
    """rows (n, C) ← rows · factor ⊙ weight + bias, in place; factor (n,)."""
    rows *= factor[:, None]
    if weight is not None:
        rows *= weight
    if bias is not None:
        rows += bias
