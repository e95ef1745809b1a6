"""Layer norm and RMS norm as plain NumPy: part of numpy_kernels.

Sums of rows and over rows are products with a vector: BLAS is faster than `sum`, and applies a factor on the way.
"""

from __future__ import annotations

from tensor.devices import namespace
from tensor.kernels.tiles import in_parts, row_tiles


def layer_norm(x, weight, bias, eps: float):
    """y = (x − mean) · rstd ⊙ weight + bias for the rows of x (N, C); weight, bias (C,) or None.

    Returns y (N, C), mean (N,) and rstd (N,), the reciprocal of √(variance + eps).
    """
    xp = namespace(x)
    N, C = x.shape
    y = xp.empty((N, C), x.dtype)
    mean, rstd = xp.empty(N, x.dtype), xp.empty(N, x.dtype)

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(x, start, stop):
            mean[rows] = x[rows] @ xp.full(C, 1 / C, x.dtype)
            centred = xp.subtract(x[rows], mean[rows, None], out=y[rows])
            variance = xp.einsum("nc,nc->n", centred, centred) / C
            rstd[rows] = 1 / xp.sqrt(variance + eps)
            _scale_and_shift(centred, rstd[rows], weight, bias)

    in_parts(x, part)
    return y, mean, rstd


def layer_norm_backward(dy, x, weight, mean, rstd, affine: bool):
    """dx (N, C), and dweight, dbias (C,) where `affine`, else None. Derived in `nn.functional.layer_norm`."""
    xp = namespace(dy)
    N, C = x.shape
    dx = xp.empty((N, C), x.dtype)
    sums: dict = {}  # first row of a part -> its dweight and dbias

    weight = xp.ones(C, x.dtype) if weight is None else weight

    def part(start: int, stop: int) -> None:
        dweight, dbias = sums[start] = xp.zeros((2, C), x.dtype)
        for rows in row_tiles(x, start, stop):
            r = rstd[rows]
            centred = x[rows] - mean[rows, None]  # x̂ / r
            product = dy[rows] * centred
            if affine:
                dweight += r @ product  # Σ_n dy ⊙ x̂
                dbias += xp.ones_like(r) @ dy[rows]
            mean_g = dy[rows] @ weight / C
            centred *= (r * r * (product @ weight) / C)[:, None]  # x̂ mean(g ⊙ x̂)
            g = xp.multiply(dy[rows], weight, out=dx[rows])
            g -= mean_g[:, None]
            g -= centred
            g *= r[:, None]

    in_parts(x, part)
    dweight, dbias = sum(sums[start] for start in sorted(sums)) if affine else (None, None)
    return dx, dweight, dbias


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
    N, C = x.shape
    dx = xp.empty((N, C), x.dtype)
    sums: dict = {}  # first row of a part -> its dweight

    weight = xp.ones(C, x.dtype) if weight is None else weight

    def part(start: int, stop: int) -> None:
        dweight = sums[start] = xp.zeros(C, x.dtype)
        for rows in row_tiles(x, start, stop):
            r = rrms[rows]
            product = dy[rows] * x[rows]
            if affine:
                dweight += r @ product  # Σ_n dy ⊙ x̂
            g = xp.multiply(dy[rows], weight, out=dx[rows])
            g -= x[rows] * (r * r * (product @ weight) / C)[:, None]  # x̂ mean(g ⊙ x̂)
            g *= r[:, None]

    in_parts(x, part)
    return dx, sum(sums[start] for start in sorted(sums)) if affine else None


def _scale_and_shift(rows, factor, weight, bias) -> None:
    """rows (n, C) ← rows · factor ⊙ weight + bias, in place; factor (n,)."""
    rows *= factor[:, None]
    if weight is not None:
        rows *= weight
    if bias is not None:
        rows += bias
