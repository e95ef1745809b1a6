"""Products of vectors, matrices and stacks equal PyTorch's; errors name both shapes and the dims that disagree."""

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs

import tensor

MATMUL_SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 6, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((5, 0, 3), (3, 4)),
    ((0, 2, 3), (0, 3, 4)),
    ((0,), (0,)),
]


@pytest.mark.parametrize(("a", "b"), MATMUL_SHAPES)
def test_matmul(a, b):
    check(tensor.matmul, torch.matmul, [numbers(*a), numbers(*b, seed=1)])
    check(lambda x, y: x @ y, lambda x, y: x @ y, [numbers(*a), numbers(*b, seed=1)])


def test_matmul_of_operands_that_are_not_contiguous():
    a, b = numbers(4, 3, 5).transpose(2, 0, 1), numbers(7, 6, seed=1).T[::2]
    check(tensor.matmul, torch.matmul, [a, b])


def test_matmul_when_one_operand_alone_wants_a_gradient():
    a, b = numbers(5, 2, 3), numbers(3, 4, seed=1)
    check(lambda x, y: x @ y.detach(), lambda x, y: x @ y.detach(), [a, b])
    check(lambda x, y: x.detach() @ y, lambda x, y: x.detach() @ y, [a, b])


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "uint8"])
def test_matmul_dtypes(dtype):
    check(
        tensor.matmul,
        torch.matmul,
        [np.arange(6).reshape(2, 3).astype(dtype), np.arange(12).reshape(3, 4).astype(dtype)],
    )


PRODUCTS = [
    ("mm", [(2, 3), (3, 4)]),
    ("bmm", [(5, 2, 3), (5, 3, 4)]),
    ("mv", [(2, 3), (3,)]),
    ("dot", [(3,), (3,)]),
    ("vdot", [(3,), (3,)]),
    ("outer", [(2,), (3,)]),
    ("ger", [(2,), (3,)]),
    ("inner", [(3,), (3,)]),
    ("inner", [(2, 3), (4, 3)]),
    ("inner", [(), (4, 3)]),
    ("kron", [(2, 3), (4, 5)]),
    ("kron", [(3,), (2, 4)]),
    ("kron", [(), (2, 4)]),
    ("trace", [(3, 4)]),
    ("trace", [(0, 4)]),
]


@pytest.mark.parametrize(("name", "shapes"), PRODUCTS)
def test_product(name, shapes):
    inputs = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    check(*ours_and_theirs(name), inputs)
    check(*ours_and_theirs(f"Tensor.{name}"), inputs)


@pytest.mark.parametrize(("a", "b", "dim"), [((4, 3), (4, 3), 1), ((3, 4), (3, 1), 0), ((2, 3, 3), (1, 3, 3), -1)])
def test_cross(a, b, dim):
    check(tensor.cross, torch.cross, [numbers(*a), numbers(*b, seed=1)], {"dim": dim})


def test_cross_takes_the_first_dim_of_length_3_by_default():
    a, b = tensor.from_numpy(numbers(2, 3, 3)), tensor.from_numpy(numbers(2, 3, 3, seed=1))
    assert tensor.equal(tensor.cross(a, b), tensor.cross(a, b, dim=1))


PLUS = [
    ("addmm", [(2, 4), (2, 3), (3, 4)]),
    ("addmm", [(4,), (2, 3), (3, 4)]),
    ("addmm", [(), (2, 3), (3, 4)]),
    ("addmv", [(2,), (2, 3), (3,)]),
    ("addr", [(2, 3), (2,), (3,)]),
    ("baddbmm", [(5, 2, 4), (5, 2, 3), (5, 3, 4)]),
    ("baddbmm", [(1, 4), (5, 2, 3), (5, 3, 4)]),
    ("addbmm", [(2, 4), (5, 2, 3), (5, 3, 4)]),
]


@pytest.mark.parametrize("kwargs", [{}, {"beta": 0.5, "alpha": 2}, {"beta": 0}], ids=str)
@pytest.mark.parametrize(("name", "shapes"), PLUS)
def test_product_plus_input(name, shapes, kwargs):
    check(*ours_and_theirs(name), [numbers(*shape, seed=i) for i, shape in enumerate(shapes)], kwargs)


