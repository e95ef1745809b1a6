"""The tools that hold gradients to the truth must themselves notice every kind of wrong gradient."""

import builtins

import numpy as np
import pytest

import tensor
from tensor import GradcheckError, Op


def leaf(*shape, seed=0):
    return tensor.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


class WrongAt(Op):
    """x², whose derivative is off at one element."""

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        dx = 2 * self.x * dy
        dx[1, 2] += 0.5 * dy[1, 2]
        return dx


@pytest.mark.parametrize(
    "fn, shapes",
    [
        (lambda x: (x * x).tanh(), [(3, 4)]),
        (lambda x: x.sum(), [()]),
        (lambda x, w: (x @ w, x.exp()), [(2, 3), (3, 2)]),
        (lambda x: x[0:0], [(2,)]),
        (lambda x: x * 0, [(0, 3)]),
    ],
    ids=["matrix", "0-dim", "several outputs", "empty output", "empty input"],
)
def test_right_gradients_pass(fn, shapes):
    assert tensor.gradcheck(fn, [leaf(*shape, seed=i) for i, shape in enumerate(shapes)])


def test_the_worst_element_is_named():
    x = leaf(2, 3)
    with pytest.raises(GradcheckError) as caught:
        tensor.gradcheck(lambda a, x: WrongAt.apply(x), [leaf(2), x])
    true = 2 * x[1, 2].item()
    for part in ("input 1 of 2, element (1, 2)", "output 0", f"{true + 0.5:.6g}", f"{true:.6g}"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "fn",
    [
        WrongAt.apply,
        lambda x: x.detach() * x,  # a dropped path
        lambda x: x.detach() * 2,  # a dropped graph
        lambda x: (x.log(), x * 2)[0],  # NaN on one side
    ],
    ids=["wrong", "dropped path", "dropped graph", "nan"],
)
def test_wrong_gradients_return_false_without_raise_exception(fn):
    x = tensor.tensor(-np.ones((2, 3)), requires_grad=True)
    assert tensor.gradcheck(fn, [x], raise_exception=False) is False


def test_inputs_are_left_as_they_were():
    x = leaf(2, 3)
    before = x.tolist()
    tensor.gradcheck(lambda x: x.exp(), [x])
    assert x.tolist() == before and x.grad is None


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: [tensor.ones(2, requires_grad=True)], "input 0 is float32; differences need float64"),
        (lambda: [tensor.tensor([1.0])], "no input requires grad"),
        (lambda: [leaf(1).detach().expand(3).requires_grad_()], "elements of input 0 share memory"),
        (lambda: [(x := leaf(3)), x.detach().requires_grad_()], "elements of input 0 share memory"),
    ],
    ids=["float32", "no grad", "expanded", "two of one memory"],
)
def test_unfit_inputs_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        tensor.gradcheck(lambda *xs: sum(x.sum() for x in xs), make())


def test_unfit_functions_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two different results"):
        tensor.gradcheck(lambda x: x * rng.standard_normal(), [leaf(2)])
    with pytest.raises(ValueError, match="output 0 is float32"):
        tensor.gradcheck(lambda x: x.float(), [leaf(2)])
    with pytest.raises(ValueError, match="no floating-point Tensor"):
        tensor.gradcheck(lambda x: x > 0, [leaf(2)])


def test_against_torch_gives_the_differences_by_input():
    x, w = leaf(3, 4), leaf(4, 2, seed=1)
    differences = tensor.check_against_torch(lambda T, x, w: T.tanh(x @ w), [x, w])
    assert list(differences) == ["output 0", "grad of input 0", "grad of input 1"]
    assert max(differences.values()) < 1e-14
    assert x.grad is None


@pytest.mark.parametrize(
    "fn, report",
    [
        (lambda T, x: x * 2 if T is tensor else x * 2.001, r"output 0: max difference 0\.00\d+: differs"),
        (lambda T, x: WrongAt.apply(x) if T is tensor else x * x, "grad of input 0: max difference .*: differs"),
        (lambda T, x: x.detach() * x if T is tensor else x * x, "grad of input 0: max difference .*: differs"),
        (lambda T, x: x.float() if T is tensor else x, "output 0: float32 .* here, float64 .* in PyTorch: differs"),
        (lambda T, x: x[None] if T is tensor else x, r"output 0: float64 \(1, 2, 3\) here, float64 \(2, 3\) in"),
        (lambda T, x: (x, x) if T is tensor else x, r"this engine gave \['output 0', 'output 1'"),
    ],
    ids=["value", "gradient", "dropped path", "dtype", "shape", "number of outputs"],
)
def test_against_torch_reports_every_kind_of_difference(fn, report):
    with pytest.raises(GradcheckError, match=report):
        tensor.check_against_torch(fn, [leaf(2, 3)])


def test_without_torch_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match="pip install torch"):
        tensor.check_against_torch(lambda T, x: x, [leaf(2)])
