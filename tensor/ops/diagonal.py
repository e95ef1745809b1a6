"""Triangles and diagonals of matrices."""

from __future__ import annotations

from tensor.checks import normalize_dim, shape_text
from tensor.devices import namespace
from tensor.inplace import assign
from tensor.op import Op
from tensor.ops.shape import movedim
from tensor.tensor import Tensor

__all__ = ["diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "fill_diagonal_", "tril", "triu"]
IN_PLACE = ["tril", "triu"]


class Tril(Op):
    """y = x on and below diagonal k, 0 above it;  so is dx of dy."""

    vjp = "dx = tril(dy, k)"

    def forward(self, x, *, k):
        self.k = k
        return namespace(x).tril(x, k)

    def backward(self, dy):
        return namespace(dy).tril(dy, self.k)


class Triu(Op):
    """y = x on and above diagonal k, 0 below it;  so is dx of dy."""

    vjp = "dx = triu(dy, k)"

    def forward(self, x, *, k):
        self.k = k
        return namespace(x).triu(x, k)

    def backward(self, dy):
        return namespace(dy).triu(dy, self.k)


class Diagonal(Op):
    """y_..i = x_..ii' for the last two dims, i' = i + k: a view;  dx is zero but for its diagonal, dy."""

    vjp = "dx = 0 with diagonal dy"

    def forward(self, x, *, k):
        self.shape, self.k = x.shape, k
        return diagonal_view(x, k)

    def backward(self, dy):
        dx = namespace(dy).zeros(self.shape, dy.dtype)
        diagonal_view(dx, self.k)[...] = dy
        return dx


class DiagEmbed(Op):
    """y_..ii' = x_..i with i' = i + k, in matrices that are 0 elsewhere;  dx = the diagonal of dy."""

    vjp = "dx = diagonal of dy"

    def forward(self, x, *, k):
        self.k = k
        n = x.shape[-1] + abs(k)
        y = namespace(x).zeros((*x.shape[:-1], n, n), x.dtype)
        diagonal_view(y, k)[...] = x
        return y

    def backward(self, dy):
        return diagonal_view(dy, self.k)


def diagonal_view(x, k: int):
    """Diagonal k of the matrices (..., m, n) in the raw array x, as an array (..., l) that looks at x's memory."""
    m, n = x.shape[-2:]
    length = max(min(m + min(k, 0), n - max(k, 0)), 0)
    top, left = (max(-k, 0), max(k, 0)) if length else (0, 0)
    square = x[..., top : top + length, left : left + length]
    return namespace(x).einsum("...ii->...i", square)  # NumPy's own diagonal() is read-only


def _require_matrix(name: str, x: Tensor) -> None:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: expected a Tensor with at least 2 dims, got shape {shape_text(x.shape)}")


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix (..., m, n), up to a diagonal (> 0: above the main one); 0 elsewhere."""
    _require_matrix("tril", input)
    return Tril.apply(input, k=diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix (..., m, n), from a diagonal on (> 0: above the main one); 0 elsewhere."""
    _require_matrix("triu", input)
    return Triu.apply(input, k=diagonal)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A diagonal of the matrices that dims dim1 and dim2 form, as a new last dim; a view."""
    _require_matrix("diagonal", input)
    dims = normalize_dim("diagonal", dim1, input.ndim), normalize_dim("diagonal", dim2, input.ndim)
    if dims[0] == dims[1]:
        raise RuntimeError(f"diagonal: a matrix has two different dims, got {dim1} and {dim2}")
    return Diagonal.apply(movedim(input, dims, (-2, -1)), k=offset)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dim of input as a diagonal of square matrices, which lie in dims dim1 and dim2 of the result."""
    if input.ndim < 1:
        raise RuntimeError("diag_embed: expected a Tensor with at least 1 dim, this one has none")
    dims = normalize_dim("diag_embed", dim1, input.ndim + 1), normalize_dim("diag_embed", dim2, input.ndim + 1)
    if dims[0] == dims[1]:
        raise RuntimeError(f"diag_embed: a matrix has two different dims, got {dim1} and {dim2}")
    return movedim(DiagEmbed.apply(input, k=offset), (-2, -1), dims)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A 1-dim Tensor as a diagonal of a square matrix; of a matrix, its diagonal (a copy)."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag: expected 1 or 2 dims, got shape {shape_text(input.shape)}: see diagonal()")
    return DiagEmbed.apply(input, k=diagonal) if input.ndim == 1 else Diagonal.apply(input, k=diagonal).clone()


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements of input, in row-major order, as a diagonal of a square matrix."""
    return DiagEmbed.apply(input.reshape(-1), k=offset)


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of input with `src` as its diagonal."""
    y = input.clone()
    return _write_diagonal(y, src, diagonal(y, offset, dim1, dim2))


def _write_diagonal(y: Tensor, src: Tensor, view: Tensor) -> Tensor:
    if src.shape != view.shape:
        raise RuntimeError(
            f"diagonal_scatter: src has shape {shape_text(src.shape)}, the diagonal {shape_text(view.shape)}"
        )
    assign(view, src, "diagonal_scatter")
    return y


def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Write `fill_value` on the main diagonal, in place; returns input.

    More than 2 dims must be of one length; their diagonal is where all indices agree. `wrap` starts the diagonal
    again below a tall matrix, one row further down.
    """
    _require_matrix("fill_diagonal_", input)
    if input.ndim > 2 and len(set(input.shape)) > 1:
        raise RuntimeError(f"fill_diagonal_: all dims must be of one length, got shape {shape_text(input.shape)}")
    xp = namespace(input.array)
    rows, columns = input.shape[:2]
    stop = rows if wrap and input.ndim == 2 else min(input.shape)
    row = xp.arange(stop)
    row = row[row % (columns + 1) < columns] if wrap and input.ndim == 2 else row
    column = row % (columns + 1) if input.ndim == 2 else row
    input[(row, *[column] * (input.ndim - 1))] = fill_value
    return input
