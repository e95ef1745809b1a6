"""Comparisons, logic and bits equal PyTorch's, as functions and as operators."""

import operator

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs

import tensor

INF, NAN = float("inf"), float("nan")
A = np.array([1.0, 2.0, 2.0, NAN, INF, -INF, 0.0])
B = np.array([2.0, 1.0, 2.0, NAN, INF, INF, -0.0])

COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
ALIASES = ["greater", "greater_equal", "less", "less_equal", "not_equal"]


@pytest.mark.parametrize("name", COMPARISONS + ALIASES)
def test_comparison(name):
    for form in (name, f"Tensor.{name}"):
        ours, theirs = ours_and_theirs(form)
        check(ours, theirs, [A, B])
        check(ours, theirs, [A, 2])
        check(ours, theirs, [numbers(3, 1), numbers(1, 4, seed=1)])
        check(ours, theirs, [np.arange(4), np.array(2.5)])
        check(ours, theirs, [np.zeros((0, 3)), np.zeros(3)])


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison_operator(name):
    function = getattr(operator, name)
    check(function, function, [A, B])
    check(lambda x: function(x, 2), lambda x: function(x, 2), [A])
    check(lambda x: function(2, x), lambda x: function(2, x), [A])


def test_comparison_with_what_is_no_number():
    x = tensor.tensor([1.0, 2.0])
    assert (x == None) is False  # noqa: E711
    assert (x != "one") is True
    with pytest.raises(TypeError, match="'<' not supported"):
        x < None  # noqa: B015


def test_comparison_with_an_array():
    x = tensor.tensor([1.0, 2.0])
    assert (x == np.array([1.0, 3.0])).tolist() == [True, False]
    assert (x < np.float32(2)).tolist() == [True, False]


@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logic(name, dtype):
    a, b = np.array([0, 0, 1, 2]).astype(dtype), np.array([0, 1, 0, 3]).astype(dtype)
    check(*ours_and_theirs(name), [a, b], gradients=False)
    check(*ours_and_theirs(name), [a, b.astype("int32")], gradients=False)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
def test_logical_not(dtype):
    check(tensor.logical_not, torch.logical_not, [np.array([0, 1, 2]).astype(dtype)], gradients=False)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bits(name, dtype):
    a, b = np.array([5, 0, 7, 1]).astype(dtype), np.array([3, 1, 0, 1]).astype(dtype)
    check(*ours_and_theirs(name), [a, b])
    check(*ours_and_theirs(name), [a, 3])


@pytest.mark.parametrize("x", [np.array([5, -1, 0]), np.array([5, 0], "uint8"), np.array([True, False])])
def test_bitwise_not(x):
    check(tensor.bitwise_not, torch.bitwise_not, [x])
    check(operator.invert, operator.invert, [x])


@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
def test_shifts(name):
    check(*ours_and_theirs(name), [np.array([5, -8, 1]), np.array([1, 2, 62])])
    check(*ours_and_theirs(name), [np.array([5, 8], "uint8"), 1])


WHERE = [
    (numbers(3, 4), numbers(3, 4, seed=1)),
    (numbers(4), numbers(3, 1, seed=1)),
    (numbers(3, 4), 0.0),
    (-INF, numbers(3, 4)),
    (1.5, 0),
    (1, 0),
    (True, False),
    (np.arange(4), 0.5),
    (np.arange(4, dtype="int32"), np.ones(4, "float32")),
    (np.float32(2).reshape(()), np.ones(4)),
]


@pytest.mark.parametrize(("a", "b"), WHERE)
def test_where(a, b):
    check(tensor.where, torch.where, [numbers(3, 4, seed=7) > 0, a, b])


def test_where_as_a_method_takes_the_condition_second():
    check(tensor.Tensor.where, torch.Tensor.where, [numbers(3, 4), numbers(3, 4, seed=7) > 0, numbers(4, seed=1)])


def test_where_hides_a_nan_of_the_other_branch_but_not_its_gradient():
    x = np.array([1.0, 0.0])
    check(lambda x: tensor.where(x > 0, x.log(), 0.0), lambda x: torch.where(x > 0, x.log(), 0.0), [x])


@pytest.mark.parametrize("x", [np.array([0, 3, 0, 1]), np.eye(3), np.array(5.0), np.zeros((0, 2))])
def test_where_with_the_condition_alone(x):
    check(tensor.where, torch.where, [x], gradients=False)


CLOSE = [
    (A, B, {}),
    (A, B, {"equal_nan": True}),
    (np.array([1.0, 1.0]), np.array([1.0 + 1e-6, 1.1]), {}),
    (np.array([1.0, 1.0]), np.array([1.0 + 1e-6, 1.1]), {"rtol": 0.0, "atol": 0.2}),
    (np.array([10, 11]), np.array([10, 12]), {"rtol": 0.1}),
    (np.array([True]), np.array([True]), {}),
]


@pytest.mark.parametrize(("a", "b", "kwargs"), CLOSE)
@pytest.mark.parametrize("name", ["isclose", "allclose"])
def test_closeness(name, a, b, kwargs):
    check(*ours_and_theirs(name), [a, b], kwargs, gradients=False)


@pytest.mark.parametrize(("a", "b"), [(A, A), (A[:3], A[:3]), (A[:3], B[:3]), (A[:3], A[:3][None]), (A[:0], B[:0])])
def test_equal(a, b):
    check(tensor.equal, torch.equal, [a, b], gradients=False)


IS_IN = [
    (np.array([[1, 2], [3, 4]]), np.array([2, 3])),
    (np.array([1.0, 2.5]), 2.5),
    (2, np.array([1, 2])),
    (np.arange(3), np.arange(0)),
]


@pytest.mark.parametrize(("elements", "among"), IS_IN)
@pytest.mark.parametrize("invert", [False, True])
def test_isin(elements, among, invert):
    check(tensor.isin, torch.isin, [elements, among], {"invert": invert}, gradients=False)


def test_contains_iteration_and_truth():
    x = tensor.tensor([[1, 2], [3, 4]])
    assert 3 in x
    assert tensor.tensor(5) not in x
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert [a + b for a, b in x] == [3, 7]


ERRORS = [
    (lambda x: tensor.where(x, 1, 0), "where: the condition must hold bools, got float32: compare, or use .bool()"),
    (
        lambda x: tensor.where(x > 0, x, tensor.zeros(2)),
        "where: shapes (3,) and (3,) and (2,) do not broadcast: at dim -1",
    ),
    (lambda x: x & 1, "bitwise_and: bits are those of integers and bools, got float32: use .long() or .bool()"),
    (lambda x: ~x, "bitwise_not: bits are those of integers and bools, got float32"),
    (lambda x: x.long() << 1.5, "bitwise_left_shift: bits are those of integers and bools, got a float"),
    (lambda x: tensor.isclose(x, x.double()), "isclose: both operands need one dtype, got float32 and float64"),
    (lambda x: x == tensor.zeros(2), "eq: shapes (3,) and (2,) do not broadcast"),
    (lambda x: iter(x[0]), "iteration over a 0-dim Tensor"),
    (lambda x: "one" in x, "in: a Tensor holds numbers, and 'one' is none"),
    (lambda x: bool(x > 0), "the truth of a Tensor with shape (3,) is ambiguous: use .any() or .all()"),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text[:40] for _, text in ERRORS])
def test_error_says_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises((RuntimeError, TypeError)) as error:
        call(tensor.tensor([1.0, 2.0, 3.0]))
    assert text in str(error.value)
