"""The verdict on a student's file. It runs the student's code: `isolate` calls it in a process of its own."""

import ast
import dataclasses
import functools
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tensor import Tensor
from tinygrad_gpt.exercises import rules
from tinygrad_gpt.exercises.catalogue import Exercise
from tinygrad_gpt.exercises.compare import Difference, compare, show_value
from tinygrad_gpt.exercises.parts import Draw, Wrong
from tinygrad_gpt.exercises.stub import solution, stub, unwritten
from tinygrad_gpt.options import nearest

MISSING = "missing"  # the states of a verdict
UNWRITTEN = "unwritten"
BROKEN = "broken"  # not Python, or not the function asked for
RULE = "rule"
RAISED = "raised"
FAILED = "failed"
STOPPED = "stopped"  # out of time, or the process ended
PASSED = "passed"


@dataclass
class Verdict:
    """What a check found, in plain texts and numbers: it travels between processes as JSON."""

    state: str
    sentence: str
    lines: list[str] = field(default_factory=list)  # the student's own lines that it is about
    inputs: dict[str, str] = field(default_factory=dict)  # the smallest case that shows it
    expected: str = ""
    got: str = ""
    where: str = ""
    symptoms: list[str] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)
    cases: int = 0
    failed_cases: int = 0
    printed: str = ""
    trace: list[str] = field(default_factory=list)  # what went wrong in each failing case: tells mistakes apart

    @property
    def passed(self) -> bool:
        return self.state == PASSED


def examine(exercise: Exercise, path: Path) -> Verdict:
    """Check the student's file at `path`."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        again = f"`tinygrad-gpt exercises reset {exercise.number}` writes it anew"
        return Verdict(MISSING, f"There is no {path}: {again}.")
    except (OSError, UnicodeDecodeError) as error:
        return Verdict(BROKEN, f"{path} cannot be read as UTF-8 text: {getattr(error, 'strerror', error) or error}.")
    return examine_text(exercise, text, str(path))


def examine_text(exercise: Exercise, text: str, filename: str) -> Verdict:
    """Check the text of a student's file."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        line = error.lineno or 1
        shown = [_numbered(text, line)]
        if error.text and error.offset:
            gap = len(error.text) - len(error.text.lstrip())
            shown.append(" " * (len(f"{line:>4}  ") + gap + max(0, error.offset - 1 - gap)) + "^")
        return Verdict(BROKEN, f"Line {line} is not Python: {error.msg}.", shown)
    except (ValueError, RecursionError, MemoryError) as error:
        return Verdict(BROKEN, f"Python cannot read the file: {error or type(error).__name__}.")
    if (verdict := _examine_form(exercise, text, tree)) is not None:
        return verdict
    open_ones = unwritten(tree)
    names = ", ".join(f"`{name}`" for name in open_ones)
    if open_ones and (exercise.check is None or len(open_ones) == len(unwritten(ast.parse(stub(exercise))))):
        return Verdict(UNWRITTEN, f"Replace the `...` in {names}.")
    verdict = _examine_results(exercise, text, filename)
    if open_ones:  # of several functions some are written: the check says how far they get
        verdict.symptoms.append(f"Still to be written: {names}.")
        verdict.state = UNWRITTEN if verdict.passed else verdict.state
    return verdict


def _examine_form(exercise: Exercise, text: str, tree: ast.Module) -> Verdict | None:
    """What can be said without running anything: is all there that the stub asks for, and is the rule kept?"""
    mine, asked = _definitions(tree), _definitions(ast.parse(stub(exercise)))
    for name, wanted in asked.items():
        if name not in mine:
            close = nearest(name, list(mine))
            kind = "class" if isinstance(wanted, ast.ClassDef) else "function" if "." not in name else "method"
            return Verdict(BROKEN, f"The {kind} `{name}` is missing{close}: the check looks for it by that name.")
        if isinstance(wanted, ast.FunctionDef) != isinstance(mine[name], ast.FunctionDef):
            return Verdict(BROKEN, f"`{name}` is not what the stub had.", [_numbered(text, mine[name].lineno)])
        if isinstance(wanted, ast.FunctionDef) and ast.dump(_plain(mine[name].args)) != ast.dump(_plain(wanted.args)):
            should = f"def {wanted.name}({ast.unparse(wanted.args)}):"
            line = mine[name].lineno
            return Verdict(BROKEN, f"The signature of `{name}` should be `{should}`", [_numbered(text, line)])
    if exercise.rules and not unwritten(tree):
        found = rules.violations(exercise.rules, mine[exercise.name], _imported(ast.parse(stub(exercise))))
        if found:
            numbers = dict.fromkeys(int(sentence.removeprefix("Line ").split()[0].rstrip(":")) for sentence in found)
            return Verdict(RULE, found[0], [_numbered(text, line) for line in numbers], symptoms=found[1:])
    return None


def _definitions(tree: ast.Module) -> dict[str, Any]:
    """Functions, classes and methods by name: "Value.backward"."""
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}": part for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def _plain(arguments: ast.arguments) -> ast.arguments:
    """The arguments without annotations, which a student may add."""
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return arguments


