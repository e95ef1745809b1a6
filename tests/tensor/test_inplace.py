"""Programs that write in place, through views too, run on both libraries: the same values, the same gradients."""

import pytest
import torch
from compare import numbers

import tensor
from tensor.inplace import assign

# Each computes something from the leaves x (3, 4) and v (4,). Written to are computed Tensors: y = x * 1.
PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


@program
def add_to_a_row(T, x, v):
    y = x * 1
    y[1] += v
    return y * y


@program
def overwrite_a_row(T, x, v):
    y = x * 2
    y[1] = v
    return y * y


@program
def overwrite_with_itself(T, x, v):
    y = x * 2
    y[0] = y[2]
    return y * y


@program
def overwrite_everything(T, x, v):
    y = x * 2
    y[:] = v
    return y * x


@program
def view_taken_before_the_write_sees_it(T, x, v):
    y = x * 1
    row = y[1]
    y.mul_(3)
    return row * row


@program
def view_taken_before_a_write_to_another_view(T, x, v):
    y = x * 1
    row, column = y[1], y[:, 2]
    column.mul_(v[0])
    return row * v + y.sum()


@program
def write_to_a_view_of_a_view(T, x, v):
    y = x * 1
    y.transpose(0, 1)[1:].view(-1, 3)[0].mul_(v[:3])
    return y * y


@program
def write_through_reshape(T, x, v):
    y = x * 1
    y.view(2, 6)[:, ::2] *= 5
    return y * y


@program
def write_through_split(T, x, v):
    y = x * 1
    for i, part in enumerate(y.detach().split(2, dim=1)):
        y[:, 2 * i : 2 * i + 2] = part.sum() * v[:2]
    return y * y


@program
def write_through_the_diagonal(T, x, v):
    y = x * 1
    y.diagonal().mul_(v[:3])
    y.diagonal(1)[0] = 4.0
    return y * x


@program
def one_element(T, x, v):
    y = x * 1
    y[0, 1] = v[2]
    y[2, 3] *= 2
    return y * y


@program
def masked_write(T, x, v):
    y = x * 1
    y[y > 0] = 0.5
    y[y < -1] *= v[0]
    return y * x


@program
def write_by_index(T, x, v):
    y = x * 1
    y[T.tensor([2, 0])] = v
    y[:, T.tensor([1, 3])] += 1
    return y * y


@program
def write_by_index_of_a_view(T, x, v):
    y = x * 1
    y[1:][T.tensor([0, 1]), T.tensor([3, 2])] = v[:2]
    return y * y


@program
def into_a_buffer_without_history(T, x, v):
    out = T.zeros(3, 4, dtype=T.float64)
    for t in range(3):
        out[t] = x[t] * v + (out[t - 1] if t else 0)
    return out


@program
def fill_and_zero(T, x, v):
    y = x * 1
    y[0].zero_()
    y[1].fill_(v[0])
    y[2, 1:].fill_(3)
    return y * y


@program
def everything_zeroed(T, x, v):
    y = x * v
    y.zero_()
    return y + x


@program
def copy_in(T, x, v):
    y = x * 1
    y.copy_(v)
    y[1].copy_(x[0])
    return y * y


@program
def copy_converts(T, x, v):
    y = T.zeros(4, dtype=T.float32)
    y.copy_(v)
    return y.double()


@program
def named_in_place_forms(T, x, v):
    index = T.tensor([[0, 2, 1, 0]])
    y = x * 1
    y.masked_fill_(x > 1, v[0])
    y.index_fill_(1, T.tensor([0]), 2.0)
    y.index_add_(0, T.tensor([0, 0]), x[1:])
    y.index_copy_(0, T.tensor([2]), v.reshape(1, 4))
    y.scatter_(0, index, v.reshape(1, 4))
    y.scatter_add_(0, index, v.reshape(1, 4))
    y.tril_(1).cumsum_(1)
    return y * y


