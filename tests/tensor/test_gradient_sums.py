"""Sums of gradients: in place where an array is the engine's alone, and never in one that somebody else holds, too.

Each case has an array that two hold while something is added to one of them. Written to in place, it would change what
the other reads.
"""

import weakref

import numpy as np
import pytest
import torch

import tensor
from tensor.recompute import checkpoint

X = np.array([[1.0, 0.5], [0.25, 2.0]])


class Held(tensor.Op):
    """y = Σ c x, whose gradient is the very array that it has saved."""

    def forward(self, x, *, c):
        self.c = c
        return (c * x).sum()

    def backward(self, dy):
        return self.c


class Copied(tensor.Op):
    """y = x, whose gradient is a new array each time; `made` has weak references to them."""

    def forward(self, x, *, made):
        self.made = made
        return x * 1

    def backward(self, dy):
        dx = dy * 1
        self.made.append(weakref.ref(dx))
        return dx


def f(x):
    """Two ops, so that what the first one is given back is no longer in use when it is done."""
    return (x * x).exp()


def seed(T, x):
    """The gradient that the caller passes in goes through Add to x, where more is added."""
    dy = T.ones_like(x) * 3
    (x + f(x)).backward(dy)
    return dy, x.grad


def view_of_a_seed_first(T, x):
    dy = T.ones_like(x) * 3
    h = f(x).reshape(4)
    (h + x.reshape(4)).backward(dy.reshape(4))
    return dy, x.grad


def view_of_a_seed_last(T, x):
    dy = T.ones_like(x) * 3
    h = x.reshape(4)
    (h + f(x).reshape(4)).backward(dy.reshape(4))
    return dy, x.grad


def retained(T, x):
    """The residual stream, with a look at the gradient of every sum in it."""
    h = x * 0.1
    y = h + f(h)
    z = y + f(y)
    for t in (h, y, z):
        t.retain_grad()
    (z * z).sum().backward()
    return h.grad, y.grad, z.grad, x.grad


def view_of_a_retained(T, x):
    h = x * 0.1
    y = f(h).reshape(4)
    z = y + h.reshape(4)
    z.retain_grad()
    (z * z).sum().backward()
    return z.grad, x.grad


def captured(T, x):
    h = x * 0.1
    y = h + f(h)
    z = y + f(y)
    return (T.autograd.grad if T is torch else T.grad)((z * z).sum(), [z, y, h, x])


def kept_by_a_hook(T, x):
    kept = []
    y = x + f(x)
    y.register_hook(kept.append)
    (y * y).sum().backward()
    return *kept, x.grad


def part_kept_by_a_hook(T, x):
    kept = []
    y = x + f(x)
    y.register_hook(lambda g: kept.append(g[0]))
    (y * y).sum().backward()
    return *kept, x.grad


def replaced_by_a_hook(T, x):
    ours = T.ones_like(x) * 7
    y = x + f(x)
    y.register_hook(lambda g: ours)
    (y * y).sum().backward()
    return ours, x.grad


def two_leaves(T, x):
    """Both get the gradient of their sum; then each gets more."""
    other = x.detach().clone().requires_grad_()
    early = f(x) + f(other)
    ((x + other) * 3 + early).sum().backward()
    return x.grad, other.grad


def both_inputs(T, x):
    h = x * 2
    late = f(h)
    ((h + h) + late).sum().backward()
    return (x.grad,)


def transposed(T, x):
    """The second part is a view of the first."""
    h = x * x
    ((h.T + h) * x.detach()).sum().backward()
    return (x.grad,)


def split(T, x):
    """The parts' gradients are views of one array."""
    h = x * 2
    early = f(x)
    a, b = h.split(1, dim=1)
    both = T.cat((b, a), dim=1)
    ((both + h) * h + early).sum().backward()
    return (x.grad,)


def expanded(T, x):
    """The gradient of a sum is one number, seen in many places."""
    h = f(x)
    (h.sum() + x.sum()).backward()
    return (x.grad,)


def without_dims(T, x):
    h = x.sum() * 0.1
    y = h + f(h)
    y.retain_grad()
    (y * y).backward()
    return y.grad, x.grad


def twice(T, x):
    y = (x + f(x)).sum() + f(x).sum()
    y.backward(retain_graph=True)
    first = x.grad.clone()
    y.backward()
    return first, x.grad


def added_to_grad(T, x):
    (x + x * x).sum().backward()
    grad = x.grad
    (x + f(x)).sum().backward()
    return grad, x.grad


CASES = [
    seed,
    view_of_a_seed_first,
    view_of_a_seed_last,
    retained,
    view_of_a_retained,
    captured,
    kept_by_a_hook,
    part_kept_by_a_hook,
    replaced_by_a_hook,
    two_leaves,
    both_inputs,
    transposed,
    split,
    expanded,
    without_dims,
    twice,
    added_to_grad,
]


def run(T, case) -> list:
    x = T.tensor(X, dtype=T.float64, requires_grad=True)
    return [g.detach().numpy() for g in case(T, x)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_no_sum_is_written_where_somebody_else_reads(case):
    for ours, theirs in zip(run(tensor, case), run(torch, case), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("uses", [1, 2, 3])
def test_an_array_that_an_op_has_saved_stays_as_it_is(uses):
    c = np.array([[2.0, 3.0], [4.0, 6.0]])
    x = tensor.tensor(X, requires_grad=True)
    y = sum(Held.apply(x, c=c) for _ in range(uses))
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(c, [[2, 3], [4, 6]])
    np.testing.assert_array_equal(x.grad.numpy(), 2 * uses * c)


def test_a_leaf_used_inside_and_outside_a_checkpoint():
    gradients = []
    for call in (checkpoint, lambda function, *args: function(*args)):
        x = tensor.tensor(X, requires_grad=True)
        h = x * 2
        y = call(lambda h, x=x: h + x * h, h) + h
        (y + call(lambda y: y + y, y)).sum().backward()
        gradients.append(x.grad.numpy())
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, made: Copied.apply(x, made=made) * Copied.apply(x, made=made),
        lambda x, made: x + Copied.apply(x, made=made),  # the residual stream: x gets dy itself, and then a part
        lambda x, made: Copied.apply(x, made=made) + x.T,  # a part that is a view, and one that is not
        lambda x, made: x.T + Copied.apply(x, made=made),
    ],
    ids=["own and own", "dy and own", "own and view", "view and own"],
)
def test_a_sum_takes_no_memory_where_a_part_is_the_engines_own(fn):
    made = []
    x = tensor.tensor(X, requires_grad=True)
    y = Copied.apply(fn(x, made), made=made)
    (y * y).sum().backward()
    assert any(array() is x.grad.array for array in made)
