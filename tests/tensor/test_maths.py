"""Element-wise functions of one Tensor equal PyTorch's: values, dtypes and gradients, on the domain and at its ends."""

import math

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs

import tensor

INF, NAN = float("inf"), float("nan")

# name -> the interval its arguments are drawn from
DOMAINS = {
    "abs": (-2, 2),
    "absolute": (-2, 2),
    "acos": (-1, 1),
    "acosh": (1, 3),
    "arccos": (-1, 1),
    "arccosh": (1, 3),
    "arcsin": (-1, 1),
    "arcsinh": (-3, 3),
    "arctan": (-3, 3),
    "arctanh": (-1, 1),
    "asin": (-1, 1),
    "asinh": (-3, 3),
    "atan": (-3, 3),
    "atanh": (-1, 1),
    "ceil": (-3, 3),
    "cos": (-5, 5),
    "cosh": (-3, 3),
    "deg2rad": (-360, 360),
    "erf": (-4, 4),
    "erfc": (-4, 6),
    "erfinv": (-1, 1),
    "exp": (-3, 3),
    "exp2": (-3, 3),
    "expm1": (-3, 3),
    "fix": (-3, 3),
    "floor": (-3, 3),
    "frac": (-3, 3),
    "log": (0, 5),
    "log10": (0, 5),
    "log1p": (-1, 5),
    "log2": (0, 5),
    "logit": (0, 1),
    "nan_to_num": (-2, 2),
    "neg": (-2, 2),
    "negative": (-2, 2),
    "positive": (-2, 2),
    "rad2deg": (-7, 7),
    "reciprocal": (-2, 2),
    "relu": (-2, 2),
    "round": (-3, 3),
    "rsqrt": (0, 4),
    "sgn": (-2, 2),
    "sigmoid": (-6, 6),
    "sign": (-2, 2),
    "sin": (-5, 5),
    "sinc": (-3, 3),
    "sinh": (-3, 3),
    "sqrt": (0, 4),
    "square": (-2, 2),
    "tan": (-1.5, 1.5),
    "tanh": (-3, 3),
    "trunc": (-3, 3),
}
NOT_FOR_INTEGERS = {"frac"}
NOT_FOR_BOOLS = {
    "abs",
    "absolute",
    "ceil",
    "fix",
    "floor",
    "frac",
    "neg",
    "negative",
    "positive",
    "relu",
    "round",
    "trunc",
}


@pytest.mark.parametrize("shape", [(3, 4), (), (0, 2), (2, 1, 2, 1, 2)], ids=str)
@pytest.mark.parametrize("name", DOMAINS)
def test_function(name, shape):
    low, high = DOMAINS[name]
    check(*ours_and_theirs(name), [numbers(*shape, low=low, high=high)])


@pytest.mark.parametrize("name", DOMAINS)
def test_method_and_in_place_form(name):
    low, high = DOMAINS[name]
    check(*ours_and_theirs(f"Tensor.{name}"), [numbers(4, 3, low=low, high=high).T])
    if name != "positive":

        def in_place(x):
            y = x * 1
            assert getattr(y, name + "_")() is y
            return y

        check(in_place, getattr(torch, name), [numbers(3, 4, low=low, high=high)])


@pytest.mark.parametrize("name", [n for n in DOMAINS if n not in ("tan", "sin", "cos")])
def test_ends_of_the_domain(name):
    """Zero of both signs, ±1, infinities, NaN: what torch answers, and the gradient it gives there."""
    check(*ours_and_theirs(name), [np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 2.5, INF, -INF, NAN])])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32"])
@pytest.mark.parametrize("name", DOMAINS)
def test_dtype_of_the_result(name, dtype):
    if (dtype == "bool" and name in NOT_FOR_BOOLS) or (np.dtype(dtype).kind in "biu" and name in NOT_FOR_INTEGERS):
        with pytest.raises(RuntimeError, match=r"bool|floating"):
            getattr(tensor, name)(tensor.ones(2, dtype=dtype))
        return
    x = np.full(2, 0.5 if dtype == "float16" else 1, dtype)
    check(*ours_and_theirs(name), [x], gradients=False, rtol=2e-3 if dtype == "float16" else 1e-6)


