"""Triangles and diagonals against PyTorch."""

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs

import tensor

SHAPES = [(3, 3), (3, 5), (5, 3), (2, 4, 3), (0, 3)]
OFFSETS = [0, 1, -1, 2, -4, 7]


@pytest.mark.parametrize("k", OFFSETS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["tril", "triu"])
def test_triangle(name, shape, k):
    check(*ours_and_theirs(name), [numbers(*shape), k])
    check(*ours_and_theirs("Tensor." + name), [numbers(*shape)], {"diagonal": k})


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_triangle_keeps_the_dtype(dtype):
    check(*ours_and_theirs("tril"), [np.ones((3, 3), dtype)])


@pytest.mark.parametrize("k", [0, 1, -1, 2])
@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (5, 3)])
def test_diagonal(shape, k):
    check(*ours_and_theirs("diagonal"), [numbers(*shape), k])
    check(*ours_and_theirs("diag"), [numbers(*shape), k])


@pytest.mark.parametrize(("dim1", "dim2"), [(0, 1), (1, 2), (-1, 0), (2, 1)])
def test_diagonal_of_a_stack(dim1, dim2):
    check(*ours_and_theirs("diagonal"), [numbers(2, 3, 4), 1, dim1, dim2])
    check(*ours_and_theirs("Tensor.diagonal"), [numbers(4, 3, 2).T], {"offset": -1, "dim1": dim1, "dim2": dim2})


@pytest.mark.parametrize("k", [0, 1, -2])
def test_vector_to_matrix(k):
    check(*ours_and_theirs("diag"), [numbers(3), k])
    check(*ours_and_theirs("diag_embed"), [numbers(2, 3), k])
    check(*ours_and_theirs("diag_embed"), [numbers(2, 3)], {"offset": k, "dim1": 0, "dim2": -1})
    check(*ours_and_theirs("diagflat"), [numbers(2, 2), k])


@pytest.mark.parametrize("k", [0, 1, -1])
def test_diagonal_scatter(k):
    length = 3 if k >= 0 else 2
    check(*ours_and_theirs("diagonal_scatter"), [numbers(3, 4), numbers(length), k])


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (7, 3), (3, 3, 3)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape, wrap):
    def filled(x):
        return (x * 2).fill_diagonal_(5.0, wrap)

    check(filled, filled, [numbers(*shape)])


@pytest.mark.parametrize("name", ["tril_", "triu_"])
def test_in_place(name):
    def written(x):
        y = x * 2
        getattr(y, name)(1)
        return y * x

    check(written, written, [numbers(3, 4)])


def test_writing_to_the_diagonal_writes_to_x():
    for library in (tensor, torch):
        x = library.zeros(3, 3)
        x.diagonal().fill_(2.0)
        x.diagonal(1)[0] = 5.0
        assert x.tolist() == [[2, 5, 0], [0, 2, 0], [0, 0, 2]]


ERRORS = [
    (lambda x: x[0].tril(), RuntimeError, "tril: expected a Tensor with at least 2 dims, got shape (3,)"),
    (lambda x: x.diagonal(0, 1, -1), RuntimeError, "diagonal: a matrix has two different dims, got 1 and -1"),
    (lambda x: x[None].diag(), RuntimeError, "diag: expected 1 or 2 dims, got shape (1, 2, 3): see diagonal()"),
    (
        lambda x: x.diagonal_scatter(tensor.ones(3)),
        RuntimeError,
        "diagonal_scatter: src has shape (3,), the diagonal (2,)",
    ),
    (
        lambda x: x[None].fill_diagonal_(0),
        RuntimeError,
        "fill_diagonal_: all dims must be of one length, got shape (1, 2, 3)",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text[:40] for _, _, text in ERRORS])
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
    assert str(raised.value) == text