def _imported(tree: ast.Module) -> set[str]:
    imports = [node for node in tree.body if isinstance(node, ast.Import)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def _examine_results(exercise: Exercise, text: str, filename: str) -> Verdict:
    try:
        student = load(text, filename)
    except BaseException as error:
        verdict = _raised(error, text, filename)
        verdict.sentence = f"The file cannot be imported: {verdict.sentence}"
        return verdict
    verdict = run_checks(exercise, student, text, filename)
    if verdict.state in (FAILED, RAISED):
        verdict.symptoms = list(recognised(exercise, verdict)) or verdict.symptoms
    return verdict


def load(text: str, filename: str) -> types.ModuleType:
    """The module of that text, as `import` would make it."""
    module = types.ModuleType(Path(filename).stem)
    module.__file__ = filename
    sys.modules[module.__name__] = module  # dataclasses look themselves up there
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), module.__dict__)
    return module


def run_checks(exercise: Exercise, student: types.ModuleType, text: str, filename: str) -> Verdict:
    """Call the student's code with every case; of those that fail, report the smallest."""
    if exercise.check is not None:
        return _own_check(exercise, student, text, filename)
    function = getattr(student, exercise.name)
    names = list(function.__code__.co_varnames[: function.__code__.co_argcount])
    cases = _cases(exercise)
    failures = []
    for case, expected in cases:
        inputs = dict(zip(names, case, strict=True))
        try:
            failure = _one_case(exercise, function, tuple(map(_copy, case)), inputs, expected)
        except BaseException as error:
            failure = _raised(error, text, filename)
        if failure is not None:
            failure.inputs = {name: show_value(value) for name, value in inputs.items()}
            failures.append((_size(case), failure))
    if not failures:
        return Verdict(PASSED, f"Right in all {len(cases)} cases.", cases=len(cases))
    smallest = min(failures, key=lambda pair: pair[0])[1]
    smallest.cases, smallest.failed_cases = len(cases), len(failures)
    smallest.trace = [f"{failure.sentence} {failure.table} {failure.got} {failure.inputs}" for _, failure in failures]
    return smallest


@functools.cache
def _cases(exercise: Exercise) -> tuple[tuple[tuple, Any], ...]:
    """Each case's inputs, and what is expected of them. They are the same in every check, so they are made once."""
    cases = tuple(exercise.module.cases(Draw()))
    return tuple((case, exercise.module.specification(*map(_array, case))) for case in cases)


def _one_case(exercise: Exercise, function: Callable, case: tuple, inputs: dict, expected) -> Verdict | None:
    """None if the function is right for `case`, copies of the `inputs`."""
    got = function(*case)
    for (name, before), after in zip(inputs.items(), case, strict=True):
        if isinstance(before, Tensor | np.ndarray) and compare(_array(before), after):
            return Verdict(FAILED, f"It changes its input `{name}` in place: that belongs to the caller.")
    difference = compare(expected, got, tolerance=exercise.tolerance, names=exercise.returns, inputs=inputs)
    if difference is not None:
        return _failed(difference)
    if exercise.also is not None and (sentence := exercise.also(got, *case)):
        return Verdict(FAILED, sentence)
    return None


def _own_check(exercise: Exercise, student, text: str, filename: str) -> Verdict:
    assert exercise.check is not None
    try:
        said = exercise.check(student, Draw())
    except Wrong as wrong:
        verdict = _failed(wrong.difference) if wrong.difference else Verdict(FAILED, "")
        verdict.sentence = f"{wrong.sentence} {verdict.sentence}".strip()
        verdict.inputs = {name: show_value(value) for name, value in wrong.inputs.items()}
        return verdict
    except BaseException as error:
        return _raised(error, text, filename)
    return Verdict(PASSED, said or "Right in every check.")


def _failed(difference: Difference) -> Verdict:
    texts = dataclasses.asdict(difference)
    return Verdict(FAILED, **(texts | {"table": [list(row) for row in difference.table]}))


def recognised(exercise: Exercise, verdict: Verdict) -> Iterator[str]:
    """The symptom of the known mistake that fails in the very same way."""
    right = solution(exercise)
    for mistake in exercise.mistakes:
        text = right.replace(mistake.right, mistake.wrong)
        other = run_checks(exercise, load(text, "mistake.py"), text, "mistake.py")
        if _looks(other) == _looks(verdict):
            yield mistake.symptom
            return


def _looks(verdict: Verdict) -> tuple:
    return verdict.trace, verdict.sentence, verdict.table, verdict.got


def _raised(error: BaseException, text: str, filename: str) -> Verdict:
    """An exception, with the student's own lines and none of the framework's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    numbers = list(dict.fromkeys(frame.lineno for frame in frames if frame.lineno))[-3:]
    if isinstance(error, SystemExit):
        sentence = f"It calls exit({error.code if error.code is not None else ''}): return a value instead."
    elif isinstance(error, RecursionError):
        sentence = "RecursionError: a function calls itself without end."
    else:
        sentence = f"{type(error).__name__}: {error}".rstrip(": ")
    return Verdict(RAISED, sentence, [_numbered(text, line) for line in numbers])


def _numbered(text: str, line: int) -> str:
    lines = text.splitlines() or [""]
    return f"{line:>4}  {lines[min(line, len(lines)) - 1]}"


def _array(value):
    return value.array if isinstance(value, Tensor) else value


def _copy(value):
    """What the student's code gets: nothing that it writes into is used again."""
    if isinstance(value, Tensor):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _size(case: tuple) -> tuple[bool, int]:
    """How much there is to look at in a case; an empty Tensor shows little and comes last."""
    sizes = [getattr(_array(value), "size", 1) for value in case]
    return 0 in sizes, sum(sizes)
