"""The calculator: which problems it makes, what it is graded on, and that it answers what it has learned."""

import json
import re

import numpy as np
import pytest

import tensor
from tinygrad_gpt import GPT, GPTConfig
from tinygrad_gpt.calculator import CHARACTERS, END, Arithmetic, grade, held_out
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.evaluate import batch_loss
from tinygrad_gpt.metrics import read_metrics

TINY = ("calculator", "--digits=1", "--operators=+", "--n_layer=1", "--n_embd=16", "--batch_size=16")
SHORT = ("--max_iters=12", "--warmup_iters=0", "--eval_interval=6", "--eval_iters=2")


def numbers(problems: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """a and b, (N,) each."""
    pairs = np.array([re.findall(r"\d+", question) for question, _ in problems], dtype=int)  # (N, 2)
    return pairs[:, 0], pairs[:, 1]


class TestProblems:
    @pytest.mark.parametrize("numbers_up_to", [100, 1000])
    def test_one_pair_in_sixteen_is_held_out_in_either_order(self, numbers_up_to):
        a, b = np.divmod(np.arange(numbers_up_to**2), numbers_up_to)
        held = held_out(a, b)
        assert held.mean() == pytest.approx(1 / 16, rel=0.1)
        np.testing.assert_array_equal(held, held_out(b, a))

    @pytest.mark.parametrize("validation", [False, True])
    @pytest.mark.parametrize("full_length", [False, True])
    @pytest.mark.parametrize("digits, operators", [(1, "+"), (2, "-"), (3, "+-*")])
    def test_problems_are_right_and_all_or_none_held_out(self, validation, full_length, digits, operators):
        problems = Arithmetic(digits, operators).draw(200, np.random.default_rng(0), validation, full_length)
        assert len(problems) == 200
        a, b = numbers(problems)
        assert (held_out(a, b) == validation).all()
        assert (min(a.min(), b.min()) >= 10 ** (digits - 1)) == full_length
        for question, answer in problems:
            left, right = question[:digits].lstrip("0") or "0", question[digits + 1 : -1].lstrip("0") or "0"
            assert answer == str(eval(f"{left}{question[digits]}{right}"))[::-1] + END
        assert {question[digits] for question, _ in problems} == set(operators)

    def test_the_generator_alone_decides(self):
        arithmetic = Arithmetic(3, "+-")
        assert arithmetic.draw(50, np.random.default_rng(1)) == arithmetic.draw(50, np.random.default_rng(1))
        assert arithmetic.draw(50, np.random.default_rng(1)) != arithmetic.draw(50, np.random.default_rng(2))

    @pytest.mark.parametrize(
        "digits, operators, longest",
        [(3, "+-", "999+999=8991\n"), (3, "-", "000-999=999-\n"), (2, "*+", "99*99=1089\n"), (1, "+", "9+9=81\n")],
    )
    def test_the_longest_problem_just_fits(self, digits, operators, longest):
        assert Arithmetic(digits, operators).block_size == len(longest) - 1


def test_only_the_answer_counts():
    arithmetic = Arithmetic(2, "+-")
    x, y = arithmetic.encode([("95+07=", "201\n"), ("05-07=", "2-\n"), ("01+02=", "3\n")])
    decode = arithmetic.tokenizer.decode
    assert [decode(row) for row in x.tolist()] == ["95+07=201", "05-07=2-\n", "01+02=3\n\n"]
    shown = ["".join("." if token < 0 else CHARACTERS[token] for token in row) for row in y.tolist()]
    assert shown == [".....201\n", ".....2-\n.", ".....3\n.."]


@pytest.fixture(scope="module")
def learner():
    """A model that knows some of the sums of one digit, and not others."""
    arithmetic = Arithmetic(1, "+")
    tensor.manual_seed(0)
    config = GPTConfig(arithmetic.block_size, len(CHARACTERS), n_layer=1, n_head=2, n_embd=32)
    model = GPT(config)
    optimizer = model.configure_optimizers(0.0, 5e-3, (0.9, 0.99))
    generator = np.random.default_rng(0)
    for _ in range(80):
        loss = batch_loss(model, *arithmetic.encode(arithmetic.draw(64, generator)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return arithmetic, model


def test_an_answer_is_right_if_the_model_writes_it(learner):
    arithmetic, model = learner
    problems = arithmetic.draw(60, np.random.default_rng(1))
    rights = []
    for question, answer in problems:
        _, share = grade(model, *arithmetic.encode([(question, answer)]))
        rights.append(share)
        written = arithmetic.answer(model, question)
        assert (written == question + answer.removesuffix(END)[::-1]) == bool(share)
    assert 0 < sum(rights) < 60  # so that both cases were seen
    loss, share = grade(model, *arithmetic.encode(problems))
    assert share == pytest.approx(np.mean(rights))
    assert loss == pytest.approx(batch_loss(model, *arithmetic.encode(problems)).item())


@pytest.mark.parametrize("question", ["2+3=", "2+3", " 2 + 3 = "])
def test_a_question_may_be_written_as_one_likes(question, learner):
    arithmetic, model = learner
    assert arithmetic.answer(model, question).startswith("2+3=")


@pytest.mark.parametrize(
    "question, sentence",
    [
        ("", r"answers questions like 12\+34=, with one of \+ between two numbers; got ''"),
        ("2-3=", "answers questions like"),
        ("two+3=", "answers questions like"),
        ("2+33=", "numbers of up to 1 digits"),
    ],
)
def test_what_is_no_question_says_so(question, sentence, learner):
    arithmetic, model = learner
    with pytest.raises(InputError, match=sentence):
        arithmetic.answer(model, question)


def test_a_run_reports_its_accuracy_and_answers(here, tmp_path):
    done = here("train", *TINY, *SHORT, "--out_dir=run")
    assert done.returncode == 0, done.stderr
    assert "% right\n" in done.stdout
    assert "right answers to problems never trained on, both numbers of 1 digits, 2,000 of each kind: + " in done.stdout
    validations = [line for line in read_metrics(tmp_path / "run") if "val_loss" in line]
    assert [line["iter"] for line in validations] == [0, 6, 12]
    assert all(0 <= line["val_accuracy"] <= 1 and line["train_loss"] > 0 for line in validations)

    answer = here("sample", "--out_dir=run", "--start=4+5=")
    assert answer.stdout.startswith("4+5=") and answer.stdout.endswith("\n")
    refused = here("sample", "--out_dir=run", "--start=ROMEO:")
    assert refused.returncode == 2 and "The calculator answers questions like" in refused.stderr


def test_a_resumed_run_is_given_the_same_problems(here, tmp_path):
    for options in (
        ("train", *TINY, *SHORT, "--out_dir=whole"),
        ("train", *TINY, *SHORT, "--max_iters=7", "--lr_decay_iters=12", "--out_dir=parts"),
        ("train", "--init_from=resume", "--max_iters=12", "--out_dir=parts"),
    ):
        assert here(*options).returncode == 0
    ends = [json.loads((tmp_path / name / "last" / "state.json").read_text()) for name in ("whole", "parts")]
    assert ends[0]["rng"] == ends[1]["rng"]
    assert ends[0]["sha256"]["model.safetensors"] == ends[1]["sha256"]["model.safetensors"]
