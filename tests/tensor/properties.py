"""What the property tests share: random operands, some of them views, and "the same as PyTorch, or both raise"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

import tensor

# Deterministic: the same examples on every run and machine.
examples = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

REFUSALS = (RuntimeError, IndexError, TypeError, ValueError, ZeroDivisionError)
FLOATS = ("float64", "float32")
NUMBERS = ("float64", "float32", "int64", "int32", "uint8")
DTYPES = (*NUMBERS, "float16", "int8", "bool")

sizes = st.sampled_from([0, 1, 1, 2, 3, 4])
shapes = st.lists(sizes, max_size=5).map(tuple).filter(lambda s: np.prod(s) <= 200)


@dataclass
class Operand:
    """A leaf for either engine, and the view of it that the function under test gets."""

    array: np.ndarray
    requires_grad: bool = False
    layout: str = "plain"
    shape: tuple[int, ...] = ()
    order: tuple[int, ...] = ()  # for "permuted"

    def leaf(self):
        return tensor.tensor(self.array, requires_grad=self.requires_grad)

    def torch_leaf(self):
        return torch.tensor(self.array, requires_grad=self.requires_grad)

    def view(self, leaf):
        """What the function gets, made by the same calls on both engines."""
        if self.layout == "permuted":
            return leaf.permute(self.order)
        if self.layout == "sliced":
            return leaf[tuple(slice(1, 1 + 2 * n, 2) for n in self.shape)]
        if self.layout == "expanded":
            return leaf.expand(self.shape)
        return leaf


def random_array(seed: int, shape, dtype: str, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Values in [low, high], away from the kinks and ties of the functions tested."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith("float"):
        return (low + (high - low) * rng.random(shape)).astype(dtype)
    least = max(int(np.floor(low)), 0) if dtype.startswith("u") else int(np.floor(low))
    return rng.integers(least, max(int(np.ceil(high)), least + 1) + 1, shape).astype(dtype)


@st.composite
def operands(draw, shape=None, dtypes=FLOATS, low=-2.0, high=2.0, writable=False):
    """An Operand of a given or random shape; floating ones require grad."""
    shape = draw(shapes) if shape is None else tuple(shape)
    dtype = draw(st.sampled_from(dtypes))
    layout = draw(st.sampled_from(["plain", "permuted", "sliced"] + ["expanded"] * (not writable)))
    base, order = shape, ()
    if layout == "permuted":
        order = tuple(draw(st.permutations(range(len(shape)))))
        base = tuple(shape[order.index(d)] for d in range(len(shape)))
    elif layout == "sliced":
        base = tuple(2 * n + 1 for n in shape)
    elif layout == "expanded":
        base = tuple(1 if draw(st.booleans()) else n for n in shape)
    array = random_array(draw(st.integers(0, 2**31)), base, dtype, low, high)
    return Operand(array, dtype.startswith("float"), layout, shape, order)


@st.composite
def broadcast_shapes(draw, count=2):
    """Shapes that broadcast together: of a common shape, some dims are 1 and some leading ones missing."""
    whole = draw(shapes)
    result = []
    for _ in range(count):
        shape = tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in whole)
        result.append(shape[draw(st.integers(0, len(shape))) if draw(st.booleans()) else 0 :])
    return result


@st.composite
def dims(draw, ndim: int, several: bool = True):
    """A dim as reductions take it: None, an int counted from either end, or several."""
    one = st.integers(-max(ndim, 1), max(ndim, 1) - 1)
    if not several:
        return draw(one)
    if draw(st.booleans()):
        return draw(st.one_of(st.none(), one))
    chosen = draw(st.lists(st.sampled_from(range(ndim)), unique=True, min_size=1)) if ndim else []
    return tuple(d - ndim if draw(st.booleans()) else d for d in chosen)


def tolerance(arrays) -> float:
    """A relative tolerance for the least precise dtype among `arrays`."""
    return max({"float16": 1e-2, "float64": 1e-9}.get(str(a.dtype), 2e-4) for a in arrays)  # integers become float32


def same_as_torch(fn, *inputs: Operand, rtol: float | None = None) -> None:
    """Assert that `fn(module, *views)` has PyTorch's results and gradients; or raises where PyTorch raises."""

    def program(module, *leaves):
        return fn(module, *[operand.view(x) for operand, x in zip(inputs, leaves, strict=True)])

    try:
        program(torch, *[operand.torch_leaf() for operand in inputs])
    except REFUSALS as refusal:
        with pytest.raises(REFUSALS):
            program(tensor, *[operand.leaf() for operand in inputs])
            pytest.fail(f"PyTorch refuses this, we do not: {refusal}", pytrace=False)
        return
    rtol = tolerance([operand.array for operand in inputs]) if rtol is None else rtol
    tensor.check_against_torch(program, [operand.leaf() for operand in inputs], rtol=rtol, atol=rtol)
