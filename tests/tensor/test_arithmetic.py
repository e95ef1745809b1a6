"""Arithmetic on two operands equals PyTorch's: values, dtypes and gradients, with broadcasting and at edge points."""

import numpy as np
import pytest
import torch
from compare import DEVICE, check, numbers, ours_and_theirs

import tensor

INF, NAN = float("inf"), float("nan")

ELEMENTWISE = [
    *("add", "sub", "mul", "div", "rsub", "remainder", "fmod", "maximum", "minimum", "fmax", "fmin"),
    *("atan2", "hypot", "logaddexp", "logaddexp2", "copysign", "float_power", "pow", "xlogy", "ldexp"),
]
NEED_POSITIVE_FIRST = {"pow", "float_power"}  # real powers of negative numbers are NaN
NEED_POSITIVE_SECOND = {"xlogy"}

SHAPES = {
    "same": ((3, 4), (3, 4)),
    "row": ((3, 4), (4,)),
    "column": ((3, 1), (1, 4)),
    "0-dim": ((), (2, 3)),
    "both 0-dim": ((), ()),
    "empty": ((0, 3), (1, 3)),
    "rank 5": ((2, 1, 2, 1, 3), (2, 1, 3, 1)),
}


def operands(name, shapes):
    a = numbers(*shapes[0], low=0.1 if name in NEED_POSITIVE_FIRST else -2)
    b = numbers(*shapes[1], seed=1, low=0.1 if name in NEED_POSITIVE_SECOND else -2)
    return [a, b]


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_function_of_two_tensors(name, shapes):
    check(*ours_and_theirs(name), operands(name, shapes))


@pytest.mark.parametrize("name", ["add", "mul", "pow", "maximum"])
def test_operands_that_are_not_contiguous(name):
    a, b = numbers(4, 3, low=0.1).T, numbers(6, 8, seed=1)[::2, ::2]
    check(*ours_and_theirs(name), [a, b])


OTHER_ARGUMENTS = [
    ("add", [numbers(3), numbers(3, seed=1)], {"alpha": 2.5}),
    ("add", [numbers(3), 2.0], {"alpha": -3}),
    ("sub", [numbers(3), numbers(3, seed=1)], {"alpha": 0.5}),
    ("rsub", [numbers(3), 2], {"alpha": 3}),
    ("rsub", [numbers(3), numbers(3, seed=1)], {"alpha": 3}),
    ("div", [numbers(3), numbers(3, seed=1)], {"rounding_mode": "floor"}),
    ("div", [numbers(3), numbers(3, seed=1)], {"rounding_mode": "trunc"}),
    ("div", [np.array([-7, 7, 8]), np.array([2, -2, 3])], {"rounding_mode": "trunc"}),
    ("div", [np.array([-7, 7, 8]), np.array([2, -2, 3])], {"rounding_mode": "floor"}),
    ("div", [np.array([2**62 + 1]), np.array([1])], {"rounding_mode": "trunc"}),
    ("div", [np.array([-7, 7]), 2.0], {"rounding_mode": "trunc"}),
    ("lerp", [numbers(3, 4), numbers(4, seed=1), 0.25], {}),
    ("lerp", [numbers(3, 4), numbers(4, seed=1), 0.75], {}),
    ("lerp", [numbers(3, 4), numbers(4, seed=1), numbers(3, 1, seed=2, low=0, high=1)], {}),
    ("lerp", [np.array([1e8], "float32"), np.array([1], "float32"), 1.0], {}),
    ("addcmul", [numbers(3, 4), numbers(3, 1, seed=1), numbers(4, seed=2)], {"value": 0.5}),
    ("addcdiv", [numbers(3, 4), numbers(3, 1, seed=1), numbers(4, seed=2, low=1)], {"value": 0.5}),
    ("square", [numbers(3)], {}),
    ("pow", [numbers(5), 0], {}),
    ("pow", [numbers(5), 1], {}),
    ("pow", [numbers(5), 2], {}),
    ("pow", [numbers(5), 3], {}),
    ("pow", [numbers(5), -1], {}),
    ("pow", [numbers(5, low=0.1), 0.5], {}),
    ("pow", [numbers(5, low=0.1), -0.5], {}),
    ("pow", [2.0, numbers(5)], {}),
    ("pow", [0, numbers(5, low=0)], {}),
    ("xlogy", [0, numbers(3)], {}),
    ("xlogy", [numbers(3), 2.0], {}),
    ("copysign", [numbers(3), -1.0], {}),
]


@pytest.mark.parametrize(("name", "inputs", "kwargs"), OTHER_ARGUMENTS)
def test_numbers_and_keyword_arguments(name, inputs, kwargs):
    check(*ours_and_theirs(name), inputs, kwargs)


