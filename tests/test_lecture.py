"""The steps of the lecture: each runs alone and learns, and its model is the one that its text describes."""

import os
import re
import subprocess
import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

import nn
import tensor
from tinygrad_gpt.exercises.catalogue import find
from tinygrad_gpt.exercises.stub import solution, stub

LECTURE = Path(__file__).parents[1] / "examples" / "lecture"
SHORT = ("--max_iters=60", "--eval_interval=30", "--eval_iters=8", "--sample_tokens=30")
TINY = ("--block_size=8", "--n_embd=16", "--n_layer=1", "--n_head=2", "--batch_size=8")
TRAININGS = {  # step -> the loss that its text promises with the lecture's settings
    "01_bigram": "2.50",
    "03_one_head": "2.40",
    "04_four_heads": "2.28",
    "05_feed_forward": "2.24",
    "06_residual_blocks": "2.08",
    "07_layer_norm": "2.06",
}
OTHERS = ("02_averaging", "08_scaled", "09_heads_as_a_batch", "10_paper_features")


@pytest.fixture(scope="module")
def text_file(tmp_path_factory) -> Path:
    """A text with something to learn: which letters follow which, and after what."""
    path = tmp_path_factory.mktemp("text") / "made.txt"
    words = ["love", "is", "the", "fever", "of", "a", "summer", "night"]
    path.write_text("\n".join(" ".join(words[i * k % 8] for k in range(1, 8)) for i in range(300)), "utf-8")
    return path


@pytest.fixture
def run_step(tmp_path):
    """Run a step as its own text says, in another folder."""

    def run_it(name: str, *options: str, code: int = 0) -> str:
        path = [os.environ.get("PYTHONPATH"), str(LECTURE.parents[1])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(LECTURE / f"{name}.py"), *options]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return run_it


