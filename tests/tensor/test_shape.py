"""Shape functions against PyTorch: values, gradients, what is a view and what a copy, and what errors say."""

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs

import tensor
from tensor.ops.split import Split

X = numbers(2, 3, 4)
T = numbers(4, 3, 2).transpose(2, 1, 0)  # the same shape, not contiguous
S = numbers()
E = numbers(2, 0, 3)
COUNTS = np.array([2, 0, 1])

CASES = [
    ("reshape", [X, (4, -1)], {}),
    ("reshape", [T, (6, 4)], {}),
    ("reshape", [S, (1, 1)], {}),
    ("reshape", [E, (0, 5)], {}),
    ("Tensor.reshape", [X, 4, 6], {}),
    ("Tensor.reshape_as", [X, numbers(6, 4)], {}),
    ("Tensor.view", [X, -1, 4], {}),
    ("Tensor.view", [X, (24,)], {}),
    ("Tensor.view", [T, 2, 3, 2, 2], {}),
    ("Tensor.view_as", [X, numbers(4, 6)], {}),
    ("flatten", [X], {}),
    ("flatten", [T, 1], {}),
    ("flatten", [X, 0, 1], {}),
    ("flatten", [S], {}),
    ("ravel", [T], {}),
    ("unflatten", [X, -1, (2, -1)], {}),
    ("unflatten", [X, 0, (1, 2)], {}),
    ("squeeze", [numbers(1, 3, 1)], {}),
    ("squeeze", [numbers(1, 3, 1), 0], {}),
    ("squeeze", [numbers(1, 3, 1), 1], {}),
    ("squeeze", [numbers(1, 3, 1), (0, -1)], {}),
    ("squeeze", [S, 0], {}),
    ("unsqueeze", [X, 1], {}),
    ("unsqueeze", [X, -1], {}),
    ("unsqueeze", [S, 0], {}),
    ("atleast_1d", [S], {}),
    ("atleast_2d", [numbers(3)], {}),
    ("atleast_3d", [S], {}),
    ("atleast_3d", [numbers(3)], {}),
    ("atleast_3d", [numbers(3, 2)], {}),
    ("atleast_2d", [S, numbers(3), X], {}),
    ("permute", [X, (2, 0, 1)], {}),
    ("Tensor.permute", [X, -1, 0, 1], {}),
    ("permute", [S, ()], {}),
    ("transpose", [X, 0, -1], {}),
    ("transpose", [S, 0, -1], {}),
    ("swapaxes", [X, 1, 2], {}),
    ("swapdims", [X, 0, 2], {}),
    ("t", [numbers(3, 2)], {}),
    ("t", [numbers(3)], {}),
    ("adjoint", [X], {}),
    ("movedim", [X, 0, 2], {}),
    ("movedim", [X, (0, 1), (-1, 0)], {}),
    ("moveaxis", [X, 2, 0], {}),
    ("movedim", [S, 0, -1], {}),
    ("Tensor.expand", [numbers(3, 1), 2, 3, 4], {}),
    ("Tensor.expand", [numbers(3, 1), (-1, 4)], {}),
    ("Tensor.expand", [S, 2, 2], {}),
    ("Tensor.expand", [numbers(1, 3), 0, 3], {}),
    ("Tensor.expand_as", [numbers(3, 1), X], {}),
    ("broadcast_to", [numbers(3, 1), (2, 3, 4)], {}),
    ("broadcast_tensors", [numbers(3, 1), numbers(4), S], {}),
    ("broadcast_shapes", [(3, 1), (4,), (2, 1, 1)], {}),
    ("Tensor.unfold", [numbers(7), 0, 3, 2], {}),
    ("Tensor.unfold", [X, 2, 2, 1], {}),
    ("Tensor.unfold", [T, 1, 3, 1], {}),
    ("Tensor.unfold", [S, 0, 1, 1], {}),
    ("clone", [T], {}),
    ("Tensor.contiguous", [T], {}),
    # copies
    ("Tensor.repeat", [numbers(2, 3), 2, 1, 3], {}),
    ("Tensor.repeat", [numbers(2, 3), 1, 1], {}),
    ("Tensor.repeat", [numbers(2, 3), 0, 2], {}),
    ("Tensor.repeat", [S, 3], {}),
    ("tile", [X, (2,)], {}),
    ("tile", [numbers(3), (2, 2)], {}),
    ("repeat_interleave", [X, 2], {}),
    ("repeat_interleave", [X, 3], {"dim": 1}),
    ("repeat_interleave", [X, COUNTS], {"dim": 1}),
    ("repeat_interleave", [X, np.array([2])], {"dim": -1}),
    ("repeat_interleave", [COUNTS], {}),
    ("roll", [X, 1], {}),
    ("roll", [X, (1, -2), (0, 2)], {}),
    ("roll", [X, -5, 1], {}),
    ("flip", [X, (0, -1)], {}),
    ("Tensor.flip", [X, 0, 1], {}),
    ("fliplr", [X], {}),
    ("flipud", [T], {}),
    ("rot90", [X], {}),
    ("rot90", [X, 2, (0, 2)], {}),
    ("rot90", [X, -1, (2, 1)], {}),
    ("rot90", [X, 4], {}),
    # parts
    ("split", [X, 2], {"dim": 2}),
    ("split", [numbers(7), 3], {}),
    ("split", [X, [1, 0, 2]], {"dim": 1}),
    ("split", [E, 2], {"dim": 1}),
    ("split_with_sizes", [X, [1, 3]], {"dim": -1}),
    ("chunk", [numbers(7), 3], {}),
    ("chunk", [numbers(5), 4], {}),
    ("chunk", [X, 2], {"dim": -1}),
    ("chunk", [E, 2], {"dim": 1}),
    ("tensor_split", [numbers(7), 3], {}),
    ("tensor_split", [numbers(7), (1, 5)], {}),
    ("tensor_split", [numbers(7), (5, 2, 9)], {}),
    ("tensor_split", [X, 2], {"dim": 1}),
    ("tensor_split", [numbers(7), (-3,)], {}),
    ("hsplit", [numbers(4), 2], {}),
    ("hsplit", [X, (1, 2)], {}),
    ("vsplit", [X, 2], {}),
    ("dsplit", [X, 4], {}),
    ("unbind", [X], {}),
    ("unbind", [T], {"dim": -1}),
    ("narrow", [X, 1, 1, 2], {}),
    ("narrow", [X, -1, -3, 2], {}),
    ("select", [X, 1, -1], {}),
    ("select", [numbers(3), 0, 1], {}),
]


