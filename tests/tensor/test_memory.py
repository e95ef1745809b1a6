"""Memory is given back by reference counts alone: the garbage collector is off in every test here."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import tensor
from tensor import Op, Tensor


@pytest.fixture(autouse=True)
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def engine_objects_in_cycles() -> list:
    """The Tensors and ops that only the garbage collector could free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = [thing for thing in gc.garbage if isinstance(thing, Tensor | Op)]
    gc.set_debug(0)
    gc.garbage.clear()
    return found


def parameters():
    rng = np.random.default_rng(0)
    shapes = [(8, 16), (16,), (16, 4), (4,)]
    return [tensor.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def loss_of(params, x, y):
    """A two-layer network that goes through matmul, broadcasting, views, indexing and a reduction."""
    w1, b1, w2, b2 = params
    h = (x @ w1 + b1).tanh()  # (B, 16)
    h = h.reshape(-1, 4, 4).transpose(1, 2).reshape(-1, 16)
    out = h @ w2 + b2  # (B, 4)
    logits = out - out.exp().sum(1, keepdim=True).log()
    return -logits[tensor.arange(len(y)), y].mean()


def train(params, steps):
    rng = np.random.default_rng(1)
    for _ in range(steps):
        x = tensor.tensor(rng.standard_normal((6, 8)))
        loss = loss_of(params, x, tensor.tensor(rng.integers(0, 4, 6)))
        for p in params:
            p.grad = None
        loss.backward()
        with tensor.no_grad():
            for p in params:
                p -= 0.01 * p.grad


def test_a_thousand_training_steps_leave_no_growth_and_no_cycle():
    params = parameters()
    train(params, 20)  # imports and caches of the first steps
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    train(params, 1000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # Python keeps up to 2000 freed tuples of each length for itself, about 350 kB in all. One Tensor kept a
    # step would be 300 kB more.
    assert grown < 500_000
    assert not engine_objects_in_cycles()


@pytest.mark.parametrize("backward", [True, False], ids=["after backward", "dropped without backward"])
def test_the_graph_is_freed_when_the_loss_goes(backward):
    params = parameters()
    seen = []

    class Tap(Op):
        """The identity, which lets the test watch its op and what that saved."""

        def forward(self, x):
            seen.append(weakref.ref(self))
            self.x = x
            return x.copy()

        def backward(self, dy):
            return dy

    x = tensor.tensor(np.ones((6, 8)))
    loss = Tap.apply(loss_of(params, x, tensor.zeros(6, dtype=tensor.int64))) * 2
    assert seen[0]() is not None
    if backward:
        loss.backward()
        assert seen[0]() is None  # ops go as backward passes, before the loss does
    del loss
    assert seen[0]() is None
    assert not engine_objects_in_cycles()


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x[0].mul_(2),
        lambda x: x.reshape(-1)[2:].add_(1),
        lambda x: x.__setitem__(0, x[1] * 2),
        lambda x: x.transpose(0, 1).mul_(x.detach().transpose(0, 1).clone()),
    ],
    ids=["row", "view of a view", "setitem", "transposed"],
)
def test_views_and_in_place_writes_make_no_cycle(program):
    x = tensor.tensor(np.ones((3, 3)), requires_grad=True)
    y = x * 1
    program(y)
    (y * y).sum().backward()
    alive = weakref.ref(y)
    del y
    assert alive() is None
    assert not engine_objects_in_cycles()


def test_hooks_and_retained_gradients_make_no_cycle():
    x = tensor.tensor(np.ones(3), requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    (y * y).sum().backward()
    alive = weakref.ref(y)
    del y
    assert alive() is None
    assert not engine_objects_in_cycles()


def test_an_error_in_backward_leaves_nothing_behind():
    x = tensor.tensor(np.ones(3), requires_grad=True) * 1
    y = x.log()
    x.add_(1)
    with pytest.raises(RuntimeError):
        y.sum().backward()
    alive = weakref.ref(y)
    del x, y
    assert alive() is None
