"""dtypes: PyTorch's names and promotion rules, conversions, and the names that the package exports."""

import itertools
import types

import numpy as np
import pytest
import torch
from compare import check, numbers, same_dtype

import tensor

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("name", [*NAMES, "half", "float", "double", "short", "int", "long"])
def test_name_of_a_dtype(name):
    assert same_dtype(getattr(tensor, name), getattr(torch, name))


@pytest.mark.parametrize(("a", "b"), list(itertools.product(NAMES, NAMES)))
def test_promote_types_and_can_cast(a, b):
    ours, theirs = (getattr(tensor, a), getattr(tensor, b)), (getattr(torch, a), getattr(torch, b))
    assert same_dtype(tensor.promote_types(*ours), torch.promote_types(*theirs))
    assert tensor.can_cast(*ours) == torch.can_cast(*theirs)


OPERANDS = {
    "float Tensor": lambda m: m.ones(2),
    "double Tensor": lambda m: m.ones(2, dtype=m.float64),
    "int Tensor": lambda m: m.ones(2, dtype=m.int32),
    "bool Tensor": lambda m: m.ones(2, dtype=m.bool),
    "0-dim double": lambda m: m.ones((), dtype=m.float64),
    "0-dim long": lambda m: m.ones((), dtype=m.int64),
    "float number": lambda m: 1.5,
    "int number": lambda m: 2,
    "bool number": lambda m: True,
}


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations_with_replacement(OPERANDS, 2)))
def test_result_type(a, b):
    ours = tensor.result_type(OPERANDS[a](tensor), OPERANDS[b](tensor))
    assert same_dtype(ours, torch.result_type(OPERANDS[a](torch), OPERANDS[b](torch)))


@pytest.mark.parametrize("method", ["half", "float", "double", "byte", "char", "short", "int", "long", "bool"])
def test_conversion_method(method):
    x = np.array([0.0, 1.5, 3.0])
    check(lambda x: getattr(x, method)(), lambda x: getattr(x, method)(), [x])
    ours = getattr(tensor.tensor([1.0]), method)()
    assert getattr(ours, method)() is ours


TO = [
    lambda m, x: x.to(m.float32),
    lambda m, x: x.to(dtype=m.float32),
    lambda m, x: x.to("cpu", m.float32),
    lambda m, x: x.to(m.ones(1, dtype=m.float32)),
    lambda m, x: x.to(m.device("cpu")),
    lambda m, x: x.type(m.float32),
    lambda m, x: x.type_as(m.ones(1, dtype=m.float32)),
    lambda m, x: x.cpu(),
]


@pytest.mark.parametrize("convert", TO)
def test_to(convert):
    check(lambda x: convert(tensor, x), lambda x: convert(torch, x), [numbers(3)], rtol=1e-6)


def test_to_what_it_is_already_gives_itself_unless_a_copy_is_asked_for():
    x = tensor.ones(2, requires_grad=True)
    assert x.to(tensor.float32) is x and x.cpu() is x and x.type_as(x) is x
    copy = x.to(tensor.float32, copy=True)
    copy.sum().backward()
    assert not np.shares_memory(copy.array, x.array)
    assert x.grad.tolist() == [1.0, 1.0]


def test_gradient_comes_back_in_the_dtype_of_the_leaf():
    x = tensor.ones(2, requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype == tensor.float32


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
@pytest.mark.parametrize("field", ["bits", "eps", "max", "min", "tiny", "smallest_normal"])
def test_finfo(name, field):
    ours, theirs = tensor.finfo(getattr(tensor, name)), torch.finfo(getattr(torch, name))
    assert getattr(ours, field) == getattr(theirs, field)


@pytest.mark.parametrize("name", ["uint8", "int8", "int32", "int64"])
@pytest.mark.parametrize("field", ["bits", "max", "min"])
def test_iinfo(name, field):
    ours, theirs = tensor.iinfo(getattr(tensor, name)), torch.iinfo(getattr(torch, name))
    assert getattr(ours, field) == getattr(theirs, field)


def test_questions_about_a_tensor():
    x = tensor.zeros(2, 3)
    assert tensor.is_tensor(x) and not tensor.is_tensor([1])
    assert tensor.is_floating_point(x) and not tensor.is_floating_point(x.long())
    assert tensor.numel(x) == x.numel() == 6
    assert isinstance(x.shape, tensor.Size)
    assert x.dtype == tensor.float32 and x.device == tensor.device("cpu")


@pytest.mark.parametrize("name", ["e", "inf", "nan", "pi"])
def test_constant(name):
    assert getattr(tensor, name) == getattr(torch, name) or name == "nan"


def test_nothing_but_public_names_is_exported():
    """Every name that is no module is one of torch's (a function or a method), or one of the engine's own."""
    own = {"Op", "GradcheckError", "bool_", "check_against_torch", "detect_anomaly", "grad", "gradcheck"}
    own |= {"namespace", "record"}
    names = {name for name, value in vars(tensor).items() if not isinstance(value, types.ModuleType)}
    theirs = {*dir(torch), *dir(torch.Tensor)}
    assert {name for name in names - theirs - own if not name.startswith("__")} == set()
