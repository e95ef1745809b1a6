"""Lengths and angles of vectors along one dimension."""

from __future__ import annotations

import tensor
from tensor import Tensor

__all__ = ["cosine_similarity", "normalize"]


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖_p, eps) along `dim`: vectors of length 1."""
    length = tensor.norm(input, p=p, dim=dim, keepdim=True)
    return input / length.clamp(min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) along `dim`: the cosine of the angle between them."""
    x1, x2 = tensor.broadcast_tensors(x1, x2)  # `dim` counts in the common shape
    return (normalize(x1, dim=dim, eps=eps) * normalize(x2, dim=dim, eps=eps)).sum(dim)
