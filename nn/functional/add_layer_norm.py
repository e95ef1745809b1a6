"""The residual stream and its layer norm in one: total = x + branch, y = layer_norm(total).

x, branch, total, y (..., C)

What a Transformer's block does before each of its parts ("Add & Norm" in Vaswani et al. 2017, arXiv:1706.03762; here
the stream itself goes on without the norm, as in GPT-2). Alone, the addition writes the whole stream and the norm
reads it again; on the way back, so do the norm's gradient and the addition of the stream's. Here each row is in the
cache only once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nn.functional.layer_norm import check_norm, layer_norm
from tensor import Op, Tensor
from tensor.checks import require_tensor
from tensor.kernels import kernels
from tensor.modes import state


def add_layer_norm_composed(
    input: Tensor,
    branch: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """The definition: an addition, and the norm of its result."""
    total = input + branch
    return total, layer_norm(total, normalized_shape, weight, bias, eps)


class AddLayerNorm(Op):
    """total = x + branch and y = layer_norm(total), for rows of C elements.

    total goes two ways, on as it is and into the norm, so its gradient is the sum of what comes back on both. An
    addition hands it on to x and to branch alike:

        dx = dbranch = dtotal + (layer norm's gradient for dy, derived in `nn.functional.layer_norm`)
    """

    vjp = "dx = dbranch = dtotal + r (g − mean(g) − x̂ mean(g ⊙ x̂)), g = dy ⊙ weight;  dweight = Σ dy ⊙ x̂;  dbias = Σ dy"

    def forward(self, x, branch, weight, bias, *, shape, eps):
        self.weight, self.shape = weight, shape
        x_rows, branch_rows = (a.reshape(-1, math.prod(shape)) for a in (x, branch))  # (N, C)
        weight, bias = [None if p is None else p.reshape(-1) for p in (weight, bias)]  # (C,)
        total, y, self.mean, self.rstd = kernels(x).add_layer_norm(x_rows, branch_rows, weight, bias, eps)
        self.total = total.reshape(x.shape)
        return self.total, y.reshape(x.shape)

    def backward(self, dtotal, dy):
        rows = (-1, math.prod(self.shape))  # (N, C)
        weight = None if self.weight is None else self.weight.reshape(-1)
        dx, dweight, dbias = kernels(dy).add_layer_norm_backward(
            dtotal.reshape(rows),
            dy.reshape(rows),
            self.total.reshape(rows),
            weight,
            self.mean,
            self.rstd,
            affine=self.needs[2] or self.needs[3],
        )
        dx = dx.reshape(dy.shape)
        return (
            dx,
            dx,
            dweight.reshape(self.shape) if self.needs[2] else None,
            dbias.reshape(self.shape) if self.needs[3] else None,
        )


def add_layer_norm(
    input: Tensor,
    branch: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """(total, y): the sum of `input` and `branch`, and its `layer_norm` over its last dimensions `normalized_shape`.

    Where the two have one shape and dtype, they are computed together, in one pass; else one after the other. weight
    and bias have the shape `normalized_shape`, or are None; errors are those of `layer_norm`.
    """
    x, other = require_tensor("add_layer_norm", input), require_tensor("add_layer_norm", branch)
    one_kind = x.array.shape == other.array.shape and x.array.dtype == other.array.dtype
    if not one_kind or x.array.size == 0 or state.autocast is not None:
        return add_layer_norm_composed(x, other, normalized_shape, weight, bias, eps)
    shape = check_norm("add_layer_norm", x, normalized_shape, weight, bias)
    return AddLayerNorm.apply(x, other, weight, bias, shape=shape, eps=eps)
