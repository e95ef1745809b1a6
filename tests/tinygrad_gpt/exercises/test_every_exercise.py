"""What holds for every exercise: its stub fails, its solution passes, its mistakes are named, its reading exists."""

import ast
import doctest

import pytest

from tensor.kernels import use_kernels
from tinygrad_gpt.exercises import reading
from tinygrad_gpt.exercises.catalogue import exercises, find, sets
from tinygrad_gpt.exercises.examine import FAILED, PASSED, RAISED, UNWRITTEN, examine_text, load
from tinygrad_gpt.exercises.parts import Read
from tinygrad_gpt.exercises.reading import line_of, location
from tinygrad_gpt.exercises.stub import solution, stub

EVERY = pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.number)
MISTAKES = [(exercise, mistake) for exercise in exercises() for mistake in exercise.mistakes]


@pytest.fixture(autouse=True, scope="module")
def numpy_kernels():
    """As in the process that checks: there is little to compute, and nothing to compile for."""
    use_kernels("numpy")
    yield
    use_kernels(None)


def test_numbers_rise_and_names_are_unique():
    for group in sets():
        assert [e.number for e in group.exercises] == [
            f"{group.letter}{i:02d}" for i in range(1, len(group.exercises) + 1)
        ]
    assert len({exercise.name for exercise in exercises()}) == len(exercises())


@EVERY
def test_stub_fails(exercise):
    verdict = examine_text(exercise, stub(exercise), exercise.filename)
    assert verdict.state == UNWRITTEN
    assert exercise.name in verdict.sentence or "." in verdict.sentence


@EVERY
def test_solution_passes(exercise):
    verdict = examine_text(exercise, solution(exercise), exercise.filename)
    assert verdict.state == PASSED, verdict


@EVERY
def test_examples_in_the_task_are_true(exercise):
    module = load(solution(exercise), exercise.filename)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder().find(module, exercise.name):
        runner.run(test)
    assert runner.failures == 0


@EVERY
def test_three_hints_that_do_not_hold_the_solution(exercise):
    assert len(exercise.hints) == 3
    everything = " ".join("".join(exercise.hints).split()).replace(" ", "")
    returns = [node for node in ast.walk(ast.parse(solution(exercise))) if isinstance(node, ast.Return) and node.value]
    if exercise.rules:
        assert ast.unparse(returns[0].value).replace(" ", "") not in everything


@EVERY
def test_what_to_read_afterwards_exists(exercise):
    assert exercise.read
    for read in exercise.read:
        assert line_of(read) >= 1
        assert read.why


def test_what_an_installed_package_lacks_is_in_the_repository(monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "ROOT", tmp_path)
    assert location(Read("examples/custom_op.py", "Swish", "")) == "examples/custom_op.py (in the repository)"


@EVERY
def test_title_and_task_are_there(exercise):
    assert 10 <= len(exercise.title) <= 64
    assert f"def {exercise.name}(" in stub(exercise) or exercise.check
    assert find(exercise.number) is find(exercise.name) is exercise


@pytest.mark.parametrize("exercise, mistake", MISTAKES, ids=lambda x: getattr(x, "number", ""))
def test_imaginable_mistakes_are_rejected_and_named(exercise, mistake):
    right = solution(exercise)
    assert mistake.right in right
    verdict = examine_text(exercise, right.replace(mistake.right, mistake.wrong), exercise.filename)
    assert verdict.state in (FAILED, RAISED)
    assert mistake.symptom in (*verdict.symptoms, verdict.sentence), verdict


def test_at_least_half_of_the_exercises_know_a_mistake():
    assert len({exercise.name for exercise, _ in MISTAKES}) >= len(exercises()) / 2
