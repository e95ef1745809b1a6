"""einsum: sums of products, said in index notation: "bqd,bkd->bqk" is y_bqk = Σ_d a_bqd b_bkd.

Every contraction becomes what the other families can do already: a repeated index in one operand is a diagonal,
an index that occurs once and not in the result is a sum, and two operands meet in one (batched) matrix product.
So it needs no derivative of its own, and runs at the speed of matmul.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensor.checks import require_tensor, shape_text
from tensor.ops.arithmetic import mul
from tensor.ops.autocast import in_low_precision
from tensor.ops.diagonal import diagonal
from tensor.ops.matmul import matmul
from tensor.ops.reduce import sum
from tensor.ops.shape import permute, reshape, squeeze
from tensor.tensor import Tensor

__all__ = ["einsum"]
NOT_METHODS = __all__

Index = str | int  # a letter, or for a dim under the "..." its place counted from the end: -1, -2, …


def einsum(equation: str, *operands) -> Tensor:
    """The sum of products that `equation` names, as `torch.einsum`.

    Each operand's dims get a letter, operands are separated by commas: "ij,jk->ik". Letters that the result (after
    ->) lacks are summed over. A letter twice in one operand takes the diagonal. "..." stands for dims that
    broadcast. Without -> the result has the "..." and then, in alphabetical order, the letters that occur once.

    >>> einsum("i,i->", a, b)              # dot product
    >>> einsum("bhqd,bhkd->bhqk", q, k)    # attention scores
    >>> einsum("...ii->...", a)            # traces

    Operands are contracted from left to right. RuntimeError if the equation and the operands do not fit.
    """
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    tensors = in_low_precision(*[require_tensor("einsum", x) for x in operands])
    if len({x.dtype for x in tensors}) > 1:
        listed = ", ".join(str(x.dtype) for x in tensors)
        raise RuntimeError(f"einsum: the operands need one dtype, got {listed}: convert with .to()")
    terms, output = parse(equation, tensors)
    _check_lengths(equation, tensors, terms)
    pairs = [_diagonals(x, term) for x, term in zip(tensors, terms, strict=True)]
    y, indices = pairs[0]
    for i, (x, term) in enumerate(pairs[1:], start=1):
        later = {index for _, t in pairs[i + 1 :] for index in t}
        y, indices = _contract(y, indices, x, term, keep=later.union(output))
    y, indices = _sum_all_but(y, indices, output)
    return _ordered(y, indices, output)


def parse(equation: str, tensors: Sequence[Tensor]) -> tuple[list[list[Index]], list[Index]]:
    """The indices of each operand's dims, and of the result's."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(tensors):
        raise RuntimeError(f"einsum: {equation!r} names {len(texts)} operand(s), but {len(tensors)} were given")
    terms = [_indices(equation, text, x.ndim) for text, x in zip(texts, tensors, strict=True)]
    seen = [index for term in terms for index in term]
    dots: list[Index] = sorted({i for i in seen if isinstance(i, int)})
    if not arrow:
        return terms, [*dots, *sorted(i for i in set(seen) if isinstance(i, str) and seen.count(i) == 1)]
    letters = len(right.replace("...", ""))
    output = _indices(equation, right, letters + len(dots) if "..." in right else letters)
    for index in output:
        if output.count(index) > 1:
            raise RuntimeError(f"einsum: the result of {equation!r} names {index!r} twice")
        if index not in seen:
            raise RuntimeError(f"einsum: the result of {equation!r} names {index!r}, which no operand has")
    return terms, output


def _indices(equation: str, text: str, ndim: int) -> list[Index]:
    """One index for each of `ndim` dims; "..." stands for as many as the letters leave."""
    before, dots, after = text.partition("...")
    letters = before + after
    if not all(c.isascii() and c.isalpha() for c in letters):
        raise RuntimeError(f"einsum: {text!r} in {equation!r} may hold letters and one '...' only")
    rest = ndim - len(letters)
    if rest < 0 or (rest and not dots):
        raise RuntimeError(f"einsum: {text!r} in {equation!r} names {len(letters)} dim(s), the operand has {ndim}")
    return [*before, *range(-rest, 0), *after]


