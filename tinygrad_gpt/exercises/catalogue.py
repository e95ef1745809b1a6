"""The exercises, found by their folders: `a_tensors/a03_one_hot.py` is exercise A03, `one_hot`, of set A.

An exercise is a module. Its docstring's first line is the title. It holds the solution (the function or class named as
the file, and whatever else stands before `HINTS`), and by these names:

    HINTS          three texts, from a nudge to nearly there
    READ           what to read after solving: a list of Read
    MISTAKES       wrong answers to recognise: a list of Mistake
    RULES          OneExpression(...), or left out: anything goes
    specification  the definition in plain loops; gets NumPy arrays and numbers, returns the same
    cases          yields tuples of inputs from a Draw
    RETURNS        the names of the results, where there are several
    TOLERANCE      the largest error allowed, where the dtype's own does not serve
    also           what else must hold: also(result, *inputs) returns a sentence where it does not
    check          instead of specification and cases: check(student, draw) raises Wrong, itself or by expect(...)
    SECONDS        the time limit, where ten do not serve
"""

import functools
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tinygrad_gpt.errors import InputError
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read
from tinygrad_gpt.options import nearest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]  # where the packages lie: what Read.path is relative to
SECONDS = 10.0


@dataclass(frozen=True)
class Exercise:
    """One exercise: where it stands, and its module once that is asked for."""

    number: str  # "A03"
    name: str  # "one_hot"
    path: Path

    @property
    def filename(self) -> str:
        """The name of the student's file."""
        return self.path.name

    @functools.cached_property
    def source(self) -> str:
        return self.path.read_text("utf-8")

    @functools.cached_property
    def module(self) -> ModuleType:
        return importlib.import_module(f"tinygrad_gpt.exercises.{self.path.parent.name}.{self.path.stem}")

    @property
    def title(self) -> str:
        return self.introduction.partition("\n")[0].rstrip(".")

    @property
    def introduction(self) -> str:
        return (self.module.__doc__ or "").strip()

    @property
    def hints(self) -> tuple[str, ...]:
        return tuple(self.module.HINTS)

    @property
    def read(self) -> tuple[Read, ...]:
        return tuple(self.module.READ)

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        return tuple(self._get("MISTAKES", ()))

    @property
    def rules(self) -> OneExpression | None:
        return self._get("RULES", None)

    @property
    def returns(self) -> tuple[str, ...]:
        return tuple(self._get("RETURNS", ()))

    @property
    def tolerance(self) -> float | None:
        return self._get("TOLERANCE", None)

    @property
    def seconds(self) -> float:
        return self._get("SECONDS", SECONDS)

    @property
    def check(self) -> Callable | None:
        return self._get("check", None)

    @property
    def also(self) -> Callable | None:
        return self._get("also", None)

    def _get(self, name: str, default):
        return getattr(self.module, name, default)


@dataclass(frozen=True)
class ExerciseSet:
    """A folder of exercises; the title is the first line of its `__init__.py`."""

    letter: str
    title: str
    exercises: tuple[Exercise, ...]


@functools.cache
def sets() -> tuple[ExerciseSet, ...]:
    """All sets, in the order of their letters."""
    folders = sorted(folder for folder in HERE.iterdir() if re.fullmatch(r"[a-z]_\w+", folder.name))
    return tuple(_read_set(folder) for folder in folders if any(folder.glob("*[0-9]_*.py")))


def _read_set(folder: Path) -> ExerciseSet:
    letter = folder.name[0].upper()
    files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    found = []
    for path in files:
        number, _, name = path.stem.partition("_")
        found.append(Exercise(number.upper(), name, path))
    package = importlib.import_module(f"tinygrad_gpt.exercises.{folder.name}")
    return ExerciseSet(letter, (package.__doc__ or "").strip().partition("\n")[0].rstrip("."), tuple(found))


def exercises() -> tuple[Exercise, ...]:
    """All exercises, in the order in which they are meant."""
    return tuple(exercise for group in sets() for exercise in group.exercises)


def find(text: str, letter: str = "A") -> Exercise:
    """The exercise that `text` names: A03, a3, one_hot, a03_one_hot or its file; a bare 3 is number 3 of set `letter`.

    Raises InputError, naming the nearest.
    """
    word = Path(text).name.removesuffix(".py").lower().replace("-", "_")
    if match := re.fullmatch(r"([a-z]?)(\d+)", word):
        word = f"{match[1] or letter.lower()}{int(match[2]):02d}"
    everything = exercises()
    for exercise in everything:
        if word in (exercise.number.lower(), exercise.name, exercise.path.stem):
            return exercise
    names = [exercise.name for exercise in everything] + [exercise.number.lower() for exercise in everything]
    guess = nearest(word, names) or f" (they go from {everything[0].number} to {everything[-1].number})"
    raise InputError(f"There is no exercise {text}{guess}; `tinygrad-gpt exercises list` shows all.")


def following(exercise: Exercise) -> Exercise | None:
    """The one after it, or None after the last."""
    everything = exercises()
    position = everything.index(exercise) + 1
    return everything[position] if position < len(everything) else None