TIES = np.array([1.0, 1.0, 2.0, 0.0, -0.0, NAN, 1.0, INF, -INF])
PARTNERS = np.array([1.0, 2.0, 1.0, 0.0, 0.0, 1.0, NAN, INF, INF])


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n not in ("ldexp", "logaddexp2")])
def test_gradient_at_kinks_zeros_and_infinities(name):
    check(*ours_and_theirs(name), [TIES, PARTNERS])


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 2, 3, -1])
def test_power_at_zero(exponent):
    check(tensor.pow, torch.pow, [np.array([0.0, 1.0, INF, NAN]), exponent])


def test_power_of_zero_has_no_gradient_in_its_exponent():
    check(tensor.pow, torch.pow, [np.zeros(4), np.array([0.0, 1.0, -1.0, 0.5])])


BOUNDS = [
    (numbers(7), -0.5, 0.5),
    (numbers(7), None, 0.5),
    (numbers(7), -0.5, None),
    (numbers(7), 1.0, -1.0),
    (np.array([-1.0, 0.0, 1.0, NAN]), -1.0, 1.0),
    (numbers(3, 4), numbers(4, seed=1, high=0), numbers(3, 1, seed=2, low=0)),
    (numbers(3, 4), numbers(4, seed=1), numbers(3, 1, seed=2)),
    (numbers(3, 4), numbers(4, seed=1), None),
    (numbers(3, 4), None, numbers(4, seed=1)),
    (np.array([1.0, 1.0]), np.array([1.0, 0.0]), np.array([2.0, 1.0])),
    (np.arange(5), 1, 3),
    (np.arange(5), 1.5, None),
    (np.array([True, False]), 0, 1),
]


@pytest.mark.parametrize(("x", "low", "high"), BOUNDS)
def test_clamp(x, low, high):
    check(tensor.clamp, torch.clamp, [x], {"min": low, "max": high})


@pytest.mark.parametrize("bound", [0.25, numbers(5, seed=1), np.array(0.25)], ids=["number", "tensor", "0-dim"])
@pytest.mark.parametrize("name", ["clamp_min", "clamp_max"])
def test_clamp_on_one_side(name, bound):
    check(*ours_and_theirs(name), [numbers(5), bound])


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}
INTEGER_OPERATORS = {
    "//": lambda a, b: a // b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
}


@pytest.mark.parametrize("sign", OPERATORS)
@pytest.mark.parametrize("number", [2, 2.5], ids=str)
def test_operator_with_a_number_on_either_side(sign, number):
    operator = OPERATORS[sign]
    check(lambda x: operator(x, number), lambda x: operator(x, number), [numbers(4, low=0.5)])
    rule = sign != "%"  # torch has no gradient for number % tensor
    check(lambda x: operator(number, x), lambda x: operator(number, x), [numbers(4, low=0.5)], gradients=rule)


@pytest.mark.parametrize("sign", INTEGER_OPERATORS)
def test_operator_on_integers(sign):
    operator = INTEGER_OPERATORS[sign]
    x, y = np.array([5, 1, 7, 2]), np.array([3, 1, 2, 4])
    check(operator, operator, [x, y])
    check(lambda a: operator(a, 3), lambda a: operator(a, 3), [x])
    check(lambda a: operator(9, a), lambda a: operator(9, a), [x])


@pytest.mark.parametrize("sign", ["&", "|", "^"])
def test_logic_operator_on_bools(sign):
    operator = INTEGER_OPERATORS[sign]
    check(operator, operator, [np.array([True, True, False, False]), np.array([True, False, True, False])])


@pytest.mark.parametrize("function", [lambda x: -x, lambda x: +x, abs], ids=["-x", "+x", "abs(x)"])
def test_unary_operator(function):
    check(function, function, [numbers(3, 4)])


def test_operator_with_an_array_gives_a_tensor():
    x, a = tensor.tensor([1.0, 2.0]), np.array([3.0, 4.0])
    for y in (x * a, a * x):
        assert isinstance(y, tensor.Tensor)
        assert y.tolist() == [3.0, 8.0]
        assert y.dtype == tensor.float64


def test_in_place_operator_with_an_array():
    x = tensor.tensor([1.0, 2.0])
    y = x
    y += np.array([3.0, 4.0], "float32")
    assert y is x and x.tolist() == [4.0, 6.0]


@pytest.mark.parametrize("other", [None, "two", [1, 2], {}], ids=repr)
def test_operator_with_what_is_no_number_is_python_s_type_error(other):
    with pytest.raises(TypeError, match="unsupported operand"):
        tensor.tensor([1.0, 2.0]) + other


