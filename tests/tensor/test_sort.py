"""Order: sort, topk, kthvalue, quantile, searchsorted, unique, bincount against PyTorch."""

import math

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs, wait

import tensor

INPUTS = {
    "scalar": numbers(),
    "vector": numbers(7),
    "empty": numbers(3, 0),
    "matrix": numbers(4, 5),
    "transposed": numbers(2, 3, 4).transpose(2, 0, 1),
    "nan": np.array([[1.0, math.nan, -math.inf, 0.5], [math.nan, 3.0, 2.0, math.inf]]),
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("label", INPUTS)
def test_sort_and_argsort(label, dim, descending):
    for name in ("sort", "argsort", "Tensor.sort", "Tensor.argsort"):
        check(*ours_and_theirs(name), [INPUTS[label], dim, descending])


@pytest.mark.parametrize("descending", [False, True])
def test_equal_elements_keep_their_order(descending):
    x = np.array([[2, 1, 2, 1, 1], [0, 0, 3, 3, 0]])
    check(*ours_and_theirs("sort"), [x], {"stable": True, "descending": descending})


def test_msort():
    check(*ours_and_theirs("msort"), [numbers(4, 3)])


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(
    ("x", "k", "dim"),
    [
        (numbers(6), 3, 0),
        (numbers(6), 0, 0),
        (numbers(6), 6, -1),
        (numbers(4, 5), 2, 0),
        (numbers(2, 3, 4).transpose(2, 0, 1), 2, -1),
        (numbers(100), 3, 0),  # long enough to be partitioned, not sorted
        (numbers(3, 100), 5, 1),
        (numbers(), 1, 0),
    ],
)
def test_topk(x, k, dim, largest):
    check(*ours_and_theirs("topk"), [x, k, dim, largest])
    check(*ours_and_theirs("Tensor.topk"), [x, k], {"dim": dim, "largest": largest})


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize(("x", "k", "dim"), [(numbers(6), 1, 0), (numbers(4, 5), 3, 0), (numbers(4, 5), 5, -1)])
def test_kthvalue(x, k, dim, keepdim):
    check(*ours_and_theirs("kthvalue"), [x, k, dim, keepdim])


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
@pytest.mark.parametrize(
    ("x", "q", "kwargs"),
    [
        (numbers(6), 0.3, {}),
        (numbers(4, 5), 0.5, {"dim": 0}),
        (numbers(4, 5), np.array([0.0, 0.25, 1.0]), {"dim": 1, "keepdim": True}),
        (numbers(4, 5), np.array([0.1, 0.9]), {"keepdim": True}),
        (INPUTS["nan"], 0.4, {"dim": 1}),
    ],
)
def test_quantile(x, q, kwargs, interpolation):
    kwargs = {**kwargs, "interpolation": interpolation}
    ours, theirs = ours_and_theirs("quantile")
    if isinstance(q, float) or interpolation == "linear":
        check(ours, theirs, [x, q], kwargs)
    else:  # a step function of q: torch says the gradient is 0, we say there is none
        check(
            lambda x, **k: ours(x, tensor.tensor(q), **k),
            lambda x, **k: theirs(x, torch.from_numpy(q), **k),
            [x],
            kwargs,
        )


SEQUENCE = np.array([1.0, 3.0, 5.0, 7.0])
LINES = np.array([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]])
SEARCHES = [
    ([SEQUENCE, np.array([0.0, 1.0, 4.0, 9.0])], {}),
    ([SEQUENCE, np.array([[3.0, 3.5], [7.0, 8.0]])], {"right": True}),
    ([SEQUENCE, np.array([3.0])], {"side": "right", "out_int32": True}),
    ([LINES, np.array([[3.0, 4.0], [4.0, 5.0]])], {}),
    ([SEQUENCE[::-1].copy(), np.array([3.0, 4.0])], {"sorter": np.array([3, 2, 1, 0])}),
    ([SEQUENCE, 4.0], {}),
    ([np.array([1, 3, 5]), np.array([3, 4])], {}),
]


@pytest.mark.parametrize(("inputs", "kwargs"), SEARCHES, ids=[f"{np.shape(x[1])}-{list(k)}" for x, k in SEARCHES])
def test_searchsorted(inputs, kwargs):
    check(*ours_and_theirs("searchsorted"), inputs, kwargs, gradients=False)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("values", [np.array([[0.0, 3.0], [5.0, 8.0]]), 3.0])
def test_bucketize(values, right):
    check(*ours_and_theirs("bucketize"), [values, SEQUENCE], {"right": right}, gradients=False)


@pytest.mark.parametrize("x", [np.array([3, 1, 3, 2, 1]), np.array([[1.5, 0.0], [0.0, 1.5]]), numbers(0)], ids=str)
@pytest.mark.parametrize(
    "kwargs", [{}, {"return_inverse": True}, {"return_counts": True}, {"return_inverse": True, "return_counts": True}]
)
def test_unique(x, kwargs):
    check(*ours_and_theirs("unique"), [x], kwargs, gradients=False)


@pytest.mark.parametrize("dim", [0, 1])
def test_unique_slices(dim):
    x = np.array([[1, 2, 1], [0, 3, 0], [1, 2, 1]])
    check(*ours_and_theirs("unique"), [x], {"dim": dim, "return_inverse": True, "return_counts": True})


@pytest.mark.parametrize(
    ("inputs", "kwargs"),
    [
        ([np.array([0, 3, 3, 1])], {}),
        ([np.array([0, 3, 3, 1])], {"minlength": 6}),
        ([np.array([], dtype="int64")], {}),
        ([np.array([0, 3, 3, 1])], {"weights": numbers(4)}),
        ([np.array([0, 3, 3, 1])], {"weights": numbers(4, dtype="float32")}),
    ],
    ids=["plain", "minlength", "empty", "weights", "float32 weights"],
)
def test_bincount(inputs, kwargs):
    check(*ours_and_theirs("bincount"), inputs, kwargs, gradients=False)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: x.topk(4), RuntimeError, "topk: k = 4 is out of range for dim 1 of length 3"),
        (lambda x: x.kthvalue(0), RuntimeError, "kthvalue: k = 0 is out of range for length 3: it counts from 1"),
        (lambda x: x.sort(5), IndexError, "sort: dim 5 is out of range for 2 dimension(s): use -2 to 1"),
        (
            lambda x: x.bincount(),
            IndexError,
            "bincount: input must hold integers (int64), got float32; convert it with .long()",
        ),
        (
            lambda x: x.long().bincount(),
            RuntimeError,
            "bincount: expected a 1-dim Tensor of integers ≥ 0 and minlength ≥ 0, got shape (2, 3)",
        ),
        (
            lambda x: tensor.bincount(tensor.tensor([0, 1]), tensor.ones(2, requires_grad=True)),
            RuntimeError,
            "bincount has no gradient rule: detach() the weights",
        ),
        (
            lambda x: tensor.searchsorted(x, tensor.ones(3, 2)),
            RuntimeError,
            "searchsorted: the sequence has shape (2, 3) and the values (3, 2): all dims but the last must agree, "
            "or the sequence have 1 dim",
        ),
        (lambda x: x.quantile(0.5, interpolation="cubic"), RuntimeError, "quantile: there is no interpolation 'cubic'"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
        wait()
    assert str(raised.value) == text
