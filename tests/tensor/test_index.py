"""x[index] and x[index] = value in every form, against PyTorch: values, views, gradients, and what errors say."""

import numpy as np
import pytest
import torch
from compare import check, numbers, wait

import tensor

X = numbers(4, 3, 5)
MASK = np.array([True, False, True, True])
MASK2 = numbers(4, 3, seed=1) > 0
I = np.array([0, 2, 2, -1])
J = np.array([[0, 1], [2, 0]])


def made(index, library):
    """`index` with its arrays as Tensors of one of the two libraries."""
    if isinstance(index, tuple):
        return tuple(made(i, library) for i in index)
    return (
        library.tensor(index.tolist(), dtype=getattr(library, str(index.dtype)))
        if isinstance(index, np.ndarray)
        else index
    )


INDICES = {
    "int": 1,
    "negative int": -1,
    "ints": (1, 2),
    "all ints": (0, 1, -2),
    "slice": slice(1, 3),
    "steps": (slice(None, None, 2), slice(1, None), slice(-4, -1, 3)),
    "slice out of range": slice(2, 99),
    "empty slice": (slice(None), slice(2, 1)),
    "ellipsis": (..., 0),
    "ellipsis in the middle": (0, ..., slice(1, 3)),
    "ellipsis for nothing": (0, 1, ..., 2),
    "none": (None, 1, None, slice(None), ..., None),
    "everything": ...,
    "nothing": (),
    "integers": I,
    "integers 2-dim": J,
    "list": [0, 2],
    "range": range(2),
    "empty list": [],
    "numpy": np.array([2, 0]),
    "second dim": (slice(None), np.array([1, 1, 0])),
    "last dim": (..., np.array([4, 4, 0])),
    "rows and columns": (I, np.array([0, 0, 1, 1])),
    "broadcast": (np.array([[0], [1]]), np.array([0, 1, 1])),
    "apart": (I, slice(None), np.array([0, 0, 1, 4])),
    "int beside integers": (0, np.array([0, 2]), slice(None)),
    "int apart from integers": (0, slice(None), np.array([0, 2, 2])),  # NumPy would put the dim of 3 first
    "integers apart from int": (I, slice(None), 1),
    "none among integers": (I, None, np.array([0, 0, 1, 1])),
    "mask": MASK,
    "mask of two dims": MASK2,
    "mask of all": X > 0.5,
    "mask and slice": (MASK, slice(1)),
    "mask and int": (MASK, 1),
    "mask and integers": (MASK, np.array([0, 1, 1])),
    "mask second": (slice(None), np.array([True, False, True])),
    "bool list": [True, False, True, False],
    "no element": np.array([False, False, False, False]),
    "true": True,
    "false": False,
    "true and int": (True, 1),
    "0-dim integer": np.array(2),
    "0-dim integer apart": (np.array(2), slice(None), np.array([0, 1])),
    "0-dim bool": np.array(True),
}

TWICE = ("integers", "integers 2-dim", "broadcast", "false")  # written twice any value may stay; in `false` none is


@pytest.mark.parametrize("name", INDICES)
def test_read(name):
    index = INDICES[name]
    if isinstance(index, range):
        check(lambda x: x[index], lambda x: x[list(index)], [X])
    check(lambda x: x[made(index, tensor)], lambda x: x[made(index, torch)], [X])
    check(lambda x: x[made(index, tensor)], lambda x: x[made(index, torch)], [numbers(5, 3, 4).T.copy("K")])


@pytest.mark.parametrize("name", [n for n in INDICES if n not in TWICE])
def test_write(name):
    index = INDICES[name]

    def write(library, value):
        def written(x, *values):
            y = x * 1
            y[made(index, library)] = values[0] if values else value
            return y

        return written

    for value in (3.5, 2):
        check(write(tensor, value), write(torch, value), [X])
    shape = tuple(torch.from_numpy(X)[made(index, torch)].shape)
    check(write(tensor, None), write(torch, None), [X, numbers(*shape, seed=3)])
    check(write(tensor, None), write(torch, None), [X, numbers(1, *shape[1:], seed=3) if shape else numbers(seed=3)])


@pytest.mark.parametrize("x", [numbers(3), numbers(), numbers(0, 3)], ids=["vector", "scalar", "empty"])
def test_small(x):
    for index in (..., None, (None, ...), ()):
        check(lambda x, i=index: x[i], lambda x, i=index: x[i], [x])


def test_values_broadcast_and_are_converted():
    for library in (tensor, torch):
        x = library.zeros(2, 3)
        x[0] = library.tensor([1, 2, 3])  # int64 into float32
        x[:, 1] = 7
        x[1] = library.tensor([[4.0, 5.0, 6.0]])  # leading dims of length 1 do not matter
        assert x.tolist() == [[1, 7, 3], [4, 5, 6]]
        n = library.zeros(3, dtype=library.int64)
        n[0], n[1:] = 1.9, library.tensor([2.9, -3.9])
        assert n.tolist() == [1, 2, -3]