@pytest.fixture(scope="module")
def step():
    """Import a step by the beginning of its name, as the later steps do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(LECTURE)
        yield lambda start: import_module(next(LECTURE.glob(f"{start}*.py")).stem)


def validation_losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"^step .*validation (\d\.\d+)", output, re.MULTILINE)]


def test_every_step_is_tested():
    assert sorted([*TRAININGS, *OTHERS, "common", "settings"]) == sorted(path.stem for path in LECTURE.glob("*.py"))


class TestRuns:
    @pytest.mark.parametrize("name", TRAININGS)
    def test_learns_and_names_the_expected_loss(self, name, run_step, text_file):
        output = run_step(name, f"--input={text_file}", *SHORT)
        first, _, last = validation_losses(output)
        assert last < first - 0.3
        assert f"validation loss {last:.2f}; expected: about {TRAININGS[name]} with the default settings" in output

    @pytest.mark.parametrize("size, expected", [("laptop", "1.77"), ("large", "1.48")])
    def test_the_scaled_model_has_two_sizes(self, size, expected, run_step, text_file):
        options = ("--large",) if size == "large" else ()
        output = run_step("08_scaled", *options, f"--input={text_file}", *SHORT, *TINY)
        first, _, last = validation_losses(output)
        assert last < first - 0.1
        assert f"expected: about {expected} with" in output

    def test_four_forms_of_an_average(self, run_step):
        output = run_step("02_averaging")
        differences = re.findall(r"^(.*): largest difference from the loops (\S+)$", output, re.MULTILINE)
        assert [form for form, _ in differences] == ["matrix product", "masked softmax", "self-attention"]
        assert all(float(difference) < 1e-6 for _, difference in differences)

    def test_heads_as_a_batch_are_measured_against_the_list(self, run_step):
        output = run_step("09_heads_as_a_batch", "--rounds=3", "--batch_size=2", "--block_size=8", "--n_embd=16")
        for name in ("heads as a batch", "fused"):
            assert re.search(rf"^{name}: \S+ ms, \S+ times as fast", output, re.M)

    def test_features_are_measured_against_the_baseline(self, run_step, text_file):
        options = ("--max_iters=5", "--eval_iters=2", "--seeds=2", *TINY)
        output = run_step("10_paper_features", f"--input={text_file}", *options)
        table = output.split("5 steps, 2 seed(s)")[1].splitlines()[2:]
        assert [line[:12].strip() for line in table] == ["baseline", "rotary", "RMSNorm", "SwiGLU", "all three"]
        assert all(len(re.findall(r"[+-]0\.\d{4}", line)) == 2 for line in table)

    def test_features_are_measured_with_the_students_own_code(self, step, tmp_path):
        for number in ("E05", "E06", "E07"):
            (tmp_path / find(number).filename).write_text(solution(find(number)), "utf-8")
        variants = step("10").variants(str(tmp_path))
        assert {cls.__module__ for cls in variants["all three"].values()} == {"<run_path>"}
        model = step("10").GPT(5, Namespace(n_embd=16, n_head=2, n_layer=1, block_size=8), **variants["all three"])
        assert model(tensor.zeros((1, 8), dtype=tensor.long)).shape == (1, 8, 5)
        (tmp_path / find("E07").filename).write_text(stub(find("E07")), "utf-8")
        with pytest.raises(SystemExit, match="not a solution yet; `tinygrad-gpt exercises check E07` says why"):
            step("10").variants(str(tmp_path))

    @pytest.mark.parametrize(
        "options, sentence",
        [
            (("--input=missing.txt",), "--input=missing.txt does not exist"),
            (("--input={text}", "--block_size=5000"), "too few for a block of 5000"),
            (("--n_head=2",), "unrecognized arguments: --n_head=2"),  # of a model that has none
        ],
    )
    def test_what_cannot_work_is_said_in_a_sentence(self, options, sentence, run_step, text_file):
        options = [option.format(text=text_file) for option in options]
        output = run_step("01_bigram", *options, code=2 if "--n_head=2" in options else 1)
        assert sentence in output and "Traceback" not in output


class TestCommon:
    @pytest.fixture
    def data(self, step, text_file):
        return step("common").Data(Namespace(input=str(text_file), batch_size=4, block_size=6, device="cpu"))

    def test_the_first_nine_tenths_train(self, data, text_file):
        text = text_file.read_text()
        cut = int(0.9 * len(text))
        assert data.decode(data.splits["train"]) == text[:cut]
        assert data.decode(data.splits["val"]) == text[cut:]

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_a_batch_is_pieces_of_the_split_and_what_follows(self, data, split):
        x, y = data.get_batch(split)
        assert x.shape == y.shape == (4, 6)
        for row, following in zip(x, y, strict=True):
            assert data.decode(row) + data.decode(following[-1:]) in data.decode(data.splits[split])
            assert (row[1:] == following[:-1]).all()

    def test_a_guesser_has_the_loss_of_an_even_guess(self, data, step):
        def guess(x):
            return tensor.zeros(*x.shape, data.vocab_size)

        loss = step("common").loss_of(guess, *data.get_batch("val"))
        assert loss.item() == pytest.approx(tensor.tensor(float(data.vocab_size)).log().item(), rel=1e-6)


BODIES = {  # what is between the embeddings and the logits, for 8 positions of 16 channels
    "one head": lambda step: step("03").Head(16, 16, 8),
    "four heads": lambda step: step("04").MultiHeadAttention(16, 2, 8),
    "residual block": lambda step: step("06").Block(16, 2, 8),
    "block with norms": lambda step: step("07").Block(16, 2, 8),
    "scaled": lambda step: step("08").Block(16, 2, 8, dropout=0.0),
    "heads as a batch": lambda step: step("09").MultiHeadAttention(16, 2, 8),
    "fused": lambda step: step("09").FusedAttention(16, 2, 8),
    "baseline": lambda step: paper_body(step, "baseline"),
    "all three": lambda step: paper_body(step, "all three"),
}


def paper_body(step, variant: str) -> nn.Module:
    args = Namespace(n_embd=16, n_head=2, n_layer=2, block_size=8)
    return step("10").GPT(5, args, **step("10").variants()[variant]).body


class TestModels:
    @pytest.mark.parametrize("name", BODIES)
    def test_no_position_sees_what_follows_and_each_sees_all_before(self, name, step):
        tensor.manual_seed(0)
        x = tensor.randn(1, 8, 16, requires_grad=True)
        BODIES[name](step)(x)[0, 4].square().sum().backward()  # the square: a norm's outputs sum to nearly nothing
        reached = x.grad[0].abs().sum(-1) > 1e-9  # (T,)
        assert reached.tolist() == [True] * 5 + [False] * 3

    @pytest.mark.parametrize(
        "sizes, parameters",
        [((65, 256, 384, 6, 6), 10_788_929), ((65, 32, 64, 4, 4), 209_729)],
        ids=["the lecture's large model", "and its small one"],
    )
    def test_the_scaled_model_has_the_lectures_parameters(self, sizes, parameters, step):
        with nn.init.skip_init():
            model = step("08").GPT(*sizes, dropout=0.2)
        assert sum(parameter.numel() for parameter in model.parameters()) == parameters

    def test_dropout_is_for_training_only(self, step):
        model = step("08").GPT(5, 8, 16, 2, 1, dropout=0.5)
        idx = tensor.zeros((1, 8), dtype=tensor.long)
        assert not tensor.equal(model(idx), model(idx))
        model.eval()
        assert tensor.equal(model(idx), model(idx))

    def test_rotary_scores_know_only_how_far_apart_positions_are(self, step):
        rotary = step("10").Rotary(head_size=8, block_size=6)
        q, k = tensor.randn(2, 1, 1, 1, 8)  # the same query and the same key at every position
        q, k = rotary(q.expand(1, 1, 6, 8)), rotary(k.expand(1, 1, 6, 8))
        scores = (q @ k.transpose(-2, -1))[0, 0]  # (T, T)
        for offset in range(-5, 6):
            along = scores.diagonal(offset)
            assert tensor.allclose(along, along[:1].expand(len(along)), atol=1e-5)
        assert (scores[0, 0] - scores[3, 0]).abs() > 1e-3  # but that they do

    def test_rotary_keeps_lengths_and_the_first_position(self, step):
        x = tensor.randn(2, 3, 6, 8)  # (B, nh, T, hs)
        turned = step("10").Rotary(head_size=8, block_size=6)(x)
        assert tensor.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
        assert tensor.equal(turned[:, :, 0], x[:, :, 0])

    def test_swiglu_has_the_weights_of_the_layer_that_it_replaces(self, step):
        def count(module):
            return sum(parameter.numel() for parameter in module.parameters())

        features = step("10")
        assert count(features.SwiGLU(128)) == pytest.approx(count(features.FeedForward(128)), rel=0.01)