ARGUMENTS = [
    ("round", [numbers(5, low=-300, high=300)], {"decimals": 1}),
    ("round", [numbers(5, low=-300, high=300)], {"decimals": -2}),
    ("round", [np.array([0.5, 1.5, 2.5, -0.5])], {}),
    ("logit", [np.array([-0.5, 0.0, 0.05, 0.3, 0.99, 1.0, 1.5])], {"eps": 0.1}),
    ("logit", [np.array([-0.5, 0.0, 0.3, 1.0, 1.5])], {}),
    ("nan_to_num", [np.array([NAN, INF, -INF, 1.0])], {}),
    ("nan_to_num", [np.array([NAN, INF, -INF, 1.0])], {"nan": 3.0, "posinf": 5.0, "neginf": -7.0}),
    ("nan_to_num", [np.array([NAN, INF, -INF, 1.0], "float32")], {}),
    ("heaviside", [np.array([-1, 0, 2]), np.array([5, 6, 7])], {}),
]


@pytest.mark.parametrize(("name", "inputs", "kwargs"), ARGUMENTS)
def test_keyword_arguments(name, inputs, kwargs):
    check(*ours_and_theirs(name), inputs, kwargs)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit"])
def test_question_to_every_element(name, dtype):
    x = np.array([0, -0.0, 1, -1, INF, -INF, NAN]) if dtype.startswith("float") else np.array([0, 1, -1])
    check(*ours_and_theirs(name), [x.astype(dtype)], gradients=False)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float64", 1e-15), ("float32", 5e-7), ("float16", 1e-3)],
    ids=["float64", "float32", "float16"],
)
@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_error_function_has_all_the_digits_of_its_dtype(name, dtype, tolerance):
    """Relative to the exact value, from the tiny to the far tail, where erfc is as small as 1e−30."""
    x = np.concatenate([np.linspace(-8, 8, 4001), np.logspace(-30, 0, 200)]).astype(dtype)
    exact = np.array([getattr(math, name)(float(v)) for v in x])
    exact[np.abs(exact) < np.finfo(dtype).tiny] = 0
    result = getattr(tensor, name)(tensor.from_numpy(x)).array
    assert result.dtype == dtype
    np.testing.assert_allclose(result, exact, rtol=tolerance, atol=float(np.finfo(dtype).tiny))


def test_erfinv_in_the_tails():
    y = np.concatenate([1 - np.logspace(-15, -1, 60), np.logspace(-12, -1, 60), [0.5, 0.0, 1.0, -1.0, 1.5]])
    check(tensor.erfinv, torch.erfinv, [np.concatenate([y, -y])], rtol=1e-14, gradients=False)


def test_sigmoid_and_softplus_like_functions_do_not_overflow():
    x = tensor.tensor([-1000.0, 1000.0])
    assert tensor.sigmoid(x).tolist() == [0.0, 1.0]
    assert tensor.tanh(x).tolist() == [-1.0, 1.0]
    assert tensor.logaddexp(x, x * 0).tolist() == [0.0, 1000.0]


ERRORS = [
    (lambda x: tensor.round(x.long(), decimals=1), "round: decimals needs a floating-point Tensor, got int64"),
    (lambda x: tensor.frac(x.long()), "frac: expected a floating-point Tensor, got int64: call .float() first"),
    (lambda x: tensor.heaviside(x, x.double()), "heaviside: both operands need one dtype, got float32 and float64"),
    (lambda x: tensor.heaviside(x.requires_grad_(), x), "Heaviside has no gradient rule"),
    (lambda x: tensor.floor(x.bool()), "floor: not defined for bool Tensors: convert with .long()"),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text[:40] for _, text in ERRORS])
def test_error_says_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises(RuntimeError) as error:
        call(tensor.tensor([1.0, 2.0, 3.0]))
    assert text in str(error.value)
