"""Layer norm and RMS norm as plain NumPy: part of numpy_kernels."""

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
            xp.mean(x[rows], axis=1, out=mean[rows])
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

    def part(start: int, stop: int) -> None:
        dweight, dbias = sums[start] = xp.zeros((2, C), x.dtype)
        for rows in row_tiles(x, start, stop):
            normal = (x[rows] - mean[rows, None]) * rstd[rows, None]  # x̂
            if affine:
                dweight += xp.einsum("nc,nc->c", dy[rows], normal)
                dbias += dy[rows].sum(axis=0)
            g = dx[rows]
            xp.multiply(dy[rows], 1 if weight is None else weight, out=g)
            normal *= xp.einsum("nc,nc->n", g, normal)[:, None] / C  # x̂ mean(g ⊙ x̂)
            g -= g.mean(axis=1, keepdims=True)
            g -= normal
            g *= rstd[rows, None]

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

    def part(start: int, stop: int) -> None:
        dweight = sums[start] = xp.zeros(C, x.dtype)
        for rows in row_tiles(x, start, stop):
            normal = x[rows] * rrms[rows, None]  # x̂
            if affine:
                dweight += xp.einsum("nc,nc->c", dy[rows], normal)
            g = dx[rows]
            xp.multiply(dy[rows], 1 if weight is None else weight, out=g)
            normal *= xp.einsum("nc,nc->n", g, normal)[:, None] / C  # x̂ mean(g ⊙ x̂)
            g -= normal
            g *= rrms[rows, None]

    in_parts(x, part)
    return dx, sum(sums[start] for start in sorted(sums)) if affine else None


def _scale_and_shift(rows, factor, weight, bias) -> None:
    """rows (n, C) ← rows · factor ⊙ weight + bias, in place; factor (n,)."""
    rows *= factor[:, None]
    if weight is not None:
        rows *= weight
    if bias is not None:
        rows += bias
