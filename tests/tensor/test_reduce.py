"""Reductions against PyTorch: values, dtypes and gradients, at edges and ties too; and what their errors say."""

import math

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs, wait

import tensor

MATRIX = numbers(3, 4)
TIES = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [-1.0, 0.0, 5.0, 5.0]])
ZEROS = np.array([[1.0, 2.0, 3.0], [0.0, 2.0, 3.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
NANS = np.array([[1.0, math.nan, 3.0], [math.nan, math.nan, math.nan], [4.0, 5.0, 6.0]])
BIG = np.array([[1000.0, 1001.0], [-1000.0, -1001.0], [-math.inf, 0.0]])
CUBE = numbers(2, 3, 4).transpose(2, 0, 1)  # not contiguous
INPUTS = {"scalar": numbers(), "vector": numbers(5), "matrix": MATRIX, "transposed": CUBE, "ties": TIES, "nan": NANS}

# name -> keyword arguments to try on each of INPUTS whose number of dims allows them
OVER_DIMS = [{}, {"dim": 0}, {"dim": -1}, {"dim": -1, "keepdim": True}, {"dim": (0, -1)}, {"dim": (), "keepdim": True}]
OVER_ONE = [{}, {"dim": 0}, {"dim": -1}, {"dim": -1, "keepdim": True}]
REDUCTIONS = {
    "sum": [*OVER_DIMS, {"dtype": "float32"}],
    "nansum": OVER_DIMS,
    "mean": [*OVER_DIMS, {"dtype": "float32"}],
    "nanmean": OVER_DIMS,
    "prod": OVER_ONE,
    "amax": OVER_DIMS,
    "amin": OVER_DIMS,
    "max": OVER_ONE,
    "min": OVER_ONE,
    "argmax": OVER_ONE,
    "argmin": OVER_ONE,
    "any": OVER_ONE,
    "all": OVER_ONE,
    "count_nonzero": [{}, {"dim": 0}, {"dim": (0, -1)}],
    "aminmax": OVER_ONE,
    "median": OVER_ONE,
    "nanmedian": OVER_ONE,
    "logsumexp": OVER_DIMS[1:5],
    "softmax": [{"dim": 0}, {"dim": -1}, {"dim": 0, "dtype": "float32"}],
    "log_softmax": [{"dim": 0}, {"dim": -1}, {"dim": 0, "dtype": "float32"}],
    "var": [{}, {"dim": 0}, {"dim": -1, "correction": 0, "keepdim": True}, {"dim": (0, -1)}, {"unbiased": False}],
    "std": [{}, {"dim": 0}, {"dim": -1, "correction": 2, "keepdim": True}, {"dim": (0, -1)}, {"unbiased": False}],
    "var_mean": [{"dim": 0}, {"dim": (0, -1), "correction": 0}],
    "std_mean": [{"dim": 0}, {"dim": (0, -1), "correction": 0}],
    "norm": [
        {},
        {"p": 1},
        {"p": 2, "dim": 0},
        {"p": 3, "dim": -1, "keepdim": True},
        {"p": 0.5, "dim": 0},
        {"p": math.inf, "dim": 0},
        {"p": -math.inf},
    ],
}


# (name, with dim?) where the gradient of a result that is NaN is not PyTorch's: NaN there and 0 here, or the reverse.
NAN_GRADIENTS = {("max", False), ("min", False), ("median", False), ("norm", False), ("norm", True), ("nanmean", True)}


def with_dtype(function, module):
    """`function` with `dtype` given by name, which is spelled differently in both libraries."""

    def call(*inputs, **kwargs):
        if "dtype" in kwargs:
            kwargs["dtype"] = getattr(module, kwargs["dtype"])
        return function(*inputs, **kwargs)

    return call


def fits(x: np.ndarray, kwargs: dict) -> bool:
    """Does x have the dims that kwargs name, each once?"""
    dims = kwargs.get("dim", 0)
    return not isinstance(dims, tuple) or (x.ndim >= len(dims) and (len(dims) < 2 or x.ndim > 1))


CASES = [
    pytest.param(name, x, kwargs, id=f"{name}-{label}-{kwargs}")
    for name, options in REDUCTIONS.items()
    for kwargs in options
    for label, x in INPUTS.items()
    if fits(x, kwargs) and not (label == "nan" and (name, "dim" in kwargs) in NAN_GRADIENTS)
]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")  # torch warns of the NaN that both return
@pytest.mark.parametrize(("name", "x", "kwargs"), CASES)
def test_reduction(name, x, kwargs):
    ours, theirs = ours_and_theirs(name)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if "dtype" in kwargs else {}
    check(with_dtype(ours, tensor), with_dtype(theirs, torch), [x], kwargs, **tolerance)
    if name not in ("var_mean", "std_mean"):
        ours, theirs = ours_and_theirs("Tensor." + name)
        check(with_dtype(ours, tensor), with_dtype(theirs, torch), [x], kwargs, **tolerance)


EDGES = [
    ("prod", ZEROS, {}),
    ("prod", ZEROS, {"dim": 1}),
    ("prod", ZEROS[:1], {"dim": 0, "keepdim": True}),
    ("std", np.ones((2, 3)), {"dim": 1}),  # where the result is 0 the gradient is 0
    ("var", np.ones((2, 1)), {"dim": 1}),  # no degrees of freedom left
    ("norm", np.zeros((2, 3)), {"dim": 1}),
    ("norm", ZEROS, {"p": 1.5, "dim": 1}),
    ("norm", ZEROS, {"p": 2.5, "dim": 1}),
    ("norm", TIES, {"p": math.inf, "dim": 1}),
    ("norm", ZEROS, {"p": -math.inf, "dim": 1}),
    ("norm", MATRIX, {"p": "fro", "dim": (0, 1)}),
    ("logsumexp", BIG, {"dim": 1}),
    ("logsumexp", np.full((2, 2), -math.inf), {"dim": 1}),
    ("softmax", BIG, {"dim": 1}),
    ("log_softmax", BIG[:2], {"dim": 1}),
]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize(("name", "x", "kwargs"), EDGES, ids=lambda v: "" if isinstance(v, np.ndarray) else str(v))
def test_reduction_at_the_edge(name, x, kwargs):
    check(*ours_and_theirs(name), [x], kwargs)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("name", ["sum", "nansum", "mean", "nanmean", "prod", "var", "std", "norm", "logsumexp"])
@pytest.mark.parametrize("dim", [0, 1])
def test_reduction_of_nothing(name, dim):
    check(*ours_and_theirs(name), [numbers(0, 3)], {"dim": dim})
    if name != "logsumexp":  # which needs a dim
        check(*ours_and_theirs(name), [numbers(0, 3)])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32"])
@pytest.mark.parametrize("name", ["sum", "prod", "any", "all", "amax", "amin", "count_nonzero", "logsumexp"])
def test_result_dtype(name, dtype):
    x = np.array([[0, 1, 1], [1, 1, 0]]).astype(dtype)
    check(*ours_and_theirs(name), [x], {"dim": 1} if name == "logsumexp" else {})


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32"])
@pytest.mark.parametrize("name", ["argmax", "argmin", "median", "max", "min"])
def test_result_dtype_of_picked_elements(name, dtype):
    x = np.array([[0, 3, 1], [5, 1, 0]]).astype(dtype)
    check(*ours_and_theirs(name), [x])
    check(*ours_and_theirs(name), [x, 1])


def test_norm_0_counts():
    x = tensor.tensor([[0.0, 2.0, -1.0], [0.0, 0.0, 5.0]], requires_grad=True)
    y = x.norm(0, dim=1)
    assert y.tolist() == [2, 1]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_dist():
    check(*ours_and_theirs("dist"), [numbers(3, 4), numbers(4, seed=1)])
    check(*ours_and_theirs("dist"), [numbers(3, 4), numbers(4, seed=1), 1])


def test_max_and_min_of_two_tensors():
    for name in ("max", "min"):
        check(*ours_and_theirs(name), [TIES, TIES[:, ::-1].copy()])
        check(*ours_and_theirs(name), [MATRIX], {"other": numbers(4, seed=1)})


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "amax", "max", "median", "any", "logsumexp"])
def test_numpy_names_of_arguments(name):
    check(*ours_and_theirs(name), [MATRIX], {"axis": 1, "keepdims": True})


def test_max_is_a_named_tuple():
    found = tensor.tensor([[1.0, 5.0], [7.0, 2.0]]).max(dim=1)
    assert found.values.tolist() == [5.0, 7.0]
    assert found.indices.tolist() == [1, 0]
    values, indices = found
    assert values is found.values and indices is found.indices


ERRORS = [
    (lambda x: x.sum(2), IndexError, "sum: dim 2 is out of range for 2 dimension(s): use -2 to 1"),
    (lambda x: x.sum((0, -2)), RuntimeError, "sum: a dim appears twice in (0, 0)"),
    (lambda x: x.long().mean(), RuntimeError, "mean: expected a floating-point Tensor, got int64: call .float() first"),
    (lambda x: x.var(0, True, correction=1), TypeError, "var: give unbiased or correction, not both"),
    (lambda x: x.norm("nuc"), RuntimeError, "norm: p is a number or 'fro', got 'nuc'"),
    (
        lambda x: x[:0].max(),
        RuntimeError,
        "max: the Tensor of shape (0, 3) has no elements: give a dim",
    ),
    (
        lambda x: x[:0].amax(0),
        IndexError,
        "amax: a Tensor of shape (0, 3) has no elements to pick from: reduce over a dim of non-zero length",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
        wait()
    assert str(raised.value) == text
