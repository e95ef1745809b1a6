"""Picking and placing by tensors of positions and by masks, against PyTorch: values and all gradients."""

import numpy as np
import pytest
from compare import check, numbers, ours_and_theirs, wait

import tensor

X = numbers(4, 3)
T = numbers(3, 4).T  # not contiguous
CUBE = numbers(2, 3, 4)
INDEX = np.array([[0, 2, 1], [3, 0, 0]])
TWICE = np.array([[0, 0, 1], [0, 1, 1]])
SRC = numbers(2, 3, seed=1)
TIED = np.round(SRC)
MASK = numbers(4, 3, seed=2) > 0
ROWS = np.array([2, 0, 2])

CASES = [
    ("gather", [X, 0, INDEX], {}),
    ("gather", [T, 1, np.array([[0, 2, 2, 1, 0]] * 4)], {}),
    ("gather", [CUBE, -1, np.array([[[3], [0]]])], {}),
    ("gather", [X, 0, np.zeros((0, 3), int)], {}),
    ("gather", [numbers(), 0, np.array(0)], {}),
    ("gather", [numbers(3), 0, np.array(2)], {}),
    ("scatter", [X, 0, INDEX, SRC], {}),
    ("scatter", [T, 1, np.array([[0], [2]]), numbers(2, 1)], {}),
    ("scatter", [X, 0, INDEX, 1.5], {}),
    ("scatter", [X, 0, INDEX], {"value": 2.0}),
    ("scatter_add", [X, 0, TWICE, SRC], {}),
    ("scatter_add", [X, 1, np.array([[0, 0], [1, 1], [2, 0]]), numbers(3, 2, seed=1)], {}),
    ("scatter_add", [numbers(), 0, np.array(0), numbers(seed=1)], {}),
    ("take", [X, np.array([[0, 5], [11, -1]])], {}),
    ("take", [X, np.array([], dtype=int)], {}),
    ("take_along_dim", [X, INDEX], {"dim": 0}),
    ("take_along_dim", [X, np.array([[2]])], {"dim": 1}),
    ("take_along_dim", [X, np.array([7, 0])], {}),
    ("index_select", [X, 0, ROWS], {}),
    ("index_select", [CUBE, -1, ROWS], {}),
    ("index_select", [numbers(), 0, np.array([0])], {}),
    ("index_select", [X, 1, np.array(1)], {}),
    ("index_add", [X, 0, ROWS, numbers(3, 3, seed=1)], {}),
    ("index_add", [X, 1, np.array([1, 1]), numbers(4, 2, seed=1)], {"alpha": -2}),
    ("index_copy", [X, 0, np.array([2, 0]), SRC], {}),
    ("index_copy", [X, 1, np.array([2]), numbers(4, 1)], {}),
    ("index_fill", [X, 0, ROWS, 1.5], {}),
    ("index_fill", [X, 1, ROWS, numbers()], {}),
    ("select_scatter", [X, numbers(3, seed=1), 0, -1], {}),
    ("slice_scatter", [X, SRC], {"dim": 0, "start": 1, "end": 3}),
    ("slice_scatter", [X, numbers(4, 2)], {"dim": 1, "step": 2}),
    ("masked_fill", [X, MASK, -1.0], {}),
    ("masked_fill", [X, MASK[0], numbers()], {}),
    ("masked_select", [X, MASK], {}),
    ("masked_select", [numbers(3), MASK], {}),
    ("masked_select", [X, np.array(True)], {}),
    ("masked_scatter", [X, MASK, numbers(15, seed=1)], {}),
    ("masked_scatter", [X, MASK[0], numbers(4, 3, seed=1)], {}),
    ("nonzero", [np.array([[0, 2], [3, 0]])], {}),
    ("nonzero", [np.array([0.0, 1.0, -1.0])], {"as_tuple": True}),
    ("nonzero", [np.array(5)], {}),
    ("nonzero", [np.array(5)], {"as_tuple": True}),
    ("argwhere", [MASK], {}),
]


