"""Error messages teach: they name the op, both shapes, the dim that disagrees, and what to do. Tested as text."""

import numpy as np
import pytest

import tensor
from tensor import Tensor


def x(*shape, **options) -> Tensor:
    return tensor.ones(*shape, **options)


def leaf(*shape) -> Tensor:
    return tensor.ones(*shape, requires_grad=True)


def twice_backward():
    y = leaf(3).exp().sum()
    y.backward()
    y.backward()


def stale_exp():
    y = (leaf(3) * 1).exp()
    z = y.sum()
    y.mul_(2)
    z.backward()


# id: (call, exception, fragments of its text)
CASES = {
    # shapes
    "add": (lambda: x(2, 3) + x(2, 4), RuntimeError, ["add", "(2, 3)", "(2, 4)", "dim -1", "3", "4"]),
    "mul": (lambda: x(5, 1, 3) * x(4, 2), RuntimeError, ["mul", "(5, 1, 3)", "(4, 2)", "dim -1"]),
    "where": (lambda: tensor.where(x(2) > 0, x(3), x(4)), RuntimeError, ["where", "(2,)", "(3,)", "dim -1"]),
    "matmul": (lambda: x(2, 3) @ x(4, 5), RuntimeError, ["matmul", "(2, 3)", "(4, 5)", "last dim", "(3)", "(4)"]),
    "matmul batch": (lambda: x(2, 3, 4) @ x(3, 4, 5), RuntimeError, ["matmul", "dim -1", "2", "3"]),
    "matmul 0-dim": (lambda: x() @ x(2), RuntimeError, ["matmul", "at least 1 dim", "()"]),
    "reshape": (lambda: x(2, 3).reshape(4, 2), RuntimeError, ["reshape", "6 element", "(4, 2)"]),
    "reshape -1": (lambda: x(2, 3).reshape(-1, -1), RuntimeError, ["reshape", "only one", "-1"]),
    "view": (lambda: x(2, 3).transpose(0, 1).view(6), RuntimeError, ["view", "reshape"]),
    "cat": (lambda: tensor.cat([x(2, 3), x(2, 4)], 0), RuntimeError, ["cat", "(2, 3)", "(2, 4)"]),
    "stack": (lambda: tensor.stack([x(2), x(3)]), RuntimeError, ["stack", "(2,)", "(3,)"]),
    "expand": (lambda: x(2, 3).expand(4, 3), RuntimeError, ["expand", "(2, 3)", "(4, 3)"]),
    "setitem": (lambda: x(4).__setitem__(slice(2), x(3)), RuntimeError, ["setitem", "(3,)", "(2,)", "broadcast"]),
    "in place": (lambda: x(2).add_(x(3, 2)), RuntimeError, ["add_", "(3, 2)", "(2,)"]),
    "einsum": (lambda: tensor.einsum("ij,jk->ik", x(2, 3), x(4, 5)), RuntimeError, ["einsum", "j", "3", "4"]),
    # dims
    "sum dim": (lambda: x(2, 3).sum(2), IndexError, ["sum", "dim 2", "2 dimension", "-2 to 1"]),
    "softmax dim": (lambda: x(2, 3).softmax(-3), IndexError, ["softmax", "dim -3"]),
    "dim twice": (lambda: x(2, 3).sum((0, -2)), RuntimeError, ["sum", "twice", "(0, 0)"]),
    "permute": (lambda: x(2, 3, 4).permute(0, 1), RuntimeError, ["permute", "2", "3"]),
    "max of nothing": (lambda: x(0).max(), RuntimeError, ["max"]),
    "index out of range": (lambda: x(3)[5], IndexError, ["5", "3"]),
    "too many indices": (lambda: x(3)[0, 0], IndexError, ["2", "1"]),
    "float index": (lambda: x(3)[tensor.tensor([0.5])], IndexError, ["float32", "long()"]),
    # dtypes
    "matmul dtypes": (lambda: x(2, 2) @ x(2, 2).double(), RuntimeError, ["matmul", "float32", "float64", ".to("]),
    "mean of integers": (lambda: tensor.arange(3).mean(), RuntimeError, ["mean", "int64", ".float()"]),
    "sub of bools": (lambda: (x(2) > 0) - (x(2) > 0), RuntimeError, ["sub", "bool"]),
    "float into int": (lambda: tensor.arange(3).add_(0.5), RuntimeError, ["add_", "float32", "int64", ".to("]),
    "integer requires grad": (lambda: tensor.arange(3).requires_grad_(), RuntimeError, ["int64", ".float()"]),
    "complex": (lambda: tensor.tensor(np.zeros(2, complex)), TypeError, ["complex128", "float32"]),
    "ragged": (lambda: tensor.tensor([[1, 2], [3]]), (TypeError, ValueError), ["row", "length"]),
    "strings": (lambda: tensor.tensor(["a"]), TypeError, ["Tensor", "numbers"]),
    "no tensor": (lambda: tensor.matmul(3, x(2)), TypeError, ["matmul", "expected a Tensor", "int"]),
    "no operand": (lambda: x(2) + "a", TypeError, ["+", "str"]),
    # values
    "item": (lambda: x(2).item(), RuntimeError, ["item()", "one element", "(2,)"]),
    "truth": (lambda: bool(x(2)), RuntimeError, ["ambiguous", "(2,)", "any()", "all()"]),
    "len": (lambda: len(x()), TypeError, ["len()", "0-dim"]),
    "numpy of a graph": (lambda: leaf(2).numpy(), RuntimeError, ["requires grad", ".detach().numpy()"]),
    "float as index": (lambda: [1, 2][x()], TypeError, ["integer", "float32"]),
    # devices
    "unknown device": (lambda: x(2).to("tpu"), (RuntimeError, TypeError), ["tpu"]),
    "device": (lambda: tensor.device("gpu"), RuntimeError, ["'gpu'", "'cpu'", "'cuda'"]),
    # autograd
    "backward of a matrix": (lambda: leaf(2, 2).exp().backward(), RuntimeError, ["(2, 2)", "gradient=", "sum()"]),
    "backward without grad": (lambda: x(2).sum().backward(), RuntimeError, ["does not require grad", "requires_grad"]),
    "backward twice": (twice_backward, RuntimeError, ["second time", "retain_graph=True"]),
    "wrong gradient": (
        lambda: leaf(2).exp().backward(x(3)),
        RuntimeError,
        ["gradient has shape (3,)", "the Tensor (2,)"],
    ),
    "stale value": (stale_exp, RuntimeError, ["backward of Exp", "`y`", "in place 1 time", "clone()"]),
    "leaf in place": (lambda: leaf(2).add_(1), RuntimeError, ["add_", "leaf", "no_grad()"]),
    "view of a leaf": (lambda: leaf(2)[0].zero_(), RuntimeError, ["zero_", "view of a leaf", "no_grad()"]),
    "expanded in place": (lambda: x(1).expand(3).add_(1), RuntimeError, ["add_", "expanded", "clone()"]),
    "grad unused": (lambda: tensor.grad(leaf(1) * 1, leaf(1)), RuntimeError, ["input 0", "allow_unused=True"]),
    "grad of a constant": (lambda: tensor.grad(leaf(1) * 1, x(1)), RuntimeError, ["input 0", "requires_grad_()"]),
    "create_graph": (
        lambda: tensor.grad(leaf(1) * 1, leaf(1), create_graph=True),
        RuntimeError,
        ["create_graph=True", "not supported"],
    ),
    "hook without grad": (lambda: x(2).register_hook(print), RuntimeError, ["register_hook()", "require grad"]),
    "retain_grad": (lambda: x(2).retain_grad(), RuntimeError, ["retain_grad()", "require grad"]),
    "requires_grad off": (
        lambda: leaf(2).exp().requires_grad_(False),
        RuntimeError,
        ["only be switched off on leaves", "detach()"],
    ),
    # gradcheck
    "gradcheck float32": (lambda: tensor.gradcheck(tensor.exp, [leaf(2)]), ValueError, ["input 0", "float64"]),
    "gradcheck nothing": (lambda: tensor.gradcheck(tensor.exp, [x(2)]), ValueError, ["no input requires grad"]),
}


@pytest.mark.parametrize("name", CASES)
def test_error_text(name):
    call, exception, fragments = CASES[name]
    with pytest.raises(exception) as caught:
        call()
    missing = [fragment for fragment in fragments if fragment not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"
