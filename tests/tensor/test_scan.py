"""Running sums, products and extremes against PyTorch, with zeros, ties, NaNs and overflow on the way."""

import math

import numpy as np
import pytest
from compare import check, numbers, ours_and_theirs

import tensor

INPUTS = {
    "scalar": numbers(),
    "vector": numbers(6),
    "one": numbers(1),
    "empty": numbers(0, 3),
    "matrix": numbers(4, 5),
    "transposed": numbers(2, 3, 4).transpose(2, 0, 1),
    "zeros": np.array([[1.0, 2.0, 3.0], [0.0, 2.0, 3.0], [4.0, 0.0, 0.0], [2.0, 0.0, 5.0]]),
    "ties": np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, -1.0, -1.0, 5.0]]),
}


@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("label", INPUTS)
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
def test_scan(name, label, dim):
    if label == "empty" and name in ("cummax", "cummin") and dim == 0:
        dim = 1  # torch refuses to pick from nothing
    check(*ours_and_theirs(name), [INPUTS[label], dim])
    check(*ours_and_theirs("Tensor." + name), [INPUTS[label]], {"dim": dim})


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_nan_stays(name):
    check(*ours_and_theirs(name), [np.array([1.0, math.nan, 5.0, math.nan, -7.0, 2.0]), 0])


def test_logcumsumexp_does_not_overflow():
    x = np.array([[1000.0, 1001.0, 999.0], [-1000.0, -999.0, 1000.0], [-math.inf, 0.0, 1.0]])
    check(*ours_and_theirs("logcumsumexp"), [x, 1])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_result_dtype(name, dtype):
    check(*ours_and_theirs(name), [np.array([[1, 1, 0], [1, 0, 1]]).astype(dtype), 1])


DIFFS = [
    ([numbers(6)], {}),
    ([numbers(4, 5)], {"dim": 0}),
    ([numbers(4, 5)], {"n": 2}),
    ([numbers(4, 5)], {"n": 0}),
    ([numbers(3)], {"n": 7}),
    ([numbers(4, 5)], {"prepend": numbers(4, 1, seed=1), "append": numbers(4, 2, seed=2)}),
    ([np.array([True, False, False])], {}),
    ([np.array([3, 1, 4])], {}),
]


@pytest.mark.parametrize(("inputs", "kwargs"), DIFFS, ids=[f"{x[0].shape}-{list(k)}" for x, k in DIFFS])
def test_diff(inputs, kwargs):
    check(*ours_and_theirs("diff"), inputs, kwargs)


def test_in_place():
    x = tensor.tensor([1.0, 2.0, 3.0])
    assert x.cumsum_(0) is x
    assert x.tolist() == [1.0, 3.0, 6.0]
    assert x.cumprod_(0).tolist() == [1.0, 3.0, 18.0]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: x.cumsum(2), IndexError, "cumsum: dim 2 is out of range for 2 dimension(s): use -2 to 1"),
        (lambda x: x.diff(n=-1), RuntimeError, "diff: n must be ≥ 0, got -1"),
        (lambda x: x[0, 0].diff(), RuntimeError, "diff: expected a Tensor with at least 1 dim, this one has none"),
    ],
)
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
    assert str(raised.value) == text
