"""The loss of a whole text by sliding windows, and `tinygrad-gpt eval`."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import tensor
from tinygrad_gpt import GPT, GPTConfig
from tinygrad_gpt.cli import run
from tinygrad_gpt.data import write_dataset
from tinygrad_gpt.eval import _size_of_text, measure
from tinygrad_gpt.evaluate import SlidingWindows, mean_loss, sliding_windows, split_loss
from tinygrad_gpt.tokenizer import CharTokenizer
from tinygrad_gpt.trained import Trained, open_trained

T = 8  # block_size


@pytest.fixture(scope="module")
def model() -> GPT:
    """Far from its initial weights, so that context matters; in training mode, with dropout."""
    tensor.manual_seed(0)
    model = GPT(GPTConfig(block_size=T, vocab_size=11, n_layer=2, n_head=2, n_embd=8, dropout=0.5))
    model.to(dtype=tensor.float64)
    generator = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data.array[...] += 0.5 * generator.standard_normal(parameter.shape)
    return model


def random_tokens(length: int) -> np.ndarray:
    return np.random.default_rng(2).integers(11, size=length).astype(np.uint16)


@tensor.no_grad()
def plain_losses(model: GPT, tokens: np.ndarray, stride: int) -> list[float]:
    """-ln p of each token but the first, one at a time, from the context that its window has before it."""
    losses = []
    for place in range(1, len(tokens)):
        windows_before = max(0, math.ceil((place - T) / stride))
        context = tokens[windows_before * stride : place].astype(np.int64)[None]
        assert min(place, T - stride + 1) <= context.shape[1] <= T
        logits = model(tensor.from_numpy(context))[0].numpy()[0, -1]
        losses.append(np.log(np.exp(logits).sum()) - logits[tokens[place]])
    return losses


@pytest.mark.parametrize("stride", [1, 3, 5, 7, 8])
@pytest.mark.parametrize("length", [2, 7, 8, 9, 10, 11, 16, 17, 18, 40])
def test_the_loss_is_that_of_a_plain_loop(length, stride, model):
    tokens = random_tokens(length)
    loss = mean_loss(model, sliding_windows(model, tokens, stride))
    assert model.training, "the model is left in the mode it came in"
    model.eval()
    expected = plain_losses(model, tokens, stride)
    model.train()
    assert len(expected) == length - 1
    assert loss == pytest.approx(np.mean(expected), rel=1e-12)
    if stride == T:
        assert split_loss(model, tokens) == loss


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
@pytest.mark.parametrize("length, stride", [(2, 3), (9, 3), (10, 3), (200, 1), (200, 3), (201, 8), (202, 8)])
def test_every_token_but_the_first_is_scored_once(length, stride, rows):
    tokens = np.arange(length, dtype=np.uint16)  # each its own name
    windows = SlidingWindows(tokens, T, stride, rows)
    batches = list(windows)
    assert len(batches) == len(windows)
    assert sorted(np.concatenate([y[y >= 0] for _, y in batches]).tolist()) == list(range(1, length))
    for x, y in batches:
        assert x.dtype == y.dtype == np.int64 and x.shape == y.shape and len(x) <= rows
        assert ((y == x + 1) | (y == -1)).all()


@pytest.mark.parametrize(
    "length, stride, sentence",
    [
        (50, 0, r"stride must be in 1 … block_size \(8\), got 0"),
        (50, 9, r"stride must be in 1 … block_size \(8\), got 9"),
        (1, 8, "there is nothing to predict: it takes at least 2 tokens, got 1"),
    ],
)
def test_windows_that_make_no_sense(length, stride, sentence):
    with pytest.raises(ValueError, match=sentence):
        SlidingWindows(random_tokens(length), T, stride, 1)


def test_a_large_vocabulary_is_read_in_small_batches():
    """64 windows of GPT-2's would be 13 GB of logits."""
    gpt2 = GPT(GPTConfig(block_size=1024, vocab_size=50257, n_layer=0, n_head=1, n_embd=1))
    assert sliding_windows(gpt2, random_tokens(5000), 1024).rows == 1


def test_a_score_in_every_unit(model):
    """A model that knows nothing is as unsure as a choice among all tokens."""
    ignorant = GPT(GPTConfig(block_size=T, vocab_size=4, n_layer=0, n_head=1, n_embd=4)).eval()
    with tensor.no_grad():
        ignorant.lm_head.weight.zero_()
    tokenizer = CharTokenizer("aéß日")
    text = "aaé日ßaa日日é" * 5
    score = measure(Trained(ignorant, tokenizer, "ignorant", None), tokenizer.encode(text), "text", stride=4)
    assert score.perplexity == pytest.approx(4, rel=1e-6) and score.loss == pytest.approx(math.log(4), rel=1e-6)
    assert score.bits_per_character == pytest.approx(2, rel=1e-6)
    assert score.bits_per_byte == pytest.approx(2 * 49 / len(text[1:].encode()), rel=1e-6)
    assert (score.tokens, score.block_size, score.stride) == (49, T, 4)


def test_the_size_of_a_text_does_not_depend_on_where_it_is_cut(monkeypatch):
    tokenizer = CharTokenizer("aé日")
    monkeypatch.setattr("tinygrad_gpt.eval.DECODED_AT_ONCE", 3)
    assert _size_of_text(tokenizer.encode("aé日" * 7), tokenizer) == (21, 42)


