"""For random shapes (rank 0 to 5, lengths 0 and 1 among them), dtypes, dims and non-contiguous views: results, result
dtypes and gradients are PyTorch's. Tables of function names, one property a family.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import DTYPES, NUMBERS, broadcast_shapes, dims, examples, operands, same_as_torch, shapes

ANYWHERE, POSITIVE, UNIT = (-2.0, 2.0), (0.1, 3.0), (-0.9, 0.9)
UNARY = {
    **dict.fromkeys(["abs", "sign", "neg", "exp", "expm1", "exp2", "sin", "cos", "tanh", "sinh", "cosh"], ANYWHERE),
    **dict.fromkeys(["atan", "asinh", "erf", "sigmoid", "relu", "square", "floor", "ceil", "trunc"], ANYWHERE),
    **dict.fromkeys(["round", "frac", "isnan", "isfinite", "logical_not", "reciprocal", "tan"], ANYWHERE),
    **dict.fromkeys(["log", "log2", "log10", "log1p", "sqrt", "rsqrt"], POSITIVE),
    **dict.fromkeys(["asin", "acos", "atanh"], UNIT),
}
BINARY = {
    **dict.fromkeys(["add", "sub", "mul", "maximum", "minimum", "fmax", "fmin"], ANYWHERE),
    **dict.fromkeys(["eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"], ANYWHERE),
    **dict.fromkeys(["div", "floor_divide", "remainder", "fmod", "pow", "atan2"], (1.1, 2.9)),  # no division by 0
}
NO_GRADIENT = {"floor_divide"}  # refused forward here; PyTorch refuses in backward
TENSORS_ALONE = {"maximum", "minimum", "fmax", "fmin", "logical_and", "logical_or", "logical_xor", "atan2"}
FLOAT_BINARY = ["logaddexp", "hypot", "copysign", "atan2"]
REDUCTIONS = ["sum", "mean", "amax", "amin", "logsumexp", "var", "std", "norm"]
REDUCTIONS_OF_NUMBERS = ["sum", "all", "any", "amax", "amin", "count_nonzero"]
ONE_DIM = ["prod", "max", "min", "argmax", "argmin", "cumsum", "cumprod", "logcumsumexp", "median", "softmax"]
ONE_DIM += ["log_softmax", "sort", "argsort", "cummax", "cummin"]


@pytest.mark.parametrize("name", UNARY)
@examples
@given(data=st.data())
def test_unary(name, data):
    low, high = UNARY[name]
    x = data.draw(operands(low=low, high=high))
    same_as_torch(lambda T, x: getattr(T, name)(x), x)
    same_as_torch(lambda T, x: getattr(x, name)(), x)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("round", "reciprocal", "tan", "frac")])
@examples
@given(data=st.data())
def test_unary_of_integers_and_bools(name, data):
    x = data.draw(operands(dtypes=("int64", "uint8", "int32", "bool"), low=0, high=1))
    same_as_torch(lambda T, x: getattr(T, name)(x), x, rtol=2e-4)


@pytest.mark.parametrize("name", BINARY)
@examples
@given(data=st.data())
def test_binary_with_broadcasting(name, data):
    a, b = (data.draw(operands(s, low=BINARY[name][0], high=BINARY[name][1])) for s in data.draw(broadcast_shapes()))
    a.requires_grad = b.requires_grad = a.requires_grad and name not in NO_GRADIENT
    same_as_torch(lambda T, a, b: getattr(T, name)(a, b), a, b)


@pytest.mark.parametrize("name", FLOAT_BINARY)
@examples
@given(data=st.data())
def test_binary_of_floats(name, data):
    a, b = (data.draw(operands(s)) for s in data.draw(broadcast_shapes()))
    same_as_torch(lambda T, a, b: getattr(T, name)(a, b), a, b)


@pytest.mark.parametrize("name", [n for n in BINARY if n not in ("fmax", "fmin")])
@examples
@given(data=st.data())
def test_binary_promotes_dtypes(name, data):
    low, high = BINARY[name]
    dtypes = NUMBERS if name in ("sub", "pow", "div", "floor_divide", "remainder", "fmod") else DTYPES  # no bools
    if name == "atan2":  # the sign of an unsigned integer is lost in PyTorch's gradient
        dtypes = ("float32", "int64", "float64", "int8")
    a, b = (data.draw(operands(s, dtypes=dtypes, low=low, high=high)) for s in data.draw(broadcast_shapes()))
    a.requires_grad, b.requires_grad = (x.requires_grad and name not in NO_GRADIENT for x in (a, b))
    same_as_torch(lambda T, a, b: getattr(T, name)(a, b), a, b)


@pytest.mark.parametrize("name", [n for n in BINARY if n not in TENSORS_ALONE])
@examples
@given(data=st.data())
def test_binary_with_a_number(name, data):
    x = data.draw(operands(dtypes=NUMBERS, low=BINARY[name][0], high=BINARY[name][1]))
    number = data.draw(st.sampled_from([2, 3, 1.5, 2.5]))
    x.requires_grad = x.requires_grad and name not in NO_GRADIENT
    same_as_torch(lambda T, x: getattr(T, name)(x, number), x, rtol=2e-4)


OPERATORS = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "x // y": lambda x, y: x // y,
    "x % y": lambda x, y: x % y,
    "x ** y": lambda x, y: x**y,
    "x < y": lambda x, y: x < y,
    "x >= y": lambda x, y: x >= y,
    "x == y": lambda x, y: x == y,
    "x != y": lambda x, y: x != y,
}


@pytest.mark.parametrize("name", OPERATORS)
@examples
@given(data=st.data())
def test_operators_on_both_sides(name, data):
    fn = OPERATORS[name]
    a, b = (data.draw(operands(s, dtypes=NUMBERS, low=1.1, high=2.9)) for s in data.draw(broadcast_shapes()))
    number = data.draw(st.sampled_from([2, 1.5]))
    if name in ("x // y", "x % y"):  # PyTorch has no derivative of these for each kind of operand
        a.requires_grad = b.requires_grad = False
    same_as_torch(lambda T, a, b: fn(a, b), a, b, rtol=2e-4)
    same_as_torch(lambda T, a: fn(a, number), a, rtol=2e-4)
    same_as_torch(lambda T, a: fn(number, a), a, rtol=2e-4)


TERNARY = {
    "where": lambda T, a, b, c: T.where(a > b, b, c),
    "lerp": lambda T, a, b, c: T.lerp(a, b, c),
    "addcmul": lambda T, a, b, c: T.addcmul(a, b, c, value=0.5),
    "addcdiv": lambda T, a, b, c: T.addcdiv(a, b, c + 5, value=0.5),
    "clamp": lambda T, a, b, c: T.clamp(a, b - 2, c + 2),
}


@pytest.mark.parametrize("name", TERNARY)
@examples
@given(data=st.data())
def test_ternary(name, data):
    shapes_ = data.draw(broadcast_shapes(3))
    if name == "clamp":  # the bounds' shapes fit into x's: PyTorch's backward fails for others
        shapes_[0] = np.broadcast_shapes(*shapes_)
    three = [data.draw(operands(s, dtypes=("float64",))) for s in shapes_]
    same_as_torch(TERNARY[name], *three)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")
@pytest.mark.parametrize("name", REDUCTIONS)
@examples
@given(data=st.data())
def test_reductions(name, data):
    x = data.draw(operands())
    dim, keepdim = data.draw(dims(len(x.shape))), data.draw(st.booleans())
    if name == "norm" and isinstance(dim, tuple):
        dim = dim[:2]  # PyTorch takes norms of matrices at most
    if dim is None:
        if name != "logsumexp":
            same_as_torch(lambda T, x: getattr(T, name)(x), x)
        return
    if name in ("var", "std"):
        correction = data.draw(st.sampled_from([0, 1]))
        same_as_torch(lambda T, x: getattr(x, name)(dim=dim, keepdim=keepdim, correction=correction), x)
    same_as_torch(lambda T, x: getattr(x, name)(dim=dim, keepdim=keepdim), x)


@pytest.mark.parametrize("name", REDUCTIONS_OF_NUMBERS)
@examples
@given(data=st.data())
def test_reductions_of_all_dtypes(name, data):
    x = data.draw(operands(dtypes=("int64", "uint8", "int32", "bool", "float32"), low=0, high=1))
    dim = data.draw(dims(len(x.shape)))
    same_as_torch(lambda T, x: getattr(T, name)(x) if dim is None else getattr(T, name)(x, dim=dim), x)


@pytest.mark.parametrize("name", ONE_DIM)
@examples
@given(data=st.data())
def test_functions_of_one_dim(name, data):
    x = data.draw(operands(dtypes=("float64",)))
    if x.layout == "expanded":  # repeated values are ties, and which of equals is taken is not specified
        x.layout, x.array = "plain", x.array.repeat(1).reshape(x.array.shape)
        x.shape = x.array.shape
    dim = data.draw(dims(len(x.shape), several=False))
    same_as_torch(lambda T, x: getattr(T, name)(x, dim=dim), x)


SHAPE = {
    "flatten": lambda d, n: (d(0, n - 1), -1),
    "transpose": lambda d, n: (d(), d()),
    "swapaxes": lambda d, n: (d(), d()),
    "movedim": lambda d, n: (d(), d()),
    "unsqueeze": lambda d, n: (d(-n - 1, n),),
    "squeeze": lambda d, n: (d(),),
    "flip": lambda d, n: (d(),),
    "roll": lambda d, n: (d(-5, 5), d()) if n else (d(-5, 5),),
    "unbind": lambda d, n: (d(),),
    "chunk": lambda d, n: (d(1, 4), d()),
    "split": lambda d, n: (d(1, 3), d()),
    "tensor_split": lambda d, n: (d(1, 4), d()),
    "narrow": lambda d, n: (d(), d(0, 2), d(0, 2)),
    "select": lambda d, n: (d(), d(-3, 3)),
    "repeat_interleave": lambda d, n: (d(0, 3), d()) if n else (d(0, 3),),
    "unfold": lambda d, n: (d(), d(1, 2), d(1, 2)),
    "tril": lambda d, n: (d(-3, 3),),
    "triu": lambda d, n: (d(-3, 3),),
    "diagonal": lambda d, n: (d(-2, 2), d(), d()),
    "diag_embed": lambda d, n: (d(-2, 2),),
    "rot90": lambda d, n: (d(-3, 5), [d(), d()]),
    "ravel": lambda d, n: (),
    "clone": lambda d, n: (),
    "repeat": lambda d, n: tuple(d(0, 2) for _ in range(n + d(0, 1))),
    "tile": lambda d, n: (tuple(d(0, 2) for _ in range(d(0, n + 1))),),
    "hsplit": lambda d, n: (d(1, 3),),
}


@pytest.mark.parametrize("name", SHAPE)
@examples
@given(data=st.data())
def test_shape_functions(name, data):
    x = data.draw(operands(dtypes=("float64", "int64", "bool")))
    n = len(x.shape)

    def integer(low=None, high=None):
        low, high = (-max(n, 1), max(n, 1) - 1) if low is None else (low, max(low, high))
        return data.draw(st.integers(low, high))

    arguments = SHAPE[name](integer, n)
    same_as_torch(lambda T, x: getattr(x, name)(*arguments), x)


@examples
@given(data=st.data())
def test_reshape_and_view(data):
    x = data.draw(operands())
    shape = list(data.draw(st.permutations(x.shape)))
    if shape and data.draw(st.booleans()):
        shape[data.draw(st.integers(0, len(shape) - 1))] = -1
    same_as_torch(lambda T, x: x.reshape(shape), x)
    same_as_torch(lambda T, x: x.view(shape), x)  # refused where a copy would be needed


@examples
@given(data=st.data())
def test_expand_and_permute(data):
    x = data.draw(operands())
    order = data.draw(st.permutations(range(len(x.shape))))
    negative = [d - len(x.shape) for d in order]
    same_as_torch(lambda T, x: x.permute(negative), x)
    narrow = data.draw(operands(tuple(1 if data.draw(st.booleans()) else n for n in x.shape)))
    wide = [-1 if before == after else after for before, after in zip(narrow.shape, x.shape, strict=True)]
    same_as_torch(lambda T, x: x.expand(2, *wide), narrow)


@pytest.mark.parametrize("name", ["cat", "stack", "hstack", "vstack"])
@examples
@given(data=st.data())
def test_joining(name, data):
    shape = list(data.draw(shapes))
    dim = data.draw(dims(len(shape), several=False))
    parts = []
    for _ in range(data.draw(st.integers(1, 3))):
        own = shape.copy()
        if name == "cat" and shape:
            own[dim] = data.draw(st.integers(0, 3))
        parts.append(data.draw(operands(own, dtypes=("float64", "float32"))))
    if name in ("cat", "stack"):
        same_as_torch(lambda T, *xs: getattr(T, name)(xs, dim=dim), *parts)
    else:
        same_as_torch(lambda T, *xs: getattr(T, name)(xs), *parts)


@examples
@given(data=st.data())
def test_matmul(data):
    m, k, n = (data.draw(st.integers(0, 3)) for _ in range(3))
    batch_a, batch_b = data.draw(broadcast_shapes().filter(lambda s: max(map(len, s)) <= 3))
    matrices = (*batch_a, m, k), (*batch_b, k, n)
    a_shape, b_shape = data.draw(st.sampled_from([matrices, ((k,), matrices[1]), (matrices[0], (k,)), ((k,), (k,))]))
    a, b = (data.draw(operands(s, dtypes=("float64",))) for s in (a_shape, b_shape))
    same_as_torch(lambda T, a, b: a @ b, a, b)


EQUATIONS = ["ij,jk->ik", "ij,kj", "i,j->ij", "ij->ji", "ij->", "ii->i", "ii", "bij,bjk->bik", "...ij,...jk->...ik"]
EQUATIONS += ["bhtd,bhsd->bhts", "ij,ij->i", "ij,j", "i,i", "ijk->j", "b...,b...->...", "ij,jk,kl->il"]
EQUATIONS += ["iij->j", "ij,k->ikj"]


@pytest.mark.parametrize("equation", EQUATIONS)
@examples
@given(data=st.data())
def test_einsum(equation, data):
    length = {letter: data.draw(st.integers(0, 3)) for letter in equation if letter.isalpha()}
    dots = tuple(data.draw(st.lists(st.integers(1, 2), max_size=2)))
    shapes_ = []
    for term in equation.partition("->")[0].split(","):
        before, _, after = term.partition("...")
        middle = dots if "..." in term else ()
        shapes_.append((*[length[c] for c in before], *middle, *[length[c] for c in after]))
    parts = [data.draw(operands(s, dtypes=("float64",))) for s in shapes_]
    same_as_torch(lambda T, *xs: T.einsum(equation, *xs), *parts)
