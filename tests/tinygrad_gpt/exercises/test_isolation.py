"""The check as a process: nothing that a student's code does hangs it, breaks it or floods it."""

import pytest

from tinygrad_gpt.exercises.catalogue import find
from tinygrad_gpt.exercises.examine import MISSING, PASSED, RAISED, STOPPED
from tinygrad_gpt.exercises.isolate import MOST_PRINTED, check
from tinygrad_gpt.exercises.stub import solution, stub

AVERAGE = find("average_v1")


@pytest.fixture
def write(tmp_path):
    def write_it(body: str):
        path = tmp_path / AVERAGE.filename
        path.write_text(stub(AVERAGE).replace("    return ...  # your lines here\n", body), "utf-8")
        return path

    return write_it


@pytest.mark.parametrize(
    "body, state, sentence, line",
    [
        ("    while True: x = x + 1\n", STOPPED, "Not done after 3 seconds", "while True: x = x + 1"),
        ("    while True:\n        print('x' * 1000)\n", None, "", "print('x' * 1000)"),
        ("    import os\n    os._exit(3)\n", STOPPED, "The process ended itself (exit code 3)", None),
        ("    import os\n    os.abort()\n", STOPPED, "The process was ended by SIGABRT", None),
        ("    import time\n    time.sleep(60)\n", STOPPED, "Not done after 3 seconds", "time.sleep(60)"),
        ("    return bytearray(9 << 30)\n", RAISED, "MemoryError", "return bytearray(9 << 30)"),
    ],
    ids=["endless loop", "endless print", "exit", "abort", "sleep", "memory"],
)
def test_what_a_program_can_do(body, state, sentence, line, write):
    verdict = check(AVERAGE, write(body), seconds=3)
    assert not verdict.passed
    assert state in (None, verdict.state), verdict
    assert sentence in verdict.sentence
    assert line is None or line in verdict.lines[-1]
    assert len(verdict.printed) <= MOST_PRINTED + 2


def test_what_the_program_prints_is_shown(write):
    verdict = check(AVERAGE, write("    print('the shape is', x.shape)\n    return x\n"))
    assert verdict.printed.startswith("the shape is (1, 1, 1)\n")


def test_a_solution_passes_and_a_deleted_file_is_a_sentence(tmp_path):
    path = tmp_path / AVERAGE.filename
    verdict = check(AVERAGE, path)
    assert verdict.state == MISSING
    assert f"{path} is gone: `tinygrad-gpt exercises reset A10` writes it anew" in verdict.sentence
    path.write_text(solution(AVERAGE), "utf-8")
    assert check(AVERAGE, path).state == PASSED


def test_files_beside_it_do_not_shadow_the_engine(tmp_path, monkeypatch):
    (tmp_path / "tensor.py").write_text("raise SystemExit")
    (tmp_path / "numpy.py").write_text("raise SystemExit")
    (tmp_path / AVERAGE.filename).write_text(solution(AVERAGE), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert check(AVERAGE, tmp_path / AVERAGE.filename).state == PASSED
