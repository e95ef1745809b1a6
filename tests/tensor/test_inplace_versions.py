"""In-place writes to what backward still needs: for every pair of op and write, this engine raises exactly where
PyTorch does, and where neither raises the gradients are equal. So no in-place write gives a silently wrong gradient,
and none that PyTorch allows is refused. SAVED_FOR_ITS_SHAPE names the ops that save less here.
"""

import pytest
import torch

import tensor

# Each gets the module and a computed x of shape (2, 3), values between 0.5 and 1.5.
OPS = {
    "add": lambda T, x: x + 1,
    "mul by itself": lambda T, x: x * x,
    "mul by a constant": lambda T, x: x * T.tensor([1.0, 2.0, 3.0], dtype=T.float64),
    "mul by a number": lambda T, x: x * 2,
    "div": lambda T, x: 1 / x,
    "pow": lambda T, x: x**3,
    "exp": lambda T, x: x.exp(),
    "log": lambda T, x: x.log(),
    "sin": lambda T, x: x.sin(),
    "tanh": lambda T, x: x.tanh(),
    "sigmoid": lambda T, x: x.sigmoid(),
    "relu": lambda T, x: x.relu(),
    "sqrt": lambda T, x: x.sqrt(),
    "rsqrt": lambda T, x: x.rsqrt(),
    "abs": lambda T, x: x.abs(),
    "clamp": lambda T, x: x.clamp(0.7, 1.2),
    "square": lambda T, x: x.square(),
    "reciprocal": lambda T, x: x.reciprocal(),
    "expm1": lambda T, x: x.expm1(),
    "log1p": lambda T, x: x.log1p(),
    "erf": lambda T, x: x.erf(),
    "matmul": lambda T, x: x @ x.T,
    "matmul with a constant": lambda T, x: x @ T.ones(3, 2, dtype=T.float64),
    "sum": lambda T, x: x.sum(1),
    "mean": lambda T, x: x.mean(0),
    "prod": lambda T, x: x.prod(1),
    "max": lambda T, x: x.max(1).values,
    "amax": lambda T, x: x.amax(1),
    "var": lambda T, x: x.var(1),
    "norm": lambda T, x: x.norm(),
    "logsumexp": lambda T, x: x.logsumexp(1),
    "softmax": lambda T, x: x.softmax(1),
    "log_softmax": lambda T, x: x.log_softmax(1),
    "cumsum": lambda T, x: x.cumsum(1),
    "cumprod": lambda T, x: x.cumprod(1),
    "maximum": lambda T, x: T.maximum(x, T.ones(3, dtype=T.float64)),
    "where": lambda T, x: T.where(x > 1, x, 2 * x),
    "masked_fill": lambda T, x: x.masked_fill(x > 1, 0.0),
    "reshape": lambda T, x: x.reshape(3, 2),
    "transpose": lambda T, x: x.transpose(0, 1),
    "expand and add": lambda T, x: x.unsqueeze(0).expand(2, 2, 3) + 1,
    "cat": lambda T, x: T.cat([x, x]),
    "stack": lambda T, x: T.stack([x, x * 2]),
    "row": lambda T, x: x[0],
    "rows by index": lambda T, x: x[T.tensor([0, 0, 1])],
    "clone": lambda T, x: x.clone(),
    "sort": lambda T, x: x.sort(1).values,
    "gather": lambda T, x: x.gather(1, T.tensor([[0, 1], [2, 2]])),
    "einsum": lambda T, x: T.einsum("ij,kj->ik", x, x),
}

# PyTorch keeps the input of these, of which backward needs the shape alone: here it may be written.
SAVED_FOR_ITS_SHAPE = {"gather"}

# Each writes in place into x (the input) or y (the output).
WRITES = {
    "input times 2": lambda x, y: x.mul_(2),
    "input zeroed": lambda x, y: x.zero_(),
    "an element of the input": lambda x, y: x.__setitem__((0, 1), 5.0),
    "a row of the input": lambda x, y: x[1].add_(1),
    "the input through a chain of views": lambda x, y: x.transpose(0, 1)[1:].mul_(3),
    "the detached input": lambda x, y: x.detach().add_(1),
    "output times 2": lambda x, y: y.mul_(2),
    "output zeroed": lambda x, y: y.zero_(),
    "output through a view": lambda x, y: y.reshape(-1)[:1].add_(1),
    "the detached output": lambda x, y: y.detach().add_(1),
    "input, under no_grad": None,
    "nothing": lambda x, y: None,
}


def run(T, op, write):
    """The gradient that comes out, or "raises"."""
    leaf = T.tensor([[0.5, 0.75, 1.25], [1.5, 0.6, 1.1]], dtype=T.float64, requires_grad=True)
    x = leaf * 1
    y = OPS[op](T, x)
    try:
        if WRITES[write] is None:
            with T.no_grad():
                x.add_(1)
        else:
            WRITES[write](x, y)
        (y * y).sum().backward()
    except RuntimeError:
        return "raises"
    return leaf.grad.numpy()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("op", OPS)
def test_raises_exactly_where_pytorch_does(op, write):
    expected, found = run(torch, op, write), run(tensor, op, write)
    if op in SAVED_FOR_ITS_SHAPE and "input" in write:
        expected = run(torch, op, "nothing")
    assert isinstance(found, str) == isinstance(expected, str), f"PyTorch: {expected}, here: {found}"
    if not isinstance(found, str):
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "write",
    [
        lambda T, x: x.add_(1),
        lambda T, x: x.zero_(),
        lambda T, x: x.__setitem__(0, 5.0),
        lambda T, x: x[0].mul_(2),
        lambda T, x: x.view(-1).mul_(2),
        lambda T, x: x.transpose(0, 1)[0].zero_(),
    ],
    ids=["add_", "zero_", "setitem", "row", "view", "view of a view"],
)
@pytest.mark.parametrize("T", [tensor, torch], ids=["tensor", "torch"])
def test_a_leaf_that_requires_grad_cannot_be_written(T, write):
    x = T.ones(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError):
        write(T, x)
    assert x.detach().numpy().tolist() == [[1, 1], [1, 1]]
    with T.no_grad():
        write(T, x)
    assert x.detach().numpy().tolist() != [[1, 1], [1, 1]]


def test_the_error_names_the_op_and_counts_the_writes():
    x = tensor.tensor([1.0, 2.0], requires_grad=True) * 1
    y = x.log()
    x.add_(1)
    x.add_(1)
    with pytest.raises(RuntimeError, match=r"backward of Log needs the value `x` .* changed in place 2 time"):
        y.sum().backward()