@program
def clone_is_untouched(T, x, v):
    y = x * 1
    z = y.clone()
    y[0] = 0
    return z * y


@program
def several_writes_to_one_place(T, x, v):
    y = x * 1
    for _ in range(3):
        y[0] = y[0].clone() * v + y[1]
    return y


def leaves(library):
    make = tensor.from_numpy if library is tensor else torch.from_numpy
    return make(numbers(3, 4)).requires_grad_(), make(numbers(4, seed=1)).requires_grad_()


def run(name, library):
    """The result, and the gradient of each leaf, as NumPy arrays (None where there is none)."""
    x, v = leaves(library)
    result = PROGRAMS[name](library, x, v)
    (result * result).sum().backward()
    return [result.detach().numpy(), *(None if leaf.grad is None else leaf.grad.numpy() for leaf in (x, v))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    for ours, theirs in zip(run(name, tensor), run(name, torch), strict=True):
        if theirs is None:
            assert ours is None or not ours.any()
        else:
            assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_without_gradients(name):
    with tensor.no_grad(), torch.no_grad():
        ours = PROGRAMS[name](tensor, *leaves(tensor))
        theirs = PROGRAMS[name](torch, *leaves(torch))
    assert ours.numpy() == pytest.approx(theirs.numpy(), rel=1e-12)


def test_parts_of_a_split_are_views():
    x = tensor.zeros(2, 6)
    q, k, v = x.split(2, dim=1)
    k.add_(1)
    v[0] = 5.0
    assert x.tolist() == [[0, 0, 1, 1, 5, 5], [0, 0, 1, 1, 0, 0]]
    assert q.tolist() == [[0, 0], [0, 0]]


def test_parts_of_a_split_know_each_others_writes():
    x = tensor.tensor(numbers(2, 4), requires_grad=True)
    y = x * 1
    left, right = y.split(2, dim=1)
    left.mul_(right)  # torch refuses to write to one of several views, here it is exact
    (y * y).sum().backward()

    z = x.detach().requires_grad_()
    a, b = z[:, :2], z[:, 2:]
    ((a * b) ** 2 + b**2).sum().backward()
    assert x.grad.numpy() == pytest.approx(z.grad.numpy(), rel=1e-12)


def test_a_saved_part_that_is_written_makes_backward_raise():
    x = tensor.ones(4, requires_grad=True)
    y = x * 1
    left, right = y.split(2)
    loss = (left * right).sum()
    left.zero_()
    with pytest.raises(RuntimeError, match="backward of Mul needs the value `a`"):
        loss.backward()


def test_a_stale_saved_value_is_not_rescued_by_a_later_write():
    leaf = tensor.ones(3, requires_grad=True)
    x = leaf * 1
    v = x * x  # saves x,
    x += 1  # which is another x now;
    assign(x, v, "write")  # writing v there must not pass the new x off as the saved one
    with pytest.raises(RuntimeError, match="backward of Mul needs the value `a`"):
        x.sum().backward()


ERRORS = [
    (
        lambda x: x.fill_(1.0),
        "fill_: a leaf that requires grad cannot be written in place, its gradient would be lost. "
        "Do it under no_grad(), or out of place",
    ),
    (
        lambda x: (x * 1).expand(2, 3, 4).fill_(1.0),
        "fill_: this is an expanded view, its elements share places in memory: clone() it first",
    ),
    (
        lambda x: (x * 1).copy_(tensor.ones(3)),
        "copy_: a value of shape (3,) does not broadcast to (3, 4), the shape of what is written",
    ),
    (
        lambda x: tensor.tensor([1, 2]).fill_(0.5),
        "fill_: a floating value cannot fill a Tensor of int64: convert one of them",
    ),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text[:40] for _, text in ERRORS])
def test_error(call, text):
    with pytest.raises(RuntimeError) as raised:
        call(leaves(tensor)[0])
    assert str(raised.value) == text
