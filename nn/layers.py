"""Layers with parameters, and dropout: what `nn.functional` computes, together with the weights it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensor
from nn import functional as F
from nn import init
from nn.module import Module
from nn.parameter import Parameter
from tensor import Tensor, no_grad

__all__ = [
    "AddLayerNorm",
    "Dropout",
    "Embedding",
    "Flatten",
    "LayerNorm",
    "Linear",
    "LinearGELU",
    "RMSNorm",
    "Unflatten",
]


class Linear(Module):
    """y = x Wᵀ + b, with weight W (out_features, in_features) and bias b (out_features,), or None without `bias`.

    Both start even in ±1/√in_features, as PyTorch's do.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(tensor.zeros(out_features, in_features, dtype=dtype, device=device))
        self.register_parameter(
            "bias", Parameter(tensor.zeros(out_features, dtype=dtype, device=device)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw first values anew."""
        if self.weight.numel():
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # the gain of a = √5 makes the bound 1/√fan_in
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)  # (..., in) -> (..., out)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class LinearGELU(Linear):
    """y = gelu(x Wᵀ + b) with the tanh form of GELU, in one pass over the product; PyTorch has it as two modules."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear_gelu(x, self.weight, self.bias)  # (..., in) -> (..., out)


class Embedding(Module):
    """A table of num_embeddings vectors: integers (...) -> (..., embedding_dim). Starts normal, with std 1.

    The row `padding_idx` starts at zero and is not learned.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, device=None, dtype=None
    ):
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} is out of range for {num_embeddings} embeddings")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(tensor.zeros(num_embeddings, embedding_dim, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw first values anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A layer around an existing table (num_embeddings, embedding_dim); learned only with `freeze=False`."""
        rows, channels = embeddings.shape
        layer = cls(rows, channels, padding_idx=padding_idx)
        layer.weight = Parameter(embeddings, requires_grad=not freeze)
        return layer

    def forward(self, idx: Tensor) -> Tensor:
        return F.embedding(idx, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class _GainAndShift(Module):
    """What LayerNorm and AddLayerNorm learn: a gain and a shift for each channel, which start at 1 and 0."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        ones = tensor.ones(self.normalized_shape, dtype=dtype, device=device)
        zeros = tensor.zeros(self.normalized_shape, dtype=dtype, device=device)
        self.register_parameter("weight", Parameter(ones) if elementwise_affine else None)
        self.register_parameter("bias", Parameter(zeros) if elementwise_affine and bias else None)

    def reset_parameters(self) -> None:
        """Back to gain 1 and shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        bias = self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={bias}"


class LayerNorm(_GainAndShift):
    """Mean 0 and variance 1 over the last dimensions, then a learned gain and shift for each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class AddLayerNorm(_GainAndShift):
    """The sum of two Tensors, and its LayerNorm, in one pass over both: (x, branch) -> (x + branch, its norm).

    For a residual stream x, to which `branch` adds, and a next layer that reads the norm of what it is then.
    """

    def forward(self, x: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        return F.add_layer_norm(x, branch, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """x / √(mean(x²) + eps) over the last dimensions, then a learned gain (from 1) for each channel."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        ones = tensor.ones(self.normalized_shape, dtype=dtype, device=device)
        self.register_parameter("weight", Parameter(ones) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Back to gain 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class Dropout(Module):
    """In training, zeros each element with probability p and scales the others by 1/(1 − p)."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, from 0 to 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Flatten(Module):
    """Dimensions start_dim … end_dim as one; by default all but the first."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension `dim` as several, of the lengths `unflattened_size`."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
