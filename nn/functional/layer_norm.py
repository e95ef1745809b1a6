"""Layer normalisation: every row gets mean 0 and variance 1, then a learned gain and shift for each channel.

    x (..., C)    weight (C,)    bias (C,)    y (..., C)

    x̂ = (x − mean(x)) / √(var(x) + eps),    y = x̂ ⊙ weight + bias

mean and variance are those of one row (Ba, Kiros and Hinton 2016, arXiv:1607.06450). C may stand for several last
dimensions, normalised together. RMSNorm leaves out the mean (Zhang and Sennrich 2019, arXiv:1910.07467).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensor import Op, Tensor
from tensor.checks import require_tensor, shape_text
from tensor.kernels import kernels
from tensor.ops.autocast import in_full_precision


def layer_norm_composed(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """The definition, from primitive operations."""
    dims = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(dims, keepdim=True)  # (..., C)
    variance = (centred * centred).mean(dims, keepdim=True)  # (..., 1)
    y = centred / (variance + eps) ** 0.5
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


class LayerNorm(Op):
    """y = x̂ ⊙ weight + bias, with x̂ = (x − μ) r and r = 1 / √(σ² + eps), for the rows of x (N, C).

    For the affine part, ∂y/∂weight = x̂ and ∂y/∂bias = 1, so dweight = Σ_n dy ⊙ x̂ and dbias = Σ_n dy. What arrives
    at x̂ is g = dy ⊙ weight. Within one row,

        μ = (1/C) Σ_j x_j              ∂μ/∂x_i = 1/C
        σ² = (1/C) Σ_j (x_j − μ)²      ∂σ²/∂x_i = (2/C) (x_i − μ)            since Σ_j (x_j − μ) = 0
        r = (σ² + eps)^(−1/2)          ∂r/∂x_i = −½ r³ ∂σ²/∂x_i = −(r²/C) x̂_i
        x̂_j = (x_j − μ) r              ∂x̂_j/∂x_i = r (δ_ij − 1/C) − (x_j − μ) (r²/C) x̂_i = r (δ_ij − 1/C − x̂_i x̂_j / C)

    and dx_i = Σ_j g_j ∂x̂_j/∂x_i gives

        dx = r (g − mean(g) − x̂ mean(g ⊙ x̂)).

    In words: x̂ does not change when x is shifted or stretched, so from g all that points along those two directions
    is taken away.
    """

    vjp = "dx = r (g − mean(g) − x̂ mean(g ⊙ x̂)), g = dy ⊙ weight;  dweight = Σ dy ⊙ x̂;  dbias = Σ dy"

    def forward(self, x, weight, bias, *, shape, eps):
        self.x, self.weight, self.shape = x, weight, shape
        weight, bias = [None if p is None else p.reshape(-1) for p in (weight, bias)]  # (C,)
        y, self.mean, self.rstd = kernels(x).layer_norm(x.reshape(-1, math.prod(shape)), weight, bias, eps)
        return y.reshape(x.shape)

    def backward(self, dy):
        rows = (-1, math.prod(self.shape))  # (N, C)
        weight = None if self.weight is None else self.weight.reshape(-1)
        dx, dweight, dbias = kernels(dy).layer_norm_backward(
            dy.reshape(rows), self.x.reshape(rows), weight, self.mean, self.rstd, affine=self.needs[1] or self.needs[2]
        )
        return (
            dx.reshape(dy.shape),
            dweight.reshape(self.shape) if self.needs[1] else None,
            dbias.reshape(self.shape) if self.needs[2] else None,
        )


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise `input` over its last dimensions `normalized_shape`, then scale by weight and shift by bias.

    weight and bias have the shape `normalized_shape`, or are None. Returns a Tensor of the input's shape.
    """
    input, weight, bias = in_full_precision(input, weight, bias)
    shape = check_norm("layer_norm", input, normalized_shape, weight, bias)
    if input.array.size == 0:
        return layer_norm_composed(input, shape, weight, bias, eps)
    return LayerNorm.apply(input, weight, bias, shape=shape, eps=eps)


def rms_norm_composed(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """The definition, from primitive operations."""
    mean_square = (input * input).mean(tuple(range(-len(normalized_shape), 0)), keepdim=True)  # (..., 1)
    y = input / (mean_square + eps) ** 0.5
    return y if weight is None else y * weight


class RMSNorm(Op):
    """y = x̂ ⊙ weight, with x̂ = x r and r = (mean(x²) + eps)^(−1/2), for the rows of x (N, C).

    As for LayerNorm, without the mean: dweight = Σ_n dy ⊙ x̂, g = dy ⊙ weight, and within one row

        ∂r/∂x_i = −½ r³ (2/C) x_i = −(r²/C) x̂_i        ∂x̂_j/∂x_i = r (δ_ij − x̂_i x̂_j / C)

        dx = r (g − x̂ mean(g ⊙ x̂)).
    """

    vjp = "dx = r (g − x̂ mean(g ⊙ x̂)), g = dy ⊙ weight;  dweight = Σ dy ⊙ x̂"

    def forward(self, x, weight, *, shape, eps):
        self.x, self.weight, self.shape = x, weight, shape
        weight = None if weight is None else weight.reshape(-1)  # (C,)
        y, self.rrms = kernels(x).rms_norm(x.reshape(-1, math.prod(shape)), weight, eps)
        return y.reshape(x.shape)

    def backward(self, dy):
        rows = (-1, math.prod(self.shape))  # (N, C)
        weight = None if self.weight is None else self.weight.reshape(-1)
        dx, dweight = kernels(dy).rms_norm_backward(
            dy.reshape(rows), self.x.reshape(rows), weight, self.rrms, affine=self.needs[1]
        )
        return dx.reshape(dy.shape), dweight.reshape(self.shape) if self.needs[1] else None


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean(x²) + eps) ⊙ weight over the last dimensions `normalized_shape`; eps = None is the dtype's epsilon."""
    input, weight = in_full_precision(input, weight)
    shape = check_norm("rms_norm", input, normalized_shape, weight, None)
    if eps is None:
        eps = 2.0 ** -{2: 10, 4: 23, 8: 52}[input.dtype.itemsize]
    if input.numel() == 0:
        return rms_norm_composed(input, shape, weight, eps)
    return RMSNorm.apply(input, weight, shape=shape, eps=eps)


def check_norm(
    name: str, input: Tensor, normalized_shape, weight: Tensor | None, bias: Tensor | None
) -> tuple[int, ...]:
    """`normalized_shape` as a tuple, after checking that input, weight and bias fit it."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    x = require_tensor(name, input).array
    if not shape or x.shape[-len(shape) :] != shape:
        raise RuntimeError(f"{name}: the input {shape_text(x.shape)} must end in normalized_shape {shape_text(shape)}")
    if x.dtype.kind != "f":
        raise RuntimeError(f"{name}: expected a floating-point Tensor, got {x.dtype}: call .float() first")
    for what, parameter in (("weight", weight), ("bias", bias)):
        if parameter is None:
            continue
        p = parameter.array
        if p.shape != shape:
            raise RuntimeError(
                f"{name}: {what} has shape {shape_text(p.shape)}, expected normalized_shape {shape_text(shape)}"
            )
        if p.dtype != x.dtype:
            raise RuntimeError(f"{name}: input is {x.dtype} and {what} is {p.dtype}: convert one with .to()")
    return shape
