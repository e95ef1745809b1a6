"""Expected and got: whether they agree, where they differ first, and what the difference looks like.

The look of a difference is what helps: transposed, shifted by one, a mean where a sum belongs, wrong only on the
diagonal. Each such symptom is a small test on the two arrays.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensor import Tensor

TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-8}  # relative to 1 and to the value
SHOWN = 8  # elements of a dim that are printed before an ellipsis
MOST_DIMS_TO_PERMUTE = 5


@dataclass
class Difference:
    """How a result differs from what was expected; texts, ready to be shown."""

    sentence: str
    expected: str = ""
    got: str = ""
    where: str = ""  # "at [0, 2]: expected 1, got 0"
    symptoms: list[str] = field(default_factory=list)
    table: list[tuple[str, str]] = field(default_factory=list)  # of a tuple of results: each one's name and verdict


def compare(
    expected, got, *, tolerance: float | None = None, names: tuple[str, ...] = (), inputs: Mapping[str, Any] = {}
) -> Difference | None:
    """None if `got` is `expected`: same kind, dtype, shape, and values within the tolerance of the dtype.

    `names` names the parts of a tuple; `inputs`, by name, are what a wrong factor is looked for in.
    """
    if isinstance(expected, tuple):
        return _compare_tuple(expected, got, tolerance, names, inputs)
    if isinstance(got, Tensor):
        got = got.array
    elif isinstance(expected, np.ndarray) and not isinstance(got, np.ndarray | np.generic):
        return Difference(
            f"The result should be a Tensor of shape {expected.shape}, but it is {_kind(got)}.",
            describe(expected),
            _short(got),
        )
    if isinstance(expected, int | float | str | list | dict | set) or expected is None:
        return _compare_plain(expected, got, tolerance)
    return _compare_arrays(np.asarray(expected), np.asarray(got), tolerance, inputs)


def _compare_tuple(expected, got, tolerance, names, inputs) -> Difference | None:
    names = names or tuple(f"result {i}" for i in range(len(expected)))
    if not isinstance(got, tuple | list) or len(got) != len(expected):
        count = f"{len(got)} results" if isinstance(got, tuple | list) else _kind(got)
        return Difference(f"{len(expected)} results are expected, ({', '.join(names)}), but it returns {count}.")
    found = [compare(e, g, tolerance=tolerance, inputs=inputs) for e, g in zip(expected, got, strict=True)]
    table = [(name, part.sentence if part else "right") for name, part in zip(names, found, strict=True)]
    for name, difference in zip(names, found, strict=True):
        if difference is not None:
            difference.sentence, difference.table = f"{name}: {difference.sentence}", table
            return difference
    return None


def _compare_plain(expected, got, tolerance) -> Difference | None:
    if isinstance(got, np.ndarray | np.generic) and got.ndim == 0:
        got = got.item()
    if isinstance(expected, float) and isinstance(got, int | float) and not isinstance(got, bool):
        limit = TOLERANCE["float64"] if tolerance is None else tolerance
        same = bool(np.isclose(got, expected, rtol=limit, atol=limit, equal_nan=True))
    else:
        same = type(got) is type(expected) and got == expected
    if same:
        return None
    if type(got) is not type(expected):
        sentence = f"The result should be {_kind(expected)}, but it is {_kind(got)}."
    else:
        sentence = "The value is another one."
    return Difference(sentence, _short(expected), _short(got))


def _compare_arrays(expected, got, tolerance, inputs) -> Difference | None:
    if got.dtype == object:
        return Difference(f"The result holds Python objects, expected {describe(expected)}.", got=_short(got))
    wrong = differing(expected, got, tolerance) if got.shape == expected.shape else None
    if wrong is not None and not wrong.any() and got.dtype == expected.dtype:
        return None
    shown = Difference("", show_array(expected), show_array(got))
    if wrong is None:
        shown.sentence = f"The shape is {got.shape}, expected {expected.shape}."
        shown.symptoms = list(shape_symptoms(expected, got, tolerance))
    elif not wrong.any():
        shown.sentence = f"The values are right, but the dtype is {got.dtype}, expected {expected.dtype}."
    else:
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        count = int(wrong.sum())
        all_or_some = "Every element differs" if count == wrong.size else f"{count} of {wrong.size} elements differ"
        shown.sentence = f"{all_or_some}." if wrong.size > 1 else "The value is another one."
        shown.where = f"at {list(index)}: expected {_number(expected[index])}, got {_number(got[index])}"
        shown.expected, shown.got = (show_array(a, around=index) for a in (expected, got))
        shown.symptoms = list(itertools.islice(value_symptoms(expected, got, wrong, tolerance, inputs), 2))
        if got.dtype != expected.dtype:
            shown.symptoms.append(f"The dtype is {got.dtype}, expected {expected.dtype}.")
    return shown


def differing(expected: np.ndarray, got: np.ndarray, tolerance: float | None = None) -> np.ndarray:
    """A mask of the elements that differ by more than the tolerance; NaN equals NaN."""
    if "f" not in (expected.dtype.kind, got.dtype.kind):
        return expected != got
    limit = TOLERANCE.get(str(expected.dtype), TOLERANCE["float32"]) if tolerance is None else tolerance
    with np.errstate(all="ignore"):
        return ~np.isclose(got.astype(np.float64), expected.astype(np.float64), rtol=limit, atol=limit, equal_nan=True)


def _same(expected, got, tolerance) -> bool:
    return got.shape == expected.shape and not differing(expected, got, tolerance).any()


def shape_symptoms(expected: np.ndarray, got: np.ndarray, tolerance: float | None) -> Iterator[str]:
    if order := _transposition(expected, got, tolerance):
        yield f"It is the expected result with its dims in another order: {order} would put them right."
    elif got.size == expected.size and _same(expected.ravel(), got.ravel(), tolerance):
        yield "The numbers are right and in the right order: only the shape is not."
    elif got.squeeze().shape == expected.squeeze().shape:
        yield "A dim of size 1 is missing or too many (keepdim, or None in an index, makes one)."
    elif got.ndim != expected.ndim:
        yield f"It has {got.ndim} dim(s), expected {expected.ndim}."
    else:
        wrong = [i for i in range(got.ndim) if got.shape[i] != expected.shape[i]]
        if sorted(got.shape) == sorted(expected.shape):
            yield "The sizes are right but in another order."
        elif len(wrong) == 1:
            i = wrong[0]
            yield f"Only dim {i} is wrong: its size is {got.shape[i]}, expected {expected.shape[i]}."


def _transposition(expected, got, tolerance) -> str | None:
    """The permutation of dims that makes `got` equal to `expected`, as a call."""
    if not 2 <= got.ndim == expected.ndim <= MOST_DIMS_TO_PERMUTE or sorted(got.shape) != sorted(expected.shape):
        return None
    for order in itertools.permutations(range(got.ndim)):
        if order != tuple(range(got.ndim)) and _same(expected, got.transpose(order), tolerance):
            return f"permute{order}" if got.ndim > 2 else "a transpose"
    return None


def value_symptoms(expected, got, wrong, tolerance, inputs) -> Iterator[str]:
    """What the values of `got`, of the right shape, look like beside the expected ones."""
    numbers = got.dtype.kind in "fiu" and expected.dtype.kind in "fiu"
    if np.isnan(got[wrong].astype(np.float64)).any():
        yield "There are NaN: 0/0, inf − inf, or the softmax of a row that is −inf throughout."
        return
    if wrong.size == 1:
        yield from _factor(expected, got, tolerance, inputs) if numbers else ()
        return
    if got.dtype.kind == expected.dtype.kind == "b" and wrong.all():
        yield "Every element is the opposite of what it should be."
        return
    if not got.any():
        yield "It is 0 everywhere."
        return
    if order := _transposition(expected, got, tolerance):
        yield f"It is the expected result with its dims in another order: {order} would put them right."
    for dim in range(got.ndim):
        if _same(expected, np.flip(got, dim), tolerance):
            yield f"It is reversed along dim {dim}."
        elif any(_same(expected, np.roll(got, by, dim), tolerance) for by in (-1, 1)):
            yield f"It is shifted by one along dim {dim}."
    if numbers:
        yield from _factor(expected, got, tolerance, inputs)
        with np.errstate(all="ignore"):
            apart = got[np.isfinite(expected)].astype(np.float64) - expected[np.isfinite(expected)]
        if apart.size > 1 and np.isfinite(apart[0]) and np.allclose(apart, apart[0], atol=1e-6):
            yield f"Every element is {_number(abs(apart[0]))} too {'large' if apart[0] > 0 else 'small'}."
    if not wrong.all():
        yield from _region(wrong)


def _factor(expected, got, tolerance, inputs) -> Iterator[str]:
    """One factor between all elements: a wrong sign, a mean for a sum, a forgotten scale."""
    at = (expected != 0) & np.isfinite(expected) & np.isfinite(got)
    if not at.any() or not got[at].all():
        return
    ratio = got[at].astype(np.float64) / expected[at]
    factor = float(np.median(ratio))
    if np.isclose(factor, 1) or not _same(expected * factor, got.astype(np.float64), tolerance):
        return
    if np.isclose(factor, -1):
        yield "Every element has the opposite sign."
    elif wanted := _size_like(factor, inputs):
        yield f"Every element is {_number(factor)} times what it should be: {wanted}."
    else:
        yield f"Every element is {_number(factor)} times what it should be."


def _size_like(factor: float, inputs: Mapping[str, Any]) -> str | None:
    """Which dim of which input has the size that the factor is made of."""
    for name, value in inputs.items():
        for dim, size in enumerate(getattr(value, "shape", ())):
            if size > 1:
                for power, text in ((1, "{}"), (-1, "1/{}"), (0.5, "√{}"), (-0.5, "1/√{}")):
                    if np.isclose(factor, size**power, rtol=1e-3):
                        mean = ", a sum where a mean belongs or the reverse?" if abs(power) == 1 else ", a scale?"
                        return f"{text.format(size)}, and {size} is the size of dim {dim} of {name}{mean}"
    return None


def _region(wrong: np.ndarray) -> Iterator[str]:
    """Where the wrong elements lie, if they lie together."""
    if wrong.ndim >= 2:
        rows, columns = np.indices(wrong.shape[-2:])
        places = {"on": rows == columns, "above": columns > rows, "below": columns < rows}
        for place, inside in places.items():
            if np.array_equal(wrong, np.broadcast_to(inside, wrong.shape)):
                yield f"It is wrong {place} the diagonal only."
                return
    for dim in range(wrong.ndim):
        indices = np.unique(np.nonzero(wrong)[dim])
        if len(indices) == 1 and wrong.shape[dim] > 1:
            last = " (the last)" if indices[0] == wrong.shape[dim] - 1 else ""
            yield f"It is wrong only at index {indices[0]}{last} of dim {dim}."
            return


def describe(array: np.ndarray) -> str:
    """Dtype and shape: "float32 (2, 3)"."""
    return f"{array.dtype} {array.shape}"


def show_array(array: np.ndarray, around: tuple[int, ...] = ()) -> str:
    """Dtype, shape and elements; of more than two dims the matrix that `around` lies in."""
    part, label = array, ""
    if array.ndim > 2 and array.size:
        index = around[:-2] or (0,) * (array.ndim - 2)
        part, label = array[index], f", part [{', '.join(map(str, index))}]"
    return f"{describe(array)}{label}\n{_elements(part)}"


def show_value(value) -> str:
    """An input as it can be typed: a Tensor by its values, all else as Python writes it."""
    if isinstance(value, Tensor):
        value = value.array
    if isinstance(value, np.ndarray):
        return f"{describe(value)}\n{_elements(value)}"
    return _short(value)


def _elements(array: np.ndarray) -> str:
    with np.printoptions(precision=4, suppress=True, threshold=SHOWN * SHOWN, edgeitems=3, linewidth=100):
        return np.array2string(array, separator=", ") if array.size else "(empty)"


def _number(value) -> str:
    return f"{value:.6g}" if np.asarray(value).dtype.kind == "f" else str(value)


def _kind(value) -> str:
    if value is None:
        return "None"
    if value is Ellipsis:
        return "`...`, which is not an answer yet"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _short(value, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + " …"
