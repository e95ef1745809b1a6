"""Optimizers against torch.optim: the same parameters after 20 steps, in float64, for all options."""

import math

import numpy as np
import pytest
import torch
from compare import numbers

import nn
import tensor
from nn import optim

SHAPES = [(5, 3), (3,), ()]

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1, "amsgrad": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
]


def start():
    """The same parameters for both sides."""
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(SHAPES)]
    return [nn.Parameter(a.copy()) for a in arrays], [torch.nn.Parameter(torch.tensor(a)) for a in arrays]


def loss(parameters):
    """Something with a different gradient at every step."""
    w, b, c = parameters
    return (w * b).tanh().sum() + (b * b).sum() + (c - 2) ** 2


def run(parameters, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss(parameters).backward()
        optimizer.step()


def assert_equal(ours, theirs):
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(force=True), q.numpy(force=True), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v))
def test_twenty_steps(name, options, kernels):
    ours, theirs = start()
    run(ours, getattr(optim, name)(ours, **options), 20)
    run(theirs, getattr(torch.optim, name)(theirs, **options), 20)
    assert_equal(ours, theirs)


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v))
def test_a_step_on_clipped_gradients(name, options, kernels):
    """One pass over memory, and the gradients stay as they were."""
    ours, theirs = start()
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for _ in range(5):
        for parameters, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            loss(parameters).backward()
        before = [p.grad.clone() for p in ours]
        norm = nn.utils.get_total_norm(p.grad for p in ours)
        assert norm.item() > 0.5
        a.step(grad_factor=nn.utils.clip_factor(norm, 0.5))
        torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        b.step()
        assert all((p.grad.array == g.array).all() for p, g in zip(ours, before, strict=True))
    assert_equal(ours, theirs)


@pytest.mark.parametrize("factor", [0.25, np.float32(0.25), tensor.tensor(0.25)], ids=["number", "NumPy's", "Tensor"])
def test_the_factor_works_for_an_optimizer_of_ones_own(factor):
    class Descent(optim.Optimizer):
        def update(self, p, g, state, group):
            p.array -= group["lr"] * g

    p = nn.Parameter(tensor.tensor([3.0, 5.0]))
    optimizer = Descent([p], {"lr": 1.0, "weight_decay": 0.0})
    p.sum().backward()
    optimizer.step(grad_factor=factor.to(p.device) if isinstance(factor, tensor.Tensor) else factor)
    assert p.tolist() == [2.75, 4.75]
    assert p.grad.tolist() == [1, 1]
    assert p.dtype == tensor.float32


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_an_infinite_gradient_is_nan_by_a_factor_of_0(name):
    p = nn.Parameter(tensor.ones(3))
    p.grad = tensor.tensor([1e30, math.inf, math.nan])
    getattr(optim, name)([p], lr=0.1, weight_decay=0.0).step(grad_factor=0.0)
    np.testing.assert_array_equal(p.numpy(force=True), [1, math.nan, math.nan])


def groups(p):
    return [{"params": p[:1], "weight_decay": 0.3}, {"params": p[1:], "lr": 0.01, "weight_decay": 0.0}]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_parameter_groups(name):
    ours, theirs = start()
    a, b = getattr(optim, name)(groups(ours), lr=0.1), getattr(torch.optim, name)(groups(theirs), lr=0.1)
    run(ours, a, 5)
    run(theirs, b, 5)
    for optimizer in (a, b):
        optimizer.param_groups[0]["lr"] = 0.02  # as a schedule does
    run(ours, a, 5)
    run(theirs, b, 5)
    assert_equal(ours, theirs)


def test_add_param_group():
    ours, theirs = start()
    a, b = optim.AdamW(ours[:1], lr=0.1), torch.optim.AdamW(theirs[:1], lr=0.1)
    run(ours, a, 2)
    run(theirs, b, 2)
    a.add_param_group({"params": ours[1:], "lr": 0.05})
    b.add_param_group({"params": theirs[1:], "lr": 0.05})
    run(ours, a, 3)
    run(theirs, b, 3)
    assert_equal(ours, theirs)


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v))
def test_state_round_trip(name, options):
    """Stopping, saving and going on gives the very same numbers as going on."""
    straight, _ = start()
    run(straight, getattr(optim, name)(straight, **options), 6)
    first, _ = start()
    optimizer = getattr(optim, name)(first, **options)
    run(first, optimizer, 3)
    second = [nn.Parameter(p.detach().clone()) for p in first]
    resumed = getattr(optim, name)(second, **options)
    resumed.load_state_dict(optimizer.state_dict())
    run(second, resumed, 3)
    for p, q in zip(straight, second, strict=True):
        assert (p.array == q.array).all()


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v))
def test_state_from_torch(name, options):
    """A state_dict of torch's optimizer is understood, and ours has its layout."""
    ours, theirs = start()
    b = getattr(torch.optim, name)(theirs, **options)
    run(theirs, b, 3)
    ours = [nn.Parameter(q.numpy(force=True).copy()) for q in theirs]
    a = getattr(optim, name)(ours, **options)
    a.load_state_dict(b.state_dict())
    run(ours, a, 3)
    run(theirs, b, 3)
    assert_equal(ours, theirs)
    ours_state, torch_state = a.state_dict(), b.state_dict()
    assert list(ours_state) == ["state", "param_groups"]
    assert ours_state["param_groups"][0]["params"] == torch_state["param_groups"][0]["params"]
    for number, entries in ours_state["state"].items():
        for key, value in entries.items():
            np.testing.assert_allclose(
                value.numpy(force=True), torch_state["state"][number][key].numpy(force=True), rtol=1e-10
            )