def label(value):
    if isinstance(value, np.ndarray):
        return str(value.shape)
    return "-".join(map(label, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(("name", "inputs", "kwargs"), CASES, ids=label)
def test_function(name, inputs, kwargs):
    check(*ours_and_theirs(name), inputs, kwargs)


@pytest.mark.parametrize("name", ["T", "mT", "H", "mH"])
def test_property(name):
    check(lambda x: getattr(x, name), lambda x: getattr(x, name), [numbers(2, 3)])


# Each takes x of shape (2, 3, 4), and returns a view in PyTorch.
VIEWS = {
    "reshape": lambda x: x.reshape(6, 4),
    "view": lambda x: x.view(-1),
    "flatten": lambda x: x.flatten(1),
    "ravel": lambda x: x.ravel(),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "permute": lambda x: x.permute(2, 0, 1),
    "transpose": lambda x: x.transpose(0, 1),
    "T": lambda x: x[0].T,
    "t": lambda x: x[0].t(),
    "movedim": lambda x: x.movedim(0, 2),
    "split": lambda x: x.split(2, dim=2)[1],
    "split sizes": lambda x: x.split([1, 2], dim=1)[0],
    "chunk": lambda x: x.chunk(2, dim=0)[1],
    "tensor_split": lambda x: x.tensor_split(3, dim=2)[0],
    "unbind": lambda x: x.unbind(1)[2],
    "narrow": lambda x: x.narrow(1, 1, 2),
    "select": lambda x: x.select(2, 0),
    "index": lambda x: x[1],
    "slice": lambda x: x[:, 1:, ::2],
    "one element": lambda x: x[0, 1, 2],
    "diagonal": lambda x: x.diagonal(1, 1, 2),
    "expand to the same": lambda x: x.expand(2, 3, 4),
    "expand by a dim": lambda x: x[0].expand(1, 3, 4),
}


@pytest.mark.parametrize("name", VIEWS)
def test_writing_to_a_view_writes_to_x(name):
    ours = tensor.arange(24.0).reshape(2, 3, 4)
    theirs = torch.arange(24.0).reshape(2, 3, 4)
    for x in (ours, theirs):
        VIEWS[name](x).mul_(-1.0)
    assert ours.tolist() == theirs.tolist()
    view = VIEWS[name](ours)
    ours.add_(1)
    assert view.tolist() == VIEWS[name](theirs + 1).tolist()


COPIES = {
    "clone": lambda x: x.clone(),
    "repeat": lambda x: x.repeat(1, 1, 1),
    "tile": lambda x: x.tile((1,)),
    "repeat_interleave": lambda x: x.repeat_interleave(1, dim=0),
    "repeat_interleave of one": lambda x: x[:1].repeat_interleave(2, dim=0),
    "repeat of one": lambda x: x[:1, :1].repeat(2, 3, 1),
    "unfold": lambda x: x.unfold(2, 2, 1),
    "flip": lambda x: x.flip(0),
    "flip of nothing": lambda x: x.flip(()),
    "roll": lambda x: x.roll(0, 0),
    "rot90": lambda x: x.rot90(0),
    "contiguous": lambda x: x.mT.contiguous(),
    "reshape": lambda x: x.mT.reshape(-1),
    "index": lambda x: x[[0, 1]],
    "diag": lambda x: x[0].diag(),
}


@pytest.mark.parametrize("name", COPIES)
def test_writing_to_a_copy_leaves_x_alone(name):
    x = tensor.arange(24.0).reshape(2, 3, 4)
    y = COPIES[name](x)
    negative = (-y).tolist()
    y.mul_(-1.0)
    assert x.tolist() == tensor.arange(24.0).reshape(2, 3, 4).tolist()
    assert y.tolist() == negative  # no two of its elements share memory


def test_contiguous_of_contiguous_is_itself():
    x = tensor.ones(2, 3)
    assert x.contiguous() is x


@pytest.mark.parametrize(
    ("parts", "shared"),
    [
        (lambda a: (a[:, :2], a[:, 2:3], a[:, 3:]), True),
        (lambda a: (a.T[:2].T, a.T[2:3].T, a.T[3:].T), True),
        (lambda a: (a[:, 2:4], a[:, 4:5], a[:, 1:2]), False),  # of one array, but in another order
        (lambda a: (a[:, :2], a[:, 2:3], a[:, 3:].copy()), False),
        (lambda a: (a[:, :2], a[:, 2:3], a[:1, 3:] + np.zeros((3, 1))), False),
        (lambda a: (a[:, :2], a[:, 1:2], a[:, 2:]), False),  # they overlap
        (lambda a: (np.broadcast_to(a[:, :1], (3, 2)), a[:, :1], a[:, 1:]), False),
    ],
)
def test_gradients_that_lie_side_by_side_are_the_splits_gradient(parts, shared):
    """As attention's dq, dk and dv do: nothing is copied then."""
    whole = np.arange(15.0).reshape(3, 5)
    dys = parts(whole)
    op = Split()
    op.dim = 1
    dx = op.backward(*dys)
    assert np.array_equal(dx, np.concatenate(dys, axis=1))
    assert np.shares_memory(dx, whole) == shared


def test_split_parts_that_nothing_uses_get_zeros():
    x = tensor.ones(6, requires_grad=True)
    _, middle, _ = x.split(2)
    (middle * 3).sum().backward()
    assert x.grad.tolist() == [0, 0, 3, 3, 0, 0]


ERRORS = [
    (lambda x: x.reshape(4, 2), RuntimeError, "reshape: 6 element(s) do not fit shape (4, 2)"),
    (lambda x: x.reshape(-1, -1), RuntimeError, "reshape: only one length can be -1, got (-1, -1)"),
    (
        lambda x: x.T.view(6),
        RuntimeError,
        "view: a Tensor of shape (3, 2) with strides (1, 3) cannot be seen as (6,) without a copy: "
        "use reshape(), or contiguous() first",
    ),
    (lambda x: x.permute(0), RuntimeError, "permute: got 1 dims for a Tensor with 2: name each once"),
    (lambda x: x.permute(0, 0), RuntimeError, "permute: a dim appears twice in (0, 0)"),
    (lambda x: x.transpose(0, 3), IndexError, "transpose: dim 3 is out of range for 2 dimension(s): use -2 to 1"),
    (lambda x: x.unsqueeze(4), IndexError, "unsqueeze: dim 4 is out of range for 3 dimension(s): use -3 to 2"),
    (lambda x: x[None].t(), RuntimeError, "t: expected at most 2 dims, got 3: use .mT, or transpose(dim0, dim1)"),
    (
        lambda x: x.expand(4, 3),
        RuntimeError,
        "expand: (2, 3) does not expand to (4, 3): at dim 0 only a length of 1 can be repeated, "
        "and a new dim needs its length",
    ),
    (lambda x: x.expand(3), RuntimeError, "expand: (3,) has fewer dims than the Tensor, (2, 3)"),
    (
        lambda x: x.split([1, 1], dim=1),
        RuntimeError,
        "split: the sizes [1, 1] add up to 2, they must add up to 3, the length of dim 1 of (2, 3)",
    ),
    (lambda x: x.narrow(1, 2, 2), IndexError, "narrow: start 2 and length 2 do not fit dim 1 of length 3"),
    (lambda x: x.select(0, 2), IndexError, "select: index 2 is out of range for dim 0 of length 2"),
    (lambda x: x.hsplit(2), RuntimeError, "hsplit: dim 1 of (2, 3) cannot be cut into 2 equal parts"),
    (lambda x: x.roll((1, 2), 0), RuntimeError, "roll: 2 shift(s) for 1 dim(s)"),
    (
        lambda x: x.repeat(2),
        RuntimeError,
        "repeat: (2,) does not fit a Tensor of shape (2, 3): give a number ≥ 0 for each dim, and for new ones in front",
    ),
    (
        lambda x: x.unfold(1, 4, 1),
        RuntimeError,
        "unfold: size 4 and step 1 do not fit length 3: size is at most the length, step at least 1",
    ),
    (
        lambda x: tensor.broadcast_tensors(x, tensor.ones(4)),
        RuntimeError,
        "broadcast_tensors: shapes (2, 3) and (4,) do not broadcast: at dim -1 one has 3 and the other 4; "
        "lengths must be equal, or one of them 1",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text[:40] for _, _, text in ERRORS])
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
    assert str(raised.value) == text
