"""What an exercise file is written with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import tensor
from tensor import Tensor
from tinygrad_gpt.exercises.compare import Difference, compare


@dataclass(frozen=True)
class OneExpression:
    """The rule of most exercises: the function is one `return`, without loops, conditions or helpers.

    Always allowed: the parameters, numbers, operators, indexing, and `.shape`, `.ndim` and `.dtype`. `allow` lists the
    functions and methods that may be called besides, separated by spaces: "arange where".
    """

    allow: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.allow.split())


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that somebody will give: the solution with `wrong` in the place of `right`.

    The checker recognises it by its results and says `symptom`; the tests see to it that it is rejected.
    """

    right: str
    wrong: str
    symptom: str


@dataclass(frozen=True)
class Read:
    """Something to read after solving: a file of the repository, a function or class in it, and what to see there."""

    path: str
    name: str
    why: str


class Draw:
    """Random inputs from one seed: the same on every machine and in every check.

    Values are short (two decimals, small integers), so that a difference can be followed on paper.
    """

    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)

    def sizes(self, count: int, low: int = 2, high: int = 7) -> list[int]:
        """`count` different sizes in low … high: no two dims agree, so that a transposition shows."""
        return [int(n) for n in self.rng.choice(np.arange(low, high + 1), size=count, replace=False)]

    def floats(self, *shape: int, dtype=tensor.float32) -> Tensor:
        """Normally distributed values, rounded to two decimals."""
        return tensor.tensor(self.rng.standard_normal(shape).round(2).astype(dtype))

    def array(self, *shape: int) -> np.ndarray:
        """The same as a plain float64 array, which is what an op's `backward` gets."""
        return self.rng.standard_normal(shape).round(2)

    def ints(self, *shape: int, low: int = 0, high: int) -> Tensor:
        """int64 values in low … high − 1."""
        return tensor.tensor(self.rng.integers(low, high, shape, dtype=np.int64))

    def bools(self, *shape: int) -> Tensor:
        return tensor.tensor(self.rng.integers(0, 2, shape).astype(bool))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number, with three decimals."""
        return round(float(self.rng.uniform(low, high)), 3)


class Wrong(Exception):
    """A check that failed: one sentence, the inputs that show it, and the difference where there is one."""

    def __init__(self, sentence: str, inputs: Mapping[str, Any] | None = None, difference: Difference | None = None):
        super().__init__(sentence)
        self.sentence, self.inputs, self.difference = sentence, dict(inputs or {}), difference


def expect(
    what: str,
    expected,
    got,
    *,
    names: tuple[str, ...] = (),
    inputs: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
) -> None:
    """Raise `Wrong` unless `got` is `expected`: for an exercise that has a `check` of its own.

    what: the name of the thing compared, as "the gradient of w". Arrays, Tensors, numbers, or tuples of them, whose
    parts have the `names`.
    """
    difference = compare(expected, got, tolerance=tolerance, names=names, inputs=inputs or {})
    if difference is not None:
        raise Wrong(f"{what[:1].upper()}{what[1:]} is wrong.", inputs, difference)