def test_loaded_state_is_a_copy():
    ours, _ = start()
    optimizer = optim.Adam(ours)
    run(ours, optimizer, 1)
    state = optimizer.state_dict()
    other = optim.Adam(ours)
    other.load_state_dict(state)
    run(ours, other, 1)
    assert state["state"][0]["step"].item() == 1
    assert (state["state"][0]["exp_avg"].array == optimizer.state[ours[0]]["exp_avg"]).all()


def test_parameters_without_gradient_are_left_alone():
    a, b = nn.Parameter(tensor.ones(2)), nn.Parameter(tensor.ones(2))
    optimizer = optim.AdamW([a, b], lr=0.1)
    (a * 2).sum().backward()
    optimizer.step()
    assert b.tolist() == [1, 1]
    assert b not in optimizer.state


def test_transposed_parameter_and_gradient():
    array = numbers(3, 4)
    ours, theirs = nn.Parameter(tensor.tensor(array).transpose(0, 1)), torch.nn.Parameter(torch.tensor(array).T)
    for p, optimizer in ((ours, optim.AdamW([ours], lr=0.1)), (theirs, torch.optim.AdamW([theirs], lr=0.1))):
        for _ in range(3):
            optimizer.zero_grad()
            (p**3).sum().backward()
            optimizer.step()
    assert_equal([ours], [theirs])


def test_a_parameter_that_changed_its_dtype_or_shape_is_noticed():
    p = nn.Parameter(tensor.ones(2))
    optimizer = optim.AdamW([p])
    for replaced in (tensor.ones(2, dtype=tensor.float64), tensor.ones(3)):
        p.data, p.grad = tensor.ones(2), tensor.ones(2)
        optimizer.step()
        p.data, p.grad = replaced, tensor.ones_like(replaced)
        with pytest.raises(RuntimeError, match=r"AdamW: a parameter is float\d\d \(.,\) on .* make a new optimizer"):
            optimizer.step()


def test_closure():
    p = nn.Parameter(tensor.tensor([3.0]))
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        value = (p * p).sum()
        value.backward()
        return value

    assert optimizer.step(closure).item() == 9
    assert p.item() == pytest.approx(2.4)


def test_zero_grad():
    p = nn.Parameter(tensor.ones(2))
    optimizer = optim.SGD([p])
    p.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None


def test_a_step_between_forward_and_backward_is_noticed():
    p = nn.Parameter(tensor.ones(2))
    optimizer = optim.SGD([p], lr=0.1)
    y = (p * p).sum()
    p.grad = tensor.ones(2)
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_float32_stays_float32():
    p = nn.Parameter(tensor.ones(3))
    optimizer = optim.AdamW([p])
    p.sum().backward()
    optimizer.step()
    assert p.dtype == tensor.float32
    assert optimizer.state[p]["exp_avg"].dtype == tensor.float32


parameter = nn.Parameter(tensor.ones(2))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: optim.SGD([parameter], lr=-1), ValueError, "SGD: lr must be 0 or more, got -1"),
        (lambda: optim.SGD([parameter], momentum=-0.1), ValueError, "SGD: momentum must be 0 or more, got -0.1"),
        (lambda: optim.SGD([parameter], nesterov=True), ValueError, "nesterov needs momentum above 0 and dampening 0"),
        (
            lambda: optim.Adam([parameter], betas=(0.9, 1.0)),
            ValueError,
            r"Adam: betas\[1\] must be at least 0 and below 1",
        ),
        (lambda: optim.Adam([parameter], eps=-1), ValueError, "Adam: eps must be 0 or more, got -1"),
        (lambda: optim.AdamW([parameter], weight_decay=-1), ValueError, "AdamW: weight_decay must be 0 or more"),
        (lambda: optim.AdamW([{"params": [parameter], "lr": -2}]), ValueError, "AdamW: lr must be 0 or more, got -2"),
        (lambda: optim.Adam([]), ValueError, "Adam: got no parameters"),
        (lambda: optim.Adam(parameter), TypeError, "pass the parameters in a list"),
        (lambda: optim.Adam([3]), TypeError, "a parameter must be a Tensor, got int"),
        (lambda: optim.Adam([parameter * 2]), ValueError, "can only optimize leaves, not the result of Mul"),
        (lambda: optim.Adam([parameter, parameter]), ValueError, r"a parameter of shape \(2,\) is listed twice"),
        (
            lambda: optim.Adam([parameter]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
            ValueError,
            r"hold \[2\] parameters, this optimizer's \[1\]",
        ),
        (
            lambda: optim.Adam([parameter]).load_state_dict(
                {"state": {0: {"step": 1, "exp_avg": np.ones(3)}}, "param_groups": [{"params": [0]}]}
            ),
            ValueError,
            r"exp_avg of parameter 0 has shape \(3,\), the parameter \(2,\)",
        ),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