def test_nested_list_is_an_index_tensor():
    x = tensor.tensor(X)
    assert x[[[0, 1], [1, 0]]].tolist() == x[tensor.tensor([[0, 1], [1, 0]])].tolist()


def test_overlapping_copy():
    x = tensor.tensor([0.0, 1.0, 2.0, 3.0])
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("values", [numbers(3, 5), numbers(5), numbers()])
def test_index_put(values, accumulate):
    rows, columns = np.array([0, 3, 3]), np.array([1, 0, 2])

    def put(library, name):
        return lambda x, v: getattr(x * 1, name)((made(rows, library), made(columns, library)), v, accumulate)

    for name in ("index_put", "index_put_"):
        check(put(tensor, name), put(torch, name), [X, values])


def test_accumulating_adds_up():
    for shape in ((4,), (4, 1), (4, 3)):
        check(
            lambda x, v: x.index_put((tensor.tensor([1, 1, -3]),), v, accumulate=True),
            lambda x, v: x.index_put((torch.tensor([1, 1, -3]),), v, accumulate=True),
            [numbers(*shape), np.ones((3, *shape[1:]))],
        )


def test_rows_read_often_add_up():
    idx = np.random.default_rng(0).integers(0, 7, (40, 3))
    check(lambda x: x[made(idx, tensor)], lambda x: x[made(idx, torch)], [numbers(7, 4)])
    check(lambda x: x[made(idx - 7, tensor)], lambda x: x[made(idx - 7, torch)], [numbers(7, 2, 3)])


@pytest.mark.parametrize(
    "read",
    [
        lambda x, i: x[i],
        lambda x, i: x.index_select(0, i),
        lambda x, i: x.take(i),
        lambda x, i: x.index_fill(0, i, 0.0),
        lambda x, i: x.index_put((i,), x[:2]),
        lambda x, i: x.repeat_interleave(i.abs(), dim=0),
    ],
    ids=["getitem", "index_select", "take", "index_fill", "index_put", "repeat_interleave"],
)
def test_an_index_written_after_the_read_does_not_change_the_gradient(read):
    grads = []
    for changed in (False, True):
        x, index = tensor.tensor(numbers(2), requires_grad=True), tensor.tensor([0, 1])
        y = read(x, index)
        if changed:
            index[:] = tensor.tensor([1, 0])
        (y * tensor.arange(1.0, len(y) + 1)).sum().backward()
        grads.append(x.grad.tolist())
    assert grads[0] == grads[1]


def test_positions_written_after_a_gather_make_backward_raise():
    x, index = tensor.ones(3, requires_grad=True), tensor.tensor([0, 2])
    y = x.gather(0, index)
    index[0] = 1
    with pytest.raises(RuntimeError, match="backward of Gather needs the value `index`"):
        y.sum().backward()


def test_indices_of_max_written_make_backward_raise():
    x = tensor.tensor([[1.0, 2.0], [4.0, 3.0]], requires_grad=True)
    values, indices = x.max(dim=1)
    indices[0] = 0
    with pytest.raises(RuntimeError, match="backward of Gather needs the value `index`"):
        values.sum().backward()


ERRORS = [
    (lambda x: x[2], IndexError, "index 2 is out of range for dim 0 of length 2"),
    (lambda x: x[0, -4], IndexError, "index -4 is out of range for dim 1 of length 3"),
    (lambda x: x[:, [0, 3]], IndexError, "index 3 is out of range for dim 1 of length 3"),
    (lambda x: x[0, 0, 0], IndexError, "too many indices: 3 for a Tensor with 2 dimension(s)"),
    (lambda x: x[..., ...], IndexError, "an index can have only one ellipsis (...)"),
    (lambda x: x[::-1], ValueError, "a slice needs a step of at least 1, got -1: use flip() to go backwards"),
    (
        lambda x: x[tensor.tensor([True, False, True])],
        IndexError,
        "a mask of shape (3,) does not fit dims 0 to 0 of a Tensor of shape (2, 3)",
    ),
    (
        lambda x: x[tensor.tensor([1, 0], dtype=tensor.uint8)],
        IndexError,
        "a uint8 index is ambiguous: use .bool() for a mask, .long() for positions",
    ),
    (
        lambda x: x[tensor.tensor([1.0])],
        IndexError,
        "an index Tensor holds integers or bools, this one is float32: convert it with .long()",
    ),
    (
        lambda x: x["a"],
        IndexError,
        "a Tensor is indexed by integers, slices, None, ..., bools, or Tensors of these, not by str",
    ),
    (
        lambda x: x.__setitem__(0, tensor.ones(2)),
        RuntimeError,
        "setitem: a value of shape (2,) does not broadcast to (3,), the shape of what is written",
    ),
    (
        lambda x: x.requires_grad_().__setitem__(0, 1),
        RuntimeError,
        "setitem: a view of a leaf that requires grad cannot be written in place, its gradient would be lost. "
        "Do it under no_grad(), or out of place",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text[:40] for _, _, text in ERRORS])
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
        wait()
    assert str(raised.value) == text