def label(value):
    if isinstance(value, np.ndarray):
        return str(value.shape)
    return "-".join(map(label, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(("name", "inputs", "kwargs"), CASES, ids=label)
def test_function_and_method(name, inputs, kwargs):
    check(*ours_and_theirs(name), inputs, kwargs)
    check(*ours_and_theirs("Tensor." + name), inputs, kwargs)


IN_PLACE = ("scatter", "scatter_add", "index_add", "index_copy", "index_fill", "masked_fill", "masked_scatter")


@pytest.mark.parametrize(("name", "inputs", "kwargs"), [case for case in CASES if case[0] in IN_PLACE], ids=label)
def test_in_place(name, inputs, kwargs):
    def written(x, *args, **kwargs):
        y = x * 1
        assert getattr(y, name + "_")(*args, **kwargs) is y
        return y

    check(written, written, inputs, kwargs)


def test_masked_fill_broadcasts_x_too():
    check(*ours_and_theirs("masked_fill"), [numbers(3), MASK, 0])


@pytest.mark.parametrize("name", ["scatter", "scatter_add"])
@pytest.mark.parametrize("index", [np.array([[0, 2, 1]]), np.zeros((0, 3), int)], ids=label)
def test_src_larger_than_the_index(name, index):
    check(*ours_and_theirs(name), [X, 0, index, SRC], gradients=False)
    src = tensor.tensor(SRC, requires_grad=True)  # torch has no gradient of this
    getattr(tensor, name)(tensor.tensor(X), 0, tensor.tensor(index), src).sum().backward()
    assert src.grad.tolist() == [[1.0 if row < len(index) else 0.0] * 3 for row in range(2)]


def test_scatter_with_reduce_add_is_scatter_add():
    x, index, src = tensor.tensor(X), tensor.tensor(TWICE), tensor.tensor(SRC)
    assert x.scatter(0, index, src, reduce="add").tolist() == x.scatter_add(0, index, src).tolist()


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("src", [SRC, TIED, np.zeros((2, 3))], ids=["src", "ties", "zeros"])
def test_scatter_reduce(src, reduce, include_self):
    for x in (X, np.round(X)):
        check(*ours_and_theirs("scatter_reduce"), [x, 0, TWICE, src, reduce], {"include_self": include_self})


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce_of_integers(reduce):
    x, src = np.arange(12).reshape(4, 3), np.array([[5, -7, 3], [2, 2, 2]])
    for include_self in (True, False):
        check(*ours_and_theirs("scatter_reduce"), [x, 0, TWICE, src, reduce], {"include_self": include_self})


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_dtype_is_kept(dtype):
    x = np.array([[1, 0, 1], [0, 0, 1]]).astype(dtype)
    check(*ours_and_theirs("masked_fill"), [x, x == 0, 1])
    check(*ours_and_theirs("gather"), [x, 1, np.array([[0, 2], [1, 1]])])
    check(*ours_and_theirs("scatter"), [x, 1, np.array([[0, 2]]), 1])
    check(*ours_and_theirs("scatter_add"), [x, 1, np.array([[0, 0], [2, 0]]), x[:, 1:].copy()])
    check(*ours_and_theirs("scatter_reduce"), [x, 1, np.array([[0, 0], [2, 0]]), x[:, 1:].copy(), "amax"])


ERRORS = [
    (
        lambda x: x.gather(0, tensor.tensor([[0, 2, 0]])),
        IndexError,
        "index 2 is out of range for dim 0 of length 2",
    ),
    (
        lambda x: x.gather(0, tensor.tensor([0, 1])),
        RuntimeError,
        "gather: an index of shape (2,) does not fit input of shape (2, 3): it needs as many dims, "
        "and but for dim 0 no longer ones",
    ),
    (
        lambda x: x.gather(0, x),
        IndexError,
        "gather: index must hold integers (int64), got float32; convert it with .long()",
    ),
    (
        lambda x: x.scatter(1, tensor.tensor([[0, 1], [0, 1]]), tensor.ones(1, 2)),
        RuntimeError,
        "scatter: src has shape (1, 2), it must be as long as the index, (2, 2), along every dim",
    ),
    (
        lambda x: x.scatter(1, tensor.tensor([[0]]), tensor.tensor([[1]])),
        RuntimeError,
        "scatter: src must be float32 as input is, got int64: convert it with .to()",
    ),
    (
        lambda x: x.scatter_reduce(1, tensor.tensor([[0]]), tensor.ones(1, 1), "max"),
        RuntimeError,
        "scatter_reduce: reduce is one of sum, prod, mean, amax, amin, got 'max'",
    ),
    (lambda x: x.index_select(1, tensor.tensor([3])), IndexError, "index 3 is out of range for dim 1 of length 3"),
    (
        lambda x: x.index_add(0, tensor.tensor([0, 1]), tensor.ones(2, 2)),
        RuntimeError,
        "index_add: source has shape (2, 2), (2, 3) is needed: input's shape with the length of index along dim 0",
    ),
    (
        lambda x: x.masked_fill(x, 0),
        RuntimeError,
        "masked_fill: the mask must hold bools, got float32: compare (mask != 0), or use .bool()",
    ),
    (
        lambda x: x.masked_fill(tensor.tensor([True, False]), 0),
        RuntimeError,
        "masked_fill: shapes (2, 3) and (2,) do not broadcast: at dim -1 one has 2 and the other 3; "
        "lengths must be equal, or one of them 1",
    ),
    (
        lambda x: tensor.tensor([1, 2]).masked_fill(tensor.tensor([True, False]), 0.5),
        RuntimeError,
        "masked_fill: a floating value cannot fill a Tensor of int64: convert one of them",
    ),
    (
        lambda x: x.masked_scatter(tensor.tensor([True, True, False]), tensor.ones(3)),
        RuntimeError,
        "masked_scatter: the mask picks 4 element(s), source has only 3",
    ),
    (
        lambda x: x.select_scatter(tensor.ones(2), 0, 0),
        RuntimeError,
        "select_scatter: src has shape (2,), the part it replaces (3,)",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text[:40] for _, _, text in ERRORS])
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
        wait()
    assert str(raised.value) == text
