"""GELU as plain NumPy, alone and at the end of a linear layer: part of numpy_kernels."""

from __future__ import annotations

import math

import numpy as np

from tensor.devices import namespace
from tensor.kernels.erfcx import ERFCX_SCALE, erfcx_polynomial
from tensor.kernels.tiles import TILE, added_up, in_parts, row_tiles, tiles

TANH_SCALE = math.sqrt(2 / math.pi)
TANH_CUBIC = 0.044715


def gelu_tanh(x, backward: bool):
    """y = ½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + 0.044715 x³).

    Returns y and, if there will be a `backward`, what gelu_tanh_backward is to be given (None else). That is the slope
    dy/dx, so that no exponential is computed twice; on a GPU, where reading costs more than computing, it is x.
    """
    return _elementwise(_gelu_tanh, x, backward)


def gelu_tanh_backward(dy, kept):
    """dx = dy (s + x s (1 − s) 2u′), where s = σ(2u)."""
    return dy * kept


def gelu_erf(x, backward: bool):
    """y = x Φ(x), where Φ is the distribution function of the standard normal; returns the same as gelu_tanh."""
    return _elementwise(_gelu_erf, x, backward)


def gelu_erf_backward(dy, kept):
    """dx = dy (Φ(x) + x φ(x)), where φ is the density of the standard normal."""
    return dy * kept


def _elementwise(tile_function, x, backward: bool):
    """Run tile_function(x, out=, scratch=, slope=) over flat tiles; returns y and, if `backward`, the slope dy/dx."""
    xp = namespace(x)
    flat = x.reshape(-1)
    y, slope = xp.empty(x.shape, x.dtype), xp.empty(x.shape, x.dtype) if backward else None
    flat_y, flat_slope = [None if a is None else a.reshape(-1) for a in (y, slope)]

    def part(start: int, stop: int) -> None:
        scratch = xp.empty(min(stop - start, TILE) if xp is np else x.size, x.dtype)
        for tile in tiles(x, start, stop, TILE):
            out, slope = [None if a is None else a[tile] for a in (flat_y, flat_slope)]
            tile_function(flat[tile], out=out, scratch=scratch[: tile.stop - tile.start], slope=slope)

    in_parts(flat, part)
    return y, slope


def _gelu_tanh(x, out, scratch, slope) -> None:
    """tanh comes through the exponential, which NumPy computes faster: out is −2u, then 1 + exp(−2u), σ(2u) and y."""
    xp = namespace(x)
    square = xp.multiply(x, x, out=scratch)
    xp.multiply(square, -2 * TANH_SCALE * TANH_CUBIC, out=out)
    out -= 2 * TANH_SCALE
    out *= x
    xp.exp(out, out=out)
    out += 1
    if slope is not None:
        s = xp.reciprocal(out, out=out)
        xp.multiply(square, 6 * TANH_SCALE * TANH_CUBIC, out=slope)
        slope += 2 * TANH_SCALE
        slope *= x  # x 2u′
        slope *= xp.subtract(1, s, out=scratch)
        slope += 1
        slope *= s  # s (1 + x 2u′ (1 − s))
        out *= x
    else:
        xp.divide(x, out, out=out)


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


def _gelu_erf(x, out, scratch, slope) -> None:
    _cdf_and_density(x, out, scratch)
    if slope is not None:
        namespace(x).multiply(x, scratch, out=slope)
        slope += out
    out *= x


def linear_gelu(x, weight, bias, backward: bool):
    """y = gelu_tanh(x Wᵀ + b) for x (N, C), weight (O, C) and bias (O,) or None.

    Returns y (N, O) and what linear_gelu_backward is to be given, as gelu_tanh does. The product is read once: a tile
    of it gets its bias, and becomes y where it stands.
    """
    xp = namespace(x)
    y = x @ weight.T
    slope = xp.empty(y.shape, y.dtype) if backward else None

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(y, start, stop):
            z = y[rows].copy() if bias is None else y[rows] + bias
            _gelu_tanh(z, out=y[rows], scratch=xp.empty_like(z), slope=None if slope is None else slope[rows])

    in_parts(y, part)
    return y, slope


def linear_gelu_backward(dy, kept, bias: bool):
    """dz (N, O), the gradient of z = x Wᵀ + b, as in gelu_tanh_backward, and Σ_n dz (O,) if there is a `bias`."""
    xp = namespace(dy)
    dz = xp.empty(dy.shape, dy.dtype)
    sums: dict = {}  # first row of a tile -> its dbias

    def part(start: int, stop: int) -> None:
        for rows in row_tiles(dy, start, stop):
            tile = xp.multiply(dy[rows], kept[rows], out=dz[rows])
            if bias:
                sums[rows.start] = (xp.ones(len(tile), dy.dtype) @ tile,)

    in_parts(dy, part)
    return dz, added_up(sums)[0] if bias else None
