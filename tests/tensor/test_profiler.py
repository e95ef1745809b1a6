"""tensor.profiler: what each op takes is counted once, adds up to the whole, and watching changes no result."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

import tensor
from tensor import Op, profiler
from tensor.profiler import OUTSIDE, profile, record_function


def leaf(*shape):
    return tensor.ones(*shape, dtype=tensor.float64, requires_grad=True)


class Wait(Op):
    """y = x, after a while."""

    def forward(self, x, *, seconds):
        time.sleep(seconds)
        return x.copy()

    def backward(self, dy):
        return dy


class Outer(Op):
    """y = x, and other ops run inside."""

    def forward(self, x):
        return Wait.apply(tensor.from_numpy(x), seconds=0.05).array

    def backward(self, dy):
        return dy


def test_every_op_is_counted_forward_and_backward():
    x = leaf(3)
    with profile() as prof:
        y = (x * 2 + x * 3).exp()
        y.sum().backward()
        with tensor.no_grad():
            x.exp()
    counted = {name: (cost.calls, cost.backward_calls) for name, cost in prof.by_op().items() if name != OUTSIDE}
    assert counted == {"Mul": (2, 2), "Add": (1, 1), "Exp": (2, 1), "Sum": (1, 1)}


def test_costs_add_up_to_the_whole_block():
    x = leaf(64, 64)
    with profile() as prof:
        for _ in range(10):
            with record_function("product"):
                (x @ x).sum().backward()
    assert all(cost.forward >= 0 and cost.backward >= 0 for cost in prof.costs.values())
    for table in (prof.by_op(), prof.by_scope()):
        assert sum(cost.seconds for cost in table.values()) == pytest.approx(prof.seconds, abs=1e-4)


def test_an_op_inside_another_counts_once():
    with profile() as prof:
        Outer.apply(leaf(2)).sum().backward()
    costs = prof.by_op()
    assert costs["Wait"].forward >= 0.05 > costs["Outer"].forward
    assert prof.seconds < 0.1


def test_a_scope_has_the_forward_and_the_backward_of_its_ops():
    x = leaf(3)
    with profile() as prof:
        with record_function("outer"):
            y = x.exp()
            with record_function("inner"):
                y = y * 2
        y.sum().backward()
    counted = {
        (scope, name): (cost.calls, cost.backward_calls)
        for (scope, name), cost in prof.costs.items()
        if name != OUTSIDE
    }
    assert counted == {("outer", "Exp"): (1, 1), ("inner", "Mul"): (1, 1), ("", "Sum"): (1, 1)}


@pytest.mark.parametrize(
    "fn, forward, backward",
    [
        (lambda x: x.exp(), 800, 800),  # the result is what is saved
        (lambda x: x.log(), 800, 800),  # saves its input, which was there
        (lambda x: x.reshape(10, 10), 0, 0),  # views
        (lambda x: x.sum(), 0, 0),  # one number, and back one number seen 100 times
        (lambda x: x[:50], 0, 800),
    ],
    ids=["exp", "log", "reshape", "sum", "slice"],
)
def test_bytes_are_those_of_fresh_memory(fn, forward, backward):
    x = leaf(100)
    with profile() as prof:
        y = fn(x)
        y.backward(tensor.ones(y.shape, dtype=tensor.float64))
    (cost,) = (cost for name, cost in prof.by_op().items() if name != OUTSIDE)
    assert (cost.forward_bytes, cost.backward_bytes) == (forward, backward)


def test_counting_bytes_is_in_no_ones_time(monkeypatch):
    now = [0.0]  # of a clock that only counting moves

    def owners(values, owners=profiler._owners):
        now[0] += 1
        return owners(values)

    monkeypatch.setattr(profiler, "_owners", owners)
    monkeypatch.setattr(profiler, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    with profile() as prof:
        leaf(2).exp()
    assert now[0] > 0
    assert {prof.seconds, *[cost.seconds for cost in prof.costs.values()]} == {0}


def test_results_are_the_same_and_nothing_is_recorded_outside():
    def gradient():
        x = tensor.tensor([0.5, 2.0], requires_grad=True)
        (x.log() * x.exp()).sum().backward()
        return x.grad.tolist()

    plain = gradient()
    with profile() as prof:
        assert gradient() == plain
    before = len(prof.costs)
    with record_function("nobody listens"):
        gradient()
    assert len(prof.costs) == before


def test_an_error_in_the_block_ends_the_recording():
    with pytest.raises(RuntimeError), profile() as prof, record_function("step"):
        leaf(2) @ leaf(3)
    assert "step" in prof.by_scope()
    assert sum(cost.seconds for cost in prof.costs.values()) == pytest.approx(prof.seconds, abs=1e-4)
    leaf(2).exp()
    assert "Exp" not in prof.by_op()


def test_an_error_in_an_op_leaves_the_times_true():
    class Fails(Op):
        def forward(self, x):
            raise ValueError("no")

    with profile() as prof:
        with pytest.raises(ValueError, match="no"):
            Fails.apply(leaf(2))
        leaf(2).exp()
    assert prof.by_op()["Exp"].calls == 1
    assert np.isclose(sum(cost.seconds for cost in prof.costs.values()), prof.seconds, atol=1e-4)