def test_addmm_with_beta_0_does_not_look_at_its_input():
    check(tensor.addmm, torch.addmm, [np.full((2, 4), np.nan), numbers(2, 3), numbers(3, 4)], {"beta": 0})


TENSORDOT = [
    ((2, 3, 4), (3, 4, 5), 2),
    ((2, 3), (4, 5), 0),
    ((2, 3, 4), (4, 2, 5), ([2, 0], [0, 1])),
    ((2, 3, 4), (4, 2, 5), ([-1], [0])),
    ((2, 1, 4), (3, 5), ([1], [0])),
]


@pytest.mark.parametrize(("a", "b", "dims"), TENSORDOT)
def test_tensordot(a, b, dims):
    check(tensor.tensordot, torch.tensordot, [numbers(*a), numbers(*b, seed=1)], {"dims": dims})


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_cdist(p):
    check(tensor.cdist, torch.cdist, [numbers(2, 5, 3), numbers(4, 3, seed=1), p])


ERRORS = [
    ("matmul", [(2, 3), (4, 5)], "matmul: shapes (2, 3) and (4, 5) do not fit: the last dim of the first (3) must"),
    ("matmul", [(2, 3), (4, 5)], "must equal the second-last dim of the second (4)"),
    ("matmul", [(2, 3), (4,)], "(3) must equal the only dim of the second (4)"),
    ("matmul", [(), (3,)], "matmul: both operands need at least 1 dim, got () and (3,); use * for a scalar"),
    ("matmul", [(2, 5, 3), (4, 3, 5)], "matmul (batch dims): shapes (2,) and (4,) do not broadcast: at dim -1"),
    ("mm", [(2, 3), (3,)], "mm: expected 2-dim and 2-dim Tensors, got shapes (2, 3) and (3,); matmul takes any"),
    ("mm", [(2, 3), (4, 5)], "mm: shapes (2, 3) and (4, 5) do not fit"),
    ("bmm", [(2, 3, 4), (3, 4, 5)], "bmm: shapes (2, 3, 4) and (3, 4, 5) do not fit: the first dim (2 and 3)"),
    ("mv", [(2, 3), (4,)], "mv: shapes (2, 3) and (4,) do not fit"),
    ("dot", [(2,), (3,)], "dot: shapes (2,) and (3,) do not fit: the last dim of the first (2) must equal"),
    ("dot", [(2, 2), (2,)], "dot: expected 1-dim and 1-dim Tensors, got shapes (2, 2) and (2,)"),
    ("outer", [(2, 2), (2,)], "outer: expected 1-dim and 1-dim Tensors"),
    ("inner", [(2, 3), (2, 4)], "inner: shapes (2, 3) and (2, 4) do not fit: dims (1,) of the first have lengths (3,)"),
    ("tensordot", [(2, 3), (4, 5)], "tensordot: shapes (2, 3) and (4, 5) do not fit"),
    ("addmm", [(3, 4), (2, 3), (3, 4)], "addmm: shapes (3, 4) and (2, 4) do not broadcast"),
    ("trace", [(2, 3, 4)], "trace: expected 2-dim Tensors, got shapes (2, 3, 4)"),
    ("cross", [(4, 3), (4, 2)], "cross: shapes (4, 3) and (4, 2) do not broadcast"),
    ("cross", [(4, 2), (4, 2)], "cross: the vectors need 3 components"),
]


@pytest.mark.parametrize(("name", "shapes", "text"), ERRORS)
def test_shape_error_names_the_shapes_and_the_dims_that_disagree(name, shapes, text):
    with pytest.raises(RuntimeError) as error:
        getattr(tensor, name)(*[tensor.zeros(shape) for shape in shapes])
    assert text in str(error.value)


def test_other_errors():
    x = tensor.zeros(2, 2)
    with pytest.raises(RuntimeError, match=r"matmul: both operands need one dtype, got float32 and float64"):
        x @ x.double()
    with pytest.raises(TypeError, match="mm: expected a Tensor, got ndarray"):
        tensor.mm(x, np.zeros((2, 2)))
    with pytest.raises(TypeError, match="unsupported operand"):
        x @ [1, 2]
