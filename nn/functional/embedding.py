"""Embedding: a table of vectors, read by row number.

idx (...), integers in 0 … V − 1    weight (V, C)    y (..., C) with y[n] = weight[idx[n]]
"""

from __future__ import annotations

from tensor import Op, Tensor
from tensor.checks import check_devices, require_integer, require_tensor, shape_text
from tensor.devices import namespace
from tensor.kernels import kernels
from tensor.late_checks import require_all
from tensor.tensor import wrap


def embedding_composed(input: Tensor, weight: Tensor) -> Tensor:
    """The definition: a product with one-hot rows, which picks one row of the table each."""
    return one_hot(input, weight.shape[0]).to(weight.dtype) @ weight  # (..., V) @ (V, C)


class Embedding(Op):
    """y_n = W_idx[n]: the product of one-hot rows with W, without the multiplications by zero.

    y_nc = Σ_v [idx_n = v] W_vc, so ∂L/∂W_vc = Σ_n [idx_n = v] dy_nc: each row of dW gathers the gradients of all places
    that read it. `padding_idx` names a row that is read but not learned.
    """

    vjp = "dW[v] = Σ dy[n] over the n with idx[n] = v"

    def forward(self, weight, *, idx, padding_idx):
        self.idx, self.rows, self.padding_idx = idx, weight.shape[0], padding_idx
        return weight[idx]

    def backward(self, dy):
        idx = self.idx.reshape(-1)  # (n,)
        dweight = kernels(dy).embedding_backward(dy.reshape(idx.size, dy.shape[-1]), idx, self.rows)
        if self.padding_idx is not None:
            dweight[self.padding_idx] = 0
        return dweight


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Row idx of `weight` (V, C) for every idx in `input` (...), which holds integers; returns (..., C).

    The row `padding_idx` gets no gradient. IndexError where an idx is no row number.
    """
    idx, weight = require_tensor("embedding", input), require_tensor("embedding", weight)
    require_integer("embedding", "input", idx)
    if weight.ndim != 2:
        raise RuntimeError(
            f"embedding: weight must have the shape (num_embeddings, embedding_dim), got {shape_text(weight.shape)}"
        )
    check_devices("embedding", [idx, weight])
    _check_range("embedding", idx, weight.shape[0])
    if padding_idx is not None:
        if not -weight.shape[0] <= padding_idx < weight.shape[0]:
            raise IndexError(f"embedding: padding_idx {padding_idx} is out of range for {weight.shape[0]} rows")
        padding_idx %= weight.shape[0]
    return Embedding.apply(weight, idx=idx.array, padding_idx=padding_idx)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """For each integer in `tensor` (...) a row with a 1 in that place, (..., num_classes), int64.

    num_classes = −1 takes as many as the largest integer needs.
    """
    idx = require_tensor("one_hot", tensor)
    require_integer("one_hot", "the input", idx)
    if num_classes == -1:
        if idx.numel() == 0:
            raise RuntimeError("one_hot: num_classes cannot be told from an empty Tensor: pass it")
        num_classes = int(idx.array.max()) + 1
    _check_range("one_hot", idx, num_classes)
    xp = namespace(idx.array)
    return wrap((idx.array[..., None] == xp.arange(num_classes)).astype(xp.int64))


def _check_range(name: str, idx: Tensor, rows: int) -> None:
    array = idx.array

    def error() -> IndexError:
        return IndexError(f"{name}: indices go from {array.min()} to {array.max()}, and must lie in 0 … {rows - 1}")

    require_all((array >= 0) & (array < rows), error)