# ---------------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def trained(tmp_path_factory, made_text, small_run) -> Path:
    """A folder with a small run, its text, what training printed, and a dataset of the text's tokens."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "verse.txt").write_text(made_text, "utf-8")
    (folder / "part.txt").write_text(made_text[:1500], "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TINYGRAD_GPT_CACHE", str(folder / "cache"))
        assert run(["train", "--input=verse.txt", "--out_dir=out/run", *small_run, "--sample_tokens=0"]) == 0
    tokenizer = open_trained(str(folder / "out" / "run")).tokenizer
    ids = tokenizer.encode(made_text)
    with write_dataset(folder / "dataset", tokenizer, "verse") as writers:
        writers["train"].write(ids[3000:5000])
        writers["val"].write(ids[5000:6000])
    with write_dataset(folder / "other", CharTokenizer("ab"), "another language") as writers:
        writers["train"].write(np.zeros(100, np.int64))
        writers["val"].write(np.zeros(100, np.int64))
    return folder


@pytest.fixture
def evaluate(trained, here, monkeypatch):
    """Run `tinygrad-gpt eval` in the folder of `trained`."""

    def run_it(*options: str):
        monkeypatch.chdir(trained)
        return here("eval", *options)

    return run_it


def loss_of(done) -> float:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["loss"]


def test_without_options_the_latest_run_reads_its_own_validation_split(evaluate, trained, made_text):
    done = evaluate("--json")
    model, tokenizer = open_trained(str(trained / "out" / "run")).model, CharTokenizer.from_text(made_text)
    val = tokenizer.encode(made_text[int(len(made_text) * 0.9) :])
    assert loss_of(done) == pytest.approx(split_loss(model, val), rel=1e-6)
    score = json.loads(done.stdout)
    assert score["tokens"] == len(val) - 1 and score["stride"] == score["block_size"] == 16
    assert score["perplexity"] == pytest.approx(math.exp(score["loss"]))
    assert score["bits_per_byte"] == score["bits_per_character"] == pytest.approx(score["loss"] / math.log(2))


def test_the_lines_say_the_same(evaluate):
    score, lines = json.loads(evaluate("--json").stdout), evaluate().stdout
    assert f"loss: {score['loss']:.4f} nats a token, perplexity {score['perplexity']:.2f}\n" in lines
    assert f"{score['tokens']:,} tokens predicted, from at most 16 (windows side by side)" in lines
    assert (
        f"bits per character: {score['bits_per_character']:.4f}, per byte of UTF-8: {score['bits_per_byte']:.4f}\n"
        in lines
    )


def test_the_progress_bar_does_not_stand_in_the_result(evaluate):
    assert json.loads(evaluate("--json", "--dataset=dataset", "--stride=1").stdout)["stride"] == 1


@pytest.mark.parametrize(
    "options, start, stop",
    [
        (("--input=part.txt",), 0, 1500),
        (("--dataset=dataset",), 5000, 6000),
        (("--dataset=dataset", "--split=train"), 3000, 5000),
        (("--dataset=dataset/val.tokens",), 5000, 6000),
        (("--dataset=dataset", "--init_from=out/run/best"), 5000, 6000),
    ],
)
def test_other_texts(options, start, stop, evaluate, trained, made_text):
    best = open_trained(str(trained / "out" / "run"))
    windows = sliding_windows(best.model, best.tokenizer.encode(made_text)[start:stop], 5)
    assert loss_of(evaluate(*options, "--json", "--stride=5")) == pytest.approx(
        mean_loss(best.model, windows), rel=1e-6
    )


def test_more_context_does_not_change_how_many_tokens_count(evaluate):
    scores = [json.loads(evaluate("--json", "--dataset=dataset", f"--stride={stride}").stdout) for stride in (1, 16)]
    assert scores[0]["tokens"] == scores[1]["tokens"] and scores[0]["loss"] != scores[1]["loss"]


@pytest.mark.parametrize(
    "options, sentence",
    [
        (("--stride=0",), "stride must be at least 1, got 0."),
        (("--stride=17",), "stride must be at most the model's block_size, 16, got 17."),
        (("--input=verse.txt", "--dataset=dataset"), "--input and --dataset both name a text: pass one of them."),
        (("--input=verse.txt", "--split=train"), "--split is of a dataset or of a run's own text."),
        (("--input=gone.txt",), "--input=gone.txt does not exist"),
        (("--input=one.txt",), "There is nothing to predict in one.txt: it takes at least 2 tokens, got 1."),
        (("--input=strange.txt",), "The character 'Ω' (U+03A9) is not one of the"),
        (("--dataset=gone",), "gone holds no dataset"),
        (("--dataset=verse.txt",), "verse.txt is not a token file"),
        (("--dataset=other",), "other has 2 char tokens, and out/run/best knows"),
        (("--out_dir=gone",), "--out_dir=gone holds no run"),
        (("--init_from=exported",), "exported has no text of its own here: pass --input=PATH or --dataset=FOLDER."),
    ],
)
def test_what_cannot_be_used(options, sentence, evaluate, trained, here):
    (trained / "one.txt").write_text("a")
    (trained / "strange.txt").write_text("Ω" * 20, "utf-8")
    shutil.rmtree(trained / "exported", ignore_errors=True)
    open_trained(str(trained / "out" / "run")).model.save_pretrained(trained / "exported")
    (trained / "exported" / "characters.json").write_text('{"a": 0, "b": 1}')
    done = evaluate(*options)
    assert done.returncode == 2 and done.stdout == ""
    assert sentence in done.stderr and done.stderr.count("\n") == 1


def test_a_loss_that_is_not_finite_is_one_sentence(evaluate, trained, monkeypatch):
    monkeypatch.setattr("tinygrad_gpt.eval.mean_loss", lambda model, batches: math.nan)
    done = evaluate("--dataset=dataset")
    assert done.returncode == 1
    assert done.stderr == (
        "tinygrad-gpt: The loss of out/run/best on dataset (val) is nan: the model's weights are of no use.\n"
    )