def _check_lengths(equation: str, tensors: Sequence[Tensor], terms: list[list[Index]]) -> None:
    lengths: dict[Index, int] = {}
    for x, term in zip(tensors, terms, strict=True):
        for index, n in zip(term, x.shape, strict=True):
            if n != 1 and lengths.setdefault(index, n) != n:
                name = repr(index) if isinstance(index, str) else f"dim {index} of '...'"
                shapes = " and ".join(shape_text(x.shape) for x in tensors)
                raise RuntimeError(
                    f"einsum: in {equation!r} with shapes {shapes}, {name} is both {lengths[index]} and {n} long"
                )


def _diagonals(x: Tensor, indices: list[Index]) -> tuple[Tensor, list[Index]]:
    """x with one dim for each index: an index that it has twice becomes a diagonal."""
    indices = list(indices)
    for index in dict.fromkeys(indices):
        while indices.count(index) > 1:
            first = indices.index(index)
            second = indices.index(index, first + 1)
            x = diagonal(x, 0, first, second)  # the diagonal becomes the last dim
            indices = [*indices[:first], *indices[first + 1 : second], *indices[second + 1 :], index]
    return x, indices


def _contract(a: Tensor, ia: list[Index], b: Tensor, ib: list[Index], keep: set[Index]):
    """Both operands as one, with the indices of either that are in `keep`."""
    for index in set(ia) & set(ib):  # a dim of length 1 broadcasts: the other operand's says it all
        na, nb = a.shape[ia.index(index)], b.shape[ib.index(index)]
        if na != nb and na == 1:
            a, ia = squeeze(a, ia.index(index)), [i for i in ia if i != index]
        elif na != nb:
            b, ib = squeeze(b, ib.index(index)), [i for i in ib if i != index]
    a, ia = _sum_all_but(a, ia, keep.union(ib), a.dtype)
    b, ib = _sum_all_but(b, ib, keep.union(ia), b.dtype)

    batch = [i for i in ia if i in ib and i in keep]
    inner = [i for i in ia if i in ib and i not in keep]
    rows = [i for i in ia if i not in ib]
    columns = [i for i in ib if i not in ia]
    lengths = dict(zip([*ia, *ib], [*a.shape, *b.shape], strict=True))

    def size(indices):
        return math.prod(lengths[i] for i in indices)

    stack = [lengths[i] for i in batch]
    a = reshape(_ordered(a, ia, batch + rows + inner), [*stack, size(rows), size(inner)])
    b = reshape(_ordered(b, ib, batch + inner + columns), [*stack, size(inner), size(columns)])
    # Without a sum, or with vectors for matrices, a product element by element is faster than many tiny matmuls.
    if not inner:
        y = mul(a, b)  # (..., rows, 1) · (..., 1, columns)
    elif batch and not rows and not columns:
        y = sum(mul(squeeze(a, -2), squeeze(b, -1)), -1)
    else:
        y = matmul(a, b)
    indices = batch + rows + columns
    return reshape(y, [lengths[i] for i in indices]), indices


def _sum_all_but(x: Tensor, indices: list[Index], keep, dtype=None) -> tuple[Tensor, list[Index]]:
    """x summed over the dims whose index is not in `keep`."""
    dims = [d for d, index in enumerate(indices) if index not in keep]
    if not dims:
        return x, indices
    return sum(x, dims, dtype=dtype), [index for index in indices if index in keep]


def _ordered(x: Tensor, indices: list[Index], order: list[Index]) -> Tensor:
    """x with its dims in `order`."""
    return x if indices == order else permute(x, [indices.index(i) for i in order])
