"""cat, stack and their relatives, and pad, against PyTorch."""

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs

import tensor
from tensor.ops.join import pad

A, B, C = numbers(2, 3), numbers(2, 3, seed=1), numbers(3, 2, seed=2).T  # C is not contiguous
V, W = numbers(3), numbers(3, seed=1)
S = numbers()

CASES = [
    ("cat", [[A, B, C]], {}),
    ("cat", [(A, numbers(2, 1))], {"dim": 1}),
    ("cat", [[A]], {"dim": -1}),
    ("cat", [[numbers(0), A]], {}),  # an empty 1-dim Tensor is passed over
    ("cat", [[A, np.arange(3).reshape(1, 3)]], {}),  # dtypes are promoted
    ("cat", [[np.array([True]), np.array([2])]], {}),
    ("concat", [[A, B]], {"dim": 1}),
    ("concatenate", [[A, B]], {}),
    ("stack", [[A, B, C]], {}),
    ("stack", [[A, B]], {"dim": 1}),
    ("stack", [[A, B]], {"dim": -1}),
    ("stack", [[S, S]], {}),
    ("hstack", [[A, B]], {}),
    ("hstack", [[V, W]], {}),
    ("hstack", [[S, S]], {}),
    ("vstack", [[A, V]], {}),
    ("row_stack", [[V, W]], {}),
    ("dstack", [[A, B]], {}),
    ("dstack", [[V, W]], {}),
    ("column_stack", [[V, W, C.T]], {}),
    ("column_stack", [[S, S]], {}),
    ("block_diag", [A, V, S], {}),
    ("cartesian_prod", [V, numbers(2)], {}),
    ("cartesian_prod", [V], {}),
]


@pytest.mark.parametrize(("name", "inputs", "kwargs"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)])
def test_join(name, inputs, kwargs):
    check(*ours_and_theirs(name), inputs, kwargs)


def test_the_same_tensor_twice_gets_both_gradients():
    check(lambda x: tensor.cat([x, x * 2, x]), lambda x: torch.cat([x, x * 2, x]), [A])


PADS = [
    (numbers(2, 3, 4), (1, 2), "constant", None),
    (numbers(2, 3, 4), (1, 0, 0, 2), "constant", 1.5),
    (numbers(2, 3, 4), (-1, 2, 1, -2), "constant", None),
    (numbers(2, 3, 4), (2, 1), "reflect", None),
    (numbers(2, 3, 4, 5), (1, 3, 2, 0), "reflect", None),
    (numbers(2, 3, 4), (2, 5), "replicate", None),
    (numbers(2, 3, 4, 5), (-1, 3, 2, -1), "replicate", None),
    (numbers(2, 3, 4), (2, 4), "circular", None),
    (numbers(2, 3, 4), (-1, 1), "circular", None),
]


@pytest.mark.parametrize(("x", "widths", "mode", "value"), PADS, ids=[f"{m}-{w}" for _, w, m, _ in PADS])
def test_pad(x, widths, mode, value):
    check(pad, torch.nn.functional.pad, [x, widths, mode, value])


@pytest.mark.parametrize("value", [0, 7])
def test_pad_of_integers(value):
    check(pad, torch.nn.functional.pad, [np.arange(6).reshape(2, 3), (1, 1), "constant", value])


ERRORS = [
    (lambda x: tensor.cat([]), RuntimeError, "cat: expected at least one Tensor, got an empty list"),
    (lambda x: tensor.cat(x), TypeError, "cat: expected a tuple or list of Tensors, got one Tensor"),
    (lambda x: tensor.cat([x, 1]), TypeError, "cat: expected a Tensor, got int; make one with tensor.tensor(...)"),
    (
        lambda x: tensor.cat([x, x.T]),
        RuntimeError,
        "cat: the shapes must agree but for dim 0; the first is (2, 3), number 1 is (3, 2)",
    ),
    (
        lambda x: tensor.cat([x.sum(), x.sum()]),
        RuntimeError,
        "cat: 0-dim Tensors have no dim to be joined along: use stack()",
    ),
    (
        lambda x: tensor.stack([x, x.T]),
        RuntimeError,
        "stack: all shapes must be equal; the first is (2, 3), number 1 is (3, 2)",
    ),
    (
        lambda x: pad(x, (3, 0), "reflect"),
        RuntimeError,
        "pad: a reflect border along dim 1 of length 3 can be at most 2 wide, got 3",
    ),
    (
        lambda x: pad(x, (1, 0), "mirror"),
        ValueError,
        "pad: there is no mode 'mirror': use 'constant', 'reflect', 'replicate' or 'circular'",
    ),
    (
        lambda x: pad(x, (1, 0, 1)),
        RuntimeError,
        "pad: (1, 0, 1) must hold (before, after) for at most 2 dim(s), the last dim first",
    ),
    (lambda x: pad(x, (-2, -2)), RuntimeError, "pad: -2 and -2 crop more than dim 1 of length 3 has"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[text[:40] for _, _, text in ERRORS])
def test_error(call, error, text):
    with pytest.raises(error) as raised:
        call(tensor.ones(2, 3))
    assert str(raised.value) == text
