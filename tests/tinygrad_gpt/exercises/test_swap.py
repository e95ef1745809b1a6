"""The student's attention backward inside the engine: exercise C12 and `tinygrad-gpt exercises train`."""

import numpy as np
import pytest

from tensor.kernels import use_kernels
from tinygrad_gpt.exercises import commands
from tinygrad_gpt.exercises.catalogue import find
from tinygrad_gpt.exercises.examine import FAILED, examine_text
from tinygrad_gpt.exercises.stub import solution
from tinygrad_gpt.exercises.swap import attention_backward_by, small_training

EXERCISE = find("attention_backward")


@pytest.fixture(autouse=True)
def numpy_kernels():
    use_kernels("numpy")
    yield
    use_kernels(None)


def test_the_function_is_the_backward_inside_the_block_and_not_after_it():
    right = small_training(3)
    calls = []

    def nothing(dy, q, k, v, y, log_sum):
        calls.append(q.shape)
        return np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)

    with attention_backward_by(nothing):
        wrong = small_training(3)
    assert calls == [(4, 2, 16, 16)] * 3 * 2  # two layers
    assert wrong[0] == right[0] and abs(wrong[2] - right[2]) > 1e-4
    assert small_training(3) == right


def test_right_by_itself_but_wrong_in_training_is_rejected_with_the_losses():
    text = solution(EXERCISE).replace("dv = p.swapaxes(-1, -2) @ dy", "dv = p.swapaxes(-1, -2) @ dy * (1 + (T > 9))")
    verdict = examine_text(EXERCISE, text, EXERCISE.filename)
    assert verdict.state == FAILED
    assert "Every gradient is right by itself, but at step 1 the GPT's loss is 2." in verdict.sentence


SMALL = """
n_layer = 1
n_head = 2
n_embd = 16
block_size = 16
batch_size = 4
max_iters = 8
warmup_iters = 2
eval_interval = 4
eval_iters = 2
sample_tokens = 5
"""


def test_train_compares_a_run_with_it_and_one_without(here, tmp_path, text_file, monkeypatch):
    (tmp_path / "small.toml").write_text(SMALL)
    monkeypatch.setattr(commands, "DEFAULT_PRESET", str(tmp_path / "small.toml"))
    here("exercises", "next")
    done = here("exercises", "train")
    assert done.returncode == 1
    assert "C12 has to pass its check before a GPT trains with it." in done.stdout
    (tmp_path / "exercises" / EXERCISE.filename).write_text(solution(EXERCISE), "utf-8")
    done = here("exercises", "train", f"--input={text_file}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.partition("your loss   the engine's\n")[2].splitlines()[:3]
    iterations, mine, engines = np.array([line.split() for line in lines], dtype=float).T
    assert list(iterations) == [0, 4, 8]
    assert mine == pytest.approx(engines, abs=2e-4) and mine[2] < mine[0]
    for name in ("my-attention", "engine-attention"):
        assert (tmp_path / "out" / name / "last").is_dir()


def test_train_asks_for_a_number_of_steps(here):
    done = here("exercises", "train", "--max_iters=0")
    assert done.returncode == 2 and "--max_iters" in done.stderr
