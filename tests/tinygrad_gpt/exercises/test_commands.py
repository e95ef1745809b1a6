"""`tinygrad-gpt exercises …`, as a student uses it."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from tinygrad_gpt.exercises import show
from tinygrad_gpt.exercises.catalogue import exercises, find, following
from tinygrad_gpt.exercises.stub import solution, stub

FIRST, SECOND = exercises()[:2]


@pytest.fixture
def folder(tmp_path, here):
    here("exercises", "next")
    return tmp_path / "exercises"


def solve(folder, exercise):
    (folder / exercise.filename).write_text(solution(exercise), "utf-8")


def test_bare_it_says_where_to_begin_and_writes_nothing(here, tmp_path):
    done = here("exercises")
    assert done.returncode == 0
    assert f"0 of {len([e for e in exercises() if e.number[0] == 'A']):>2}" in done.stdout
    assert "Start with `tinygrad-gpt exercises next`" in done.stdout
    assert not (tmp_path / "exercises").exists()


def test_next_hands_out_every_stub_and_shows_the_first_task(here, tmp_path):
    done = here("exercises", "next")
    assert f"{len(exercises())} new exercises in exercises/" in done.stdout
    assert f"{FIRST.number} {FIRST.name}: {FIRST.title}" in done.stdout
    for exercise in exercises():
        assert (tmp_path / "exercises" / exercise.filename).read_text("utf-8") == stub(exercise)


def test_check_solve_and_go_on(here, folder):
    done = here("exercises", "check")
    assert done.returncode == 1
    assert f"✗ {FIRST.number} {FIRST.name}: not written yet" in done.stdout
    solve(folder, FIRST)
    done = here("exercises", "check")
    assert done.returncode == 0
    assert f"✓ {FIRST.number} {FIRST.name}: solved" in done.stdout
    assert "Now read:" in done.stdout and FIRST.read[0].path in done.stdout
    assert f"Next: {SECOND.number} {SECOND.name}" in done.stdout
    assert f"Next is {SECOND.number}" in here("exercises").stdout
    assert f"{SECOND.number} {SECOND.name}: {SECOND.title}" in here("exercises", "next").stdout
    line = next(line for line in here("exercises", "list").stdout.splitlines() if FIRST.number in line)
    assert "✓ solved" in line
    saved = json.loads((folder / "progress.json").read_text())["exercises"]
    assert saved[FIRST.name]["attempts"] == 2 and saved[FIRST.name]["solved"]


def test_a_wrong_answer_shows_expected_got_and_the_input(here, folder):
    text = solution(SECOND).replace("a[:, None] * b", "a[:, None] + b")
    (folder / SECOND.filename).write_text(text, "utf-8")
    shown = here("exercises", "check", SECOND.number).stdout
    assert "It holds sums, not products." in shown
    assert "First difference at [0, 0]: expected" in shown
    assert "expected float32 (1, 1)    got float32 (1, 1)" in shown
    assert "The smallest of" in shown and "a = [" in shown and "b = [" in shown
    assert f"Help: tinygrad-gpt exercises hint {SECOND.number}" in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_what_was_solved_stays_solved(here, folder):
    solve(folder, FIRST)
    here("exercises", "check")
    (folder / FIRST.filename).write_text("broken(", "utf-8")
    assert here("exercises", "check", FIRST.name).returncode == 1
    assert f"Next is {SECOND.number}" in here("exercises").stdout


@pytest.mark.parametrize(
    "name", ["A04", "a4", "A4", "one_hot", "one-hot", "a04_one_hot", "exercises/a04_one_hot.py", "4"]
)
def test_ways_to_name_an_exercise(name):
    assert find(name) is find("A04")


def test_a_bare_number_counts_in_the_set_that_one_is_at():
    assert find("1", "D").number == "D01"


def test_hints_come_one_by_one_then_all(here, folder):
    for number in (1, 2, 3):
        shown = here("exercises", "hint", "A04").stdout
        assert f"A04 one_hot, hint {number} of 3:" in shown and shown.count("hint") == 1
    assert "That is all of them; `tinygrad-gpt exercises solution A04`" in here("exercises", "hint", "A04").stdout
    assert "Help: tinygrad-gpt exercises solution A04" in here("exercises", "check", "A04").stdout


def test_solution_is_printed_and_the_file_left_alone(here, folder):
    assert here("exercises", "solution", "A04").stdout == solution(find("A04"))
    assert (folder / "a04_one_hot.py").read_text("utf-8") == stub(find("A04"))
    assert "… read" in here("exercises", "list").stdout


def test_nothing_of_the_students_is_ever_overwritten(here, folder):
    mine = folder / FIRST.filename
    mine.write_text("mine", "utf-8")
    here("exercises", "next")
    assert mine.read_text("utf-8") == "mine"
    (folder / "progress.json").unlink()  # as if another program had written the files
    here("exercises", "next")
    assert mine.read_text("utf-8") == "mine"
    for number in (1, 2):
        mine.write_text(f"mine {number}", "utf-8")
        assert f"backup{number}.py" in here("exercises", "reset", FIRST.number).stdout
        assert (folder / f"{mine.stem}.backup{number}.py").read_text("utf-8") == f"mine {number}"
        assert mine.read_text("utf-8") == stub(FIRST)
    assert "backup" not in here("exercises", "reset", FIRST.number).stdout


def test_a_deleted_file_is_not_put_back_but_by_reset(here, folder):
    (folder / FIRST.filename).unlink()
    done = here("exercises", "check", FIRST.number)
    assert done.returncode == 1
    assert "is gone: `tinygrad-gpt exercises reset A01` writes it anew" in done.stdout
    here("exercises", "reset", FIRST.number)
    assert (folder / FIRST.filename).exists()


def test_another_folder_before_or_after_the_command(here, tmp_path):
    here("exercises", "next", "--dir", "mine")
    assert (tmp_path / "mine" / FIRST.filename).exists()
    solve(tmp_path / "mine", FIRST)
    assert here("exercises", "--dir", "mine", "check").returncode == 0
    assert not (tmp_path / "exercises").exists()


def test_a_narrow_terminal_cuts_lists_off_and_breaks_sentences_between_words(here, folder, monkeypatch):
    (folder / "b13_softmax_vjp.py").write_text(solution(find("B13")).replace("y * (dy", "(dy"), "utf-8")
    shown = io.StringIO()
    monkeypatch.setattr(show, "console", Console(file=shown, width=50, force_terminal=True, color_system=None))
    here("exercises", "list")
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 50
    assert any(line.startswith("  A01  countdown") and line.endswith("…") for line in lines)
    here("exercises", "check", "B13")
    assert "  The factor y in front is missing: y ⊙ (dy − Σ\n" in shown.getvalue()


def test_when_all_are_solved(here, folder):
    records = {exercise.name: {"given": True, "solved": True} for exercise in exercises()}
    (folder / "progress.json").write_text(json.dumps({"format": 1, "exercises": records}))
    for command in ([], ["next"]):
        assert "All exercises are solved." in here("exercises", *command).stdout
    assert following(exercises()[-1]) is None


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("check one_hat", "There is no exercise one_hat (did you mean one_hot?)"),
        ("check A99", "There is no exercise A99"),
        ("hint 0", "There is no exercise 0"),
        ("solution D99", "There is no exercise D99"),
        ("reset", "Missing argument 'N'"),
        ("chek", "No such command 'chek'. Did you mean 'check'?"),
        ("check --dirs=x", "There is no option --dirs"),
        ("check --dir=file", "--dir=file is a file; pass a folder for the exercises."),
        ("list --dir=damaged", "progress.json is damaged"),
        ("list --dir=newer", "has format 99; this version reads format 1"),
        ("list --dir=strange", "progress.json is damaged"),
    ],
)
def test_misuse_is_one_sentence_and_exit_code_2(arguments, sentence, here, tmp_path):
    (tmp_path / "file").write_text("")
    for name, text in (
        ("damaged", "{"),
        ("newer", '{"format": 99}'),
        ("strange", '{"format": 1, "exercises": {"x": {"y": 1}}}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "progress.json").write_text(text)
    done = here("exercises", *arguments.split())
    assert sentence in done.stderr
    assert done.returncode == 2
    assert done.stderr.startswith("tinygrad-gpt: ") and done.stderr.count("\n") == 1


def test_watch_checks_what_is_saved_and_ends_with_ctrl_c(folder, tmp_path, environment):
    command = [sys.executable, "-u", "-m", "tinygrad_gpt", "exercises", "watch"]
    output = tmp_path / "output.txt"
    with open(output, "w", encoding="utf-8") as file:
        watching = subprocess.Popen(command, cwd=tmp_path, env=environment | {"PYTHONUTF8": "1"}, stdout=file)

    def wait_for(text: str) -> None:
        until = time.monotonic() + 60
        while text not in output.read_text("utf-8"):
            assert time.monotonic() < until and watching.poll() is None, output.read_text("utf-8")
            time.sleep(0.1)

    try:
        wait_for("Watching exercises/")
        (folder / FIRST.filename).write_text("def countdown(n):\n    return 5\n", "utf-8")
        wait_for(f"✗ {FIRST.number} {FIRST.name}: wrong result")
        replacement = folder / "replacement"
        replacement.write_text(solution(FIRST), "utf-8")
        os.replace(replacement, folder / FIRST.filename)  # as many editors save
        wait_for(f"✓ {FIRST.number} {FIRST.name}: solved")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0
        assert "No longer watching." in output.read_text("utf-8")
    finally:
        watching.kill()
        watching.wait()
