"""Random index expressions, read and written; gather and scatter. Values and gradients are PyTorch's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import dims, examples, operands, same_as_torch, shapes


@st.composite
def basic_parts(draw, length: int):
    """An int, a slice, or a whole dim."""
    kind = draw(st.sampled_from(["int", "slice", "all"]))
    if kind == "int" and length:
        return draw(st.integers(-length, length - 1))
    if kind == "slice":
        ends = st.one_of(st.none(), st.integers(-length - 1, length + 1))
        return slice(draw(ends), draw(ends), draw(st.sampled_from([None, 1, 2, 3])))
    return slice(None)


@st.composite
def index_expressions(draw, shape, advanced: bool, unique: bool = False):
    """What may stand in x[...] for this shape; arrays stand for integer and bool Tensors."""
    parts, dim = [], 0
    common = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))  # the shape of all index arrays
    arrays_left = 1 if unique else 3
    while dim < len(shape):
        kind = draw(st.integers(0, 9))
        length = shape[dim]
        if advanced and kind <= 2 and length and arrays_left:
            rng = np.random.default_rng(draw(st.integers(0, 2**31)))
            if unique:
                array = rng.permutation(length)[: draw(st.integers(1, length))]
                array = np.where(rng.random(array.shape) < 0.3, array - length, array)
            else:
                array = rng.integers(-length, length, common)
            parts.append(array)
            arrays_left -= 1
        elif advanced and kind == 3 and arrays_left and dim + 1 <= len(shape):
            rank = draw(st.integers(1, min(2, len(shape) - dim)))
            rng = np.random.default_rng(draw(st.integers(0, 2**31)))
            parts.append(rng.random(shape[dim : dim + rank]) < 0.5)
            dim += rank - 1
            arrays_left = 0  # a mask counts its True elements: no other array is sure to broadcast with it
        elif kind == 4:
            parts.append(None)
            continue
        elif kind == 5:
            break
        else:
            parts.append(draw(basic_parts(length)))
        dim += 1
    if dim < len(shape) or draw(st.integers(0, 4)) == 0:
        parts.insert(len(parts) if dim < len(shape) else draw(st.integers(0, len(parts))), Ellipsis)
    return tuple(parts)


def for_module(T, index):
    """The index with arrays as Tensors of T; a lone part stands without a tuple."""
    parts = tuple(T.tensor(part) if isinstance(part, np.ndarray) else part for part in index)
    return parts[0] if len(parts) == 1 else parts


@pytest.mark.parametrize("advanced", [False, True], ids=["basic", "advanced"])
@examples
@given(data=st.data())
def test_read(advanced, data):
    x = data.draw(operands(dtypes=("float64", "int64")))
    index = data.draw(index_expressions(x.shape, advanced))
    same_as_torch(lambda T, x: x[for_module(T, index)], x)


@pytest.mark.parametrize("advanced", [False, True], ids=["basic", "advanced"])
@examples
@given(data=st.data())
def test_write_a_number(advanced, data):
    x = data.draw(operands(dtypes=("float64", "int64")))
    index = data.draw(index_expressions(x.shape, advanced))

    def program(T, x):
        y = x * 1
        y[for_module(T, index)] = 7
        return y

    same_as_torch(program, x)


@pytest.mark.parametrize("advanced", [False, True], ids=["basic", "advanced"])
@examples
@given(data=st.data())
def test_write_a_tensor(advanced, data):
    x = data.draw(operands(dtypes=("float64",)))
    index = data.draw(index_expressions(x.shape, advanced, unique=True))
    target = np.zeros(x.shape)[tuple(index)].shape
    cut = data.draw(st.integers(0, len(target)))
    value_shape = tuple(1 if data.draw(st.integers(0, 3)) == 0 else n for n in target[cut:])
    value = data.draw(operands(value_shape, dtypes=("float64",) if advanced else ("float64", "float32")))

    def program(T, x, value):
        y = x * 1
        y[for_module(T, index)] = value
        return y * y

    same_as_torch(program, x, value, rtol=1e-6)


@examples
@given(data=st.data())
def test_add_in_place_through_an_index(data):
    x = data.draw(operands(dtypes=("float64",)))
    index = data.draw(index_expressions(x.shape, advanced=True, unique=True))

    def program(T, x):
        y = x * 1
        y[for_module(T, index)] += 3
        y[for_module(T, index)] *= 2
        return y * y

    same_as_torch(program, x)


@examples
@given(data=st.data())
def test_lists_and_scalars_of_tensors_as_indices(data):
    n = data.draw(st.integers(1, 4))
    x = data.draw(operands((n, n, 2), dtypes=("float64",)))
    rows = data.draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=4))
    column = data.draw(st.integers(-n, n - 1))
    same_as_torch(lambda T, x: x[rows], x)
    same_as_torch(lambda T, x: x[rows, column], x)
    same_as_torch(lambda T, x: x[:, rows, None], x)
    same_as_torch(lambda T, x: x[T.tensor(column)], x)
    same_as_torch(lambda T, x: x[T.tensor(rows), :, T.tensor(0)], x)


@st.composite
def gather_cases(draw, unique: bool):
    """x, dim and an index array that fits x for gather and scatter along dim."""
    shape = draw(shapes.filter(lambda s: len(s) >= 1 and 0 not in s))
    dim = draw(dims(len(shape), several=False))
    smaller = [draw(st.integers(0, n)) for n in shape]
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    index = np.argsort(rng.random(shape), axis=dim) if unique else rng.integers(0, shape[dim], shape)
    index = index[tuple(slice(n) for n in smaller)]
    return draw(operands(shape, dtypes=("float64",))), dim, index, draw(operands(index.shape, dtypes=("float64",)))


@examples
@given(case=gather_cases(unique=False))
def test_gather(case):
    x, dim, index, _ = case
    same_as_torch(lambda T, x: T.gather(x, dim, T.tensor(index)), x)


@examples
@given(case=gather_cases(unique=True))
def test_scatter(case):
    x, dim, index, source = case
    same_as_torch(lambda T, x, source: T.scatter(x, dim, T.tensor(index), source), x, source)
    same_as_torch(lambda T, x, source: x.scatter(dim, T.tensor(index), 2.5), x, source)


@examples
@given(case=gather_cases(unique=False))
def test_scatter_add(case):
    x, dim, index, source = case
    same_as_torch(lambda T, x, source: x.scatter_add(dim, T.tensor(index), source), x, source)


@examples
@given(data=st.data())
def test_index_select_add_copy_fill(data):
    shape = data.draw(shapes.filter(lambda s: len(s) >= 1))
    dim = data.draw(dims(len(shape), several=False))
    x = data.draw(operands(shape, dtypes=("float64",)))
    length = shape[dim]
    picked = data.draw(st.lists(st.integers(0, length - 1), unique=True, max_size=4)) if length else []
    index = np.array(picked, dtype=np.int64)
    source_shape = list(shape)
    source_shape[dim] = len(picked)
    source = data.draw(operands(source_shape, dtypes=("float64",)))
    same_as_torch(lambda T, x: x.index_select(dim, T.tensor(index)), x)
    same_as_torch(lambda T, x, s: x.index_add(dim, T.tensor(index), s, alpha=2), x, source)
    same_as_torch(lambda T, x, s: x.index_copy(dim, T.tensor(index), s), x, source)
    same_as_torch(lambda T, x: x.index_fill(dim, T.tensor(index), 3.0), x)


@examples
@given(data=st.data())
def test_masks(data):
    x = data.draw(operands(dtypes=("float64",)))
    mask = np.random.default_rng(data.draw(st.integers(0, 2**31))).random(x.shape) < 0.5
    same_as_torch(lambda T, x: x.masked_fill(T.tensor(mask), -1.5), x)
    same_as_torch(lambda T, x: T.masked_select(x, T.tensor(mask)), x)
    same_as_torch(lambda T, x: T.where(T.tensor(mask), x, 0.0), x)
    same_as_torch(lambda T, x: T.nonzero(x * T.tensor(mask)), x)