DTYPES = ["bool", "uint8", "int64", "float16", "float32", "float64"]
if DEVICE == "cpu":  # each pair is a kernel to be compiled on a GPU
    DTYPES += ["int8", "int32"]


@pytest.mark.parametrize("b", DTYPES)
@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("name", ["add", "mul", "div", "maximum"])
def test_dtype_of_the_result(name, a, b):
    x, y, scalar = np.ones(2, a), np.ones(2, b), np.ones((), b)
    ours, theirs = ours_and_theirs(name)
    check(ours, theirs, [x, y], gradients=False)
    check(ours, theirs, [x, scalar], gradients=False)


@pytest.mark.parametrize("number", [True, 2, 2.5], ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["add", "mul", "div", "pow"])
def test_dtype_of_the_result_with_a_number(name, dtype, number):
    check(*ours_and_theirs(name), [np.ones(2, dtype), number], gradients=False)


def test_number_wraps_around_in_a_small_integer_dtype():
    x = np.array([44, 255], "uint8")
    check(tensor.add, torch.add, [x, 300])
    check(tensor.eq, torch.eq, [x, 300])
    check(tensor.eq, torch.eq, [x, -1])


IN_PLACE = [
    ("add_", [2.0], {"alpha": 3}),
    ("sub_", [2.0], {}),
    ("mul_", [numbers(4, seed=1)], {}),
    ("div_", [numbers(4, seed=1)], {}),
    ("pow_", [2], {}),
    ("remainder_", [0.7], {}),
    ("fmod_", [0.7], {}),
    ("clamp_", [-1.0, 1.0], {}),
    ("lerp_", [numbers(4, seed=1), 0.3], {}),
    ("addcmul_", [numbers(4, seed=1), numbers(4, seed=2)], {"value": 2}),
    ("addcdiv_", [numbers(4, seed=1), numbers(4, seed=2)], {"value": 2}),
]


@pytest.mark.parametrize(("name", "others", "kwargs"), IN_PLACE)
def test_in_place(name, others, kwargs):
    def run(x, *others, **kwargs):
        y = x * 1
        assert getattr(y, name)(*others, **kwargs) is y
        return y

    check(run, run, [numbers(3, 4, low=0.5), *others], kwargs)


@pytest.mark.parametrize("sign", ["+=", "-=", "*=", "/=", "**=", "%="])
def test_in_place_operator(sign):
    def run(x, y):
        z = x * 1
        scope = {"z": z, "y": y}
        exec(f"z {sign} y", scope)
        assert scope["z"] is z
        return z

    check(run, run, [numbers(4, low=0.5), numbers(4, seed=1, low=0.5)])


ERRORS = [
    (lambda x: tensor.add(x, tensor.zeros(2)), "add: shapes (3,) and (2,) do not broadcast: at dim -1"),
    (lambda x: tensor.add(1, 2), "add: at least one operand must be a Tensor, got int, int"),
    (lambda x: tensor.add(x, "two"), "expected a Tensor or a number, got str"),
    (lambda x: tensor.add(x.long(), x.long(), alpha=0.5), "add: alpha must be an integer for int64 Tensors, got 0.5"),
    (lambda x: x.bool() - x.bool(), "sub: bool Tensors cannot be subtracted: use ^ (logical_xor)"),
    (lambda x: -x.bool(), "neg: not defined for bool Tensors: use ~ (logical_not)"),
    (lambda x: tensor.div(x, x, rounding_mode="up"), "div: rounding_mode must be None, 'trunc' or 'floor', got 'up'"),
    (lambda x: x.long() // 0, "floor_divide: integer division by zero"),
    (lambda x: x.long() % 0, "remainder: integer division by zero"),
    (lambda x: tensor.fmod(x.long(), x.long() * 0), "fmod: integer division by zero"),
    (lambda x: x.long() ** -1, "pow: an integer Tensor has no integer power -1: call .float() first"),
    (lambda x: x.long() ** -x.long(), "pow: integers have no negative integer powers: call .float() first"),
    (lambda x: tensor.addcdiv(x, x.long(), x.long()), "addcdiv: integer division is not supported"),
    (lambda x: tensor.clamp(x), "clamp: at least one of min and max must be given"),
    (lambda x: x.requires_grad_() // 2, "FloorDivide has no gradient rule"),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text[:40] for _, text in ERRORS])
def test_error_says_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises((RuntimeError, TypeError)) as error:
        call(tensor.tensor([1.0, 2.0, 3.0]))
    assert text in str(error.value)
