"""einsum equals PyTorch's for every kind of contraction."""

import numpy as np
import pytest
import torch
from compare import check, numbers

import tensor

CASES = [
    ("i->", [(3,)]),
    ("ij->", [(2, 3)]),
    ("ij->i", [(2, 3)]),
    ("ij->j", [(2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ji", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("iji->j", [(3, 2, 3)]),
    ("iii->i", [(3, 3, 3)]),
    ("iijj->ij", [(2, 2, 3, 3)]),
    ("...ii->...i", [(2, 4, 3, 3)]),
    ("...->...", [(2, 3)]),
    ("i...->...", [(3, 2)]),
    ("i,i->", [(3,), (3,)]),
    ("i,j->ij", [(3,), (4,)]),
    ("i,i->i", [(3,), (3,)]),
    ("ij,ij->", [(2, 3), (2, 3)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]),
    ("ij,ij->i", [(2, 3), (2, 3)]),
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk->ki", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij,kj->ik", [(2, 3), (4, 3)]),
    ("ij,j->i", [(2, 3), (3,)]),
    ("ij,kl->", [(2, 3), (4, 5)]),
    ("ij,k->ijk", [(2, 3), (4,)]),
    ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
    ("bij,bkj->bik", [(5, 2, 3), (5, 4, 3)]),
    ("bij,bj->bi", [(5, 2, 3), (5, 3)]),
    ("bqhd,bkhd->bhqk", [(2, 3, 4, 5), (2, 6, 4, 5)]),
    ("bhqk,bkhd->bqhd", [(2, 4, 3, 6), (2, 6, 4, 5)]),
    ("bhwij,bhkj->bwki", [(2, 3, 4, 5, 6), (2, 3, 2, 6)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]),
    ("...ij,...jk->...ik", [(6, 1, 2, 3), (5, 3, 4)]),
    ("...ij,jk->...ik", [(6, 5, 2, 3), (3, 4)]),
    ("b...d,kd->b...k", [(2, 3, 4, 5), (6, 5)]),
    ("...i,...i->...", [(2, 3, 4), (4,)]),
    ("...ik,...j->ij", [(5, 2, 3), (4,)]),
    ("i...,...j", [(2, 3), (3, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("bi,ijk,bk->bj", [(2, 3), (3, 4, 5), (2, 5)]),
    ("i,j,k->kji", [(2,), (3,), (4,)]),
    ("a,a,a->", [(3,), (3,), (3,)]),
    ("aB,Bc->ac", [(2, 3), (3, 4)]),
    (" i j , j k -> i k ", [(2, 3), (3, 4)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]),
    ("ij,ij->ij", [(2, 1), (2, 3)]),
    ("ij,jk->ik", [(2, 0), (0, 4)]),
    ("ij,jk->ik", [(0, 3), (3, 4)]),
    (",->", [(), ()]),
    (",ij->ij", [(), (2, 3)]),
]


@pytest.mark.parametrize(("equation", "shapes"), CASES)
def test_einsum(equation, shapes):
    inputs = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    check(lambda *xs: tensor.einsum(equation, *xs), lambda *xs: torch.einsum(equation, *xs), inputs)


def test_operands_may_come_as_a_list():
    a, b = tensor.ones(2, 3), tensor.ones(3)
    assert tensor.einsum("ij,j->i", [a, b]).tolist() == [3.0, 3.0]


def test_integers_stay_integers():
    a, b = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    check(lambda a, b: tensor.einsum("ij,jk->ik", a, b), lambda a, b: torch.einsum("ij,jk->ik", a, b), [a, b])


def test_one_tensor_in_both_places():
    check(lambda x: tensor.einsum("ij,ij->", x, x), lambda x: torch.einsum("ij,ij->", x, x), [numbers(2, 3)])


ERRORS = [
    ("ij,jk->ik", [(2, 3)], "einsum: 'ij,jk->ik' names 2 operand(s), but 1 were given"),
    ("ij->i", [(2, 3, 4)], "einsum: 'ij' in 'ij->i' names 2 dim(s), the operand has 3"),
    ("ij->i", [(2,)], "einsum: 'ij' in 'ij->i' names 2 dim(s), the operand has 1"),
    ("ij,jk->ik", [(2, 3), (4, 5)], "einsum: in 'ij,jk->ik' with shapes (2, 3) and (4, 5), 'j' is both 3 and 4 long"),
    ("ii->i", [(2, 3)], "einsum: in 'ii->i' with shapes (2, 3), 'i' is both 2 and 3 long"),
    ("...,...->...", [(2,), (3,)], "dim -1 of '...' is both 2 and 3 long"),
    ("ij->ik", [(2, 3)], "einsum: the result of 'ij->ik' names 'k', which no operand has"),
    ("ij->ii", [(2, 3)], "einsum: the result of 'ij->ii' names 'i' twice"),
    ("i1->i", [(2, 3)], "einsum: 'i1' in 'i1->i' may hold letters and one '...' only"),
]


@pytest.mark.parametrize(("equation", "shapes", "text"), ERRORS)
def test_error_says_what_does_not_fit(equation, shapes, text):
    with pytest.raises(RuntimeError) as error:
        tensor.einsum(equation, *[tensor.zeros(shape) for shape in shapes])
    assert text in str(error.value)


def test_operands_of_different_dtypes():
    with pytest.raises(RuntimeError, match="einsum: the operands need one dtype, got float32, float64: convert"):
        tensor.einsum("i,i->", tensor.zeros(2), tensor.zeros(2).double())
