"""Training as a user runs it: real processes, real files, real signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from same_run import assert_same_run, assert_skips_its_first_step, without_speed

from tinygrad_gpt import evaluate, plot, report
from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.data import get_batch
from tinygrad_gpt.metrics import MetricsLog, read_metrics
from tinygrad_gpt.model import GPT, GPTConfig
from tinygrad_gpt.start import Run, new_run
from tinygrad_gpt.train import take_step

COMMAND = (sys.executable, "-m", "tinygrad_gpt")


@pytest.fixture
def train(text_file, here, small_run):
    """A small run to its end, which must be a good one."""

    def run_it(*options: str) -> str:
        arguments = ("train", *options)
        if "--init_from=resume" not in options:
            arguments = ("train", f"--input={text_file}", *small_run, *options)
        done = here(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_it


def test_a_run_leaves_everything_that_it_promises(command, text_file, small_run, tmp_path):
    done = command("train", f"--input={text_file}", "--out_dir=run", *small_run)
    assert done.returncode == 0 and done.stderr == ""
    printed = done.stdout
    folder = tmp_path / "run"
    assert sorted(os.listdir(folder)) == ["best", "last", "last.old", "loss.png", "metrics.jsonl"]
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")

    lines = read_metrics(folder)
    assert [line["iter"] for line in lines] == list(range(0, 25, 2))
    for line in lines:
        keys = {"iter", "lr", "tokens_per_s", "mfu"}
        keys |= {"train_loss", "val_loss"} if line["iter"] % 8 == 0 else set()
        keys |= {"loss"} if line["iter"] < 24 else set()
        assert set(line) == keys
        assert line["tokens_per_s"] > 0 and line["mfu"] >= 0
    losses = [line["val_loss"] for line in lines if "val_loss" in line]
    assert losses[-1] < losses[0]

    state = json.loads((folder / "last" / "state.json").read_text())
    best = json.loads((folder / "best" / "state.json").read_text())
    assert state["iteration"] == 24
    assert best["best_val_loss"] == state["best_val_loss"] == min(losses)
    assert best["iteration"] == 8 * int(np.argmin(losses))

    assert "verse.txt: " in printed and "characters" in printed
    assert "iter 24: train loss" in printed
    assert "validation loss: " in printed and "the whole validation split, 1,979 tokens" in printed
    assert "loss curve: run/loss.png" in printed
    assert len(printed.split("a sample of the best checkpoint:\n\n")[1].strip("\n")) >= 10


def test_two_runs_without_a_folder_keep_each_other(train, tmp_path):
    assert "run folder: out/shakespeare-char-laptop\n" in train()
    assert "run folder: out/shakespeare-char-laptop-2\n" in train("--seed=5")
    seeds = [
        json.loads((tmp_path / "out" / name / "last" / "state.json").read_text())["config"]["seed"]
        for name in ("shakespeare-char-laptop", "shakespeare-char-laptop-2")
    ]
    assert seeds == [1337, 5]


def test_a_named_folder_is_replaced_only_when_told_to(train, here, text_file, tmp_path, small_run):
    train("--out_dir=run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    before = without_speed(tmp_path / "run")
    refused = here("train", f"--input={text_file}", "--out_dir=run", *small_run)
    assert refused.returncode == 2
    for way in ("run already holds a run", "--init_from=resume", "--overwrite=True", "another --out_dir"):
        assert way in refused.stderr
    assert without_speed(tmp_path / "run") == before
    train("--out_dir=run", "--overwrite=True", "--seed=5")
    assert without_speed(tmp_path / "run") != before
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_run_that_was_killed_before_its_first_checkpoint_is_not_offered_for_resuming(here, text_file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    refused = here("train", f"--input={text_file}", "--out_dir=run")
    assert refused.returncode == 2 and "--overwrite=True" in refused.stderr
    assert "has no checkpoint yet" in refused.stderr and "resume" not in refused.stderr


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--dropout=0.2", "--gradient_accumulation_steps=2"),
        ("--dtype=float64", "--decay_lr=False"),
        ("--dtype=float16",),
    ],
    ids=["plain", "dropout and accumulation", "float64", "float16"],
)
def test_a_finished_run_that_goes_on_is_the_longer_run(options, train, tmp_path):
    options = (*options, "--lr_decay_iters=24")
    train("--out_dir=whole", *options)
    train("--out_dir=parts", "--max_iters=10", *options)
    train("--init_from=resume", "--out_dir=parts", "--max_iters=24")
    # The last validation of the short run is at its own end, not at a multiple of eval_interval.
    assert [line["iter"] for line in read_metrics(tmp_path / "parts")] == list(range(0, 25, 2))
    short_end = [line for line in without_speed(tmp_path / "parts") if line["iter"] == 10]
    assert "val_loss" not in short_end[0]
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_a_step_counts_gradients_as_clipped_and_leaves_them(text_file, cache):
    model = {"n_layer": 1, "n_head": 1, "n_embd": 8, "block_size": 8}
    one = new_run(TrainConfig(input=str(text_file), **model, dtype="float64", grad_clip=0.1, beta1=0.75))
    _, norm = take_step(one, lr=1e-2)
    assert norm > 0.1
    gradients = {p: p.grad.array for p in one.model.parameters()}
    assert np.sqrt(sum((g**2).sum() for g in gradients.values())) == pytest.approx(norm.item(), rel=1e-12)
    for p, g in gradients.items():
        mean = one.optimizer.state[p]["exp_avg"]
        np.testing.assert_allclose(mean, 0.25 * 0.1 / norm.item() * g, rtol=1e-5)  # as 1e-6 is added to the norm


def test_float16_has_nearly_the_losses_of_float32(train, tmp_path):
    losses = {}
    for dtype in ("float32", "float16"):
        train(f"--out_dir={dtype}", f"--dtype={dtype}", "--log_interval=1")
        losses[dtype] = [line["loss"] for line in read_metrics(tmp_path / dtype) if "loss" in line]
    assert losses["float16"] != losses["float32"]
    np.testing.assert_allclose(losses["float16"], losses["float32"], atol=0.01)
    assert losses["float16"][-1] < losses["float16"][0] - 0.05


def test_a_step_whose_gradient_overflows_float16_is_skipped_and_said(train, tmp_path):
    assert_skips_its_first_step(train, tmp_path / "run")


@pytest.mark.parametrize("signum, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_resumed_run_is_bit_for_bit_the_same(
    signum, code, train, text_file, environment, tmp_path, small_run
):
    options = ("--dropout=0.1", "--max_iters=400", "--eval_interval=100", "--log_interval=1")
    train("--out_dir=whole", *options)
    process = subprocess.Popen(
        [*COMMAND, "train", f"--input={text_file}", "--out_dir=cut", *small_run, *options],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(read_metrics(tmp_path / "cut")) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    stopped_at = json.loads((tmp_path / "cut" / "last" / "state.json").read_text())["iteration"]
    assert 20 <= stopped_at < 400
    assert f"Stopped and saved at iteration {stopped_at}. To go on: tinygrad-gpt train" in errors

    told = errors.split("To go on: tinygrad-gpt train ")[1].split()
    assert told == ["--init_from=resume", "--out_dir=cut"]
    printed = train(*told)
    assert f"resumed at iteration {stopped_at}" in printed
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_killed_run_resumes_without_gaps_or_doubles(train, text_file, environment, tmp_path, small_run):
    options = ("--max_iters=300", "--eval_interval=25", "--log_interval=1")
    train("--out_dir=whole", *options)
    process = subprocess.Popen(
        [*COMMAND, "train", f"--input={text_file}", "--out_dir=cut", *small_run, *options],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(read_metrics(tmp_path / "cut")) < 60 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert len(read_metrics(tmp_path / "cut")) >= 60
    train("--init_from=resume", "--out_dir=cut")
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


class TestEvalOnly:
    @pytest.fixture(autouse=True)
    def trained(self, train):
        train("--out_dir=run", "--eval_interval=6")

    def test_prints_the_losses_of_where_the_run_stands(self, here, tmp_path):
        last = [line for line in read_metrics(tmp_path / "run") if "val_loss" in line][-1]
        done = here("train", "--init_from=resume", "--out_dir=run", "--eval_only=True")  # although it is finished
        losses = f"train loss {last['train_loss']:.4f}, val loss {last['val_loss']:.4f}"
        assert done.stdout.endswith(f"iter 24: {losses}\n")

    def test_of_a_new_run_are_those_of_its_first_line(self, train, tmp_path):
        first = read_metrics(tmp_path / "run")[0]
        assert f"iter 0: train loss {first['train_loss']:.4f}" in train("--out_dir=run", "--eval_only=True")

    def test_writes_nothing(self, train, tmp_path):
        def files():
            return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

        before = files()
        train("--init_from=resume", "--out_dir=run", "--eval_only=True")
        train("--out_dir=another", "--eval_only=True")
        assert files() == before


class TestAlwaysSaveCheckpoint:
    # A learning rate that undoes what was learned: the best loss is an early one.
    WORSE = ("--learning_rate=0.3", "--warmup_iters=2", "--eval_interval=4", "--max_iters=20")

    def saves(self, train, monkeypatch, *options: str) -> list[tuple[str, int]]:
        saved = []
        save = Run.save
        monkeypatch.setattr(Run, "save", lambda run, name: (saved.append((name, run.iteration)), save(run, name)))
        train(*self.WORSE, *options)
        return saved

    def best(self, folder: Path) -> list[int]:
        """The iterations at which the loss was better than ever before."""
        lines = [line for line in read_metrics(folder) if "val_loss" in line]
        return [a["iter"] for i, a in enumerate(lines) if all(a["val_loss"] < b["val_loss"] for b in lines[:i])]

    def test_true_saves_at_each_validation(self, train, monkeypatch, tmp_path):
        saved = self.saves(train, monkeypatch, "--out_dir=run")
        assert [i for name, i in saved if name == "last"] == [0, 4, 8, 12, 16, 20]
        assert [i for name, i in saved if name == "best"] == self.best(tmp_path / "run")

    def test_false_saves_where_the_loss_is_better_and_at_the_end(self, train, monkeypatch, tmp_path):
        saved = self.saves(train, monkeypatch, "--out_dir=run", "--always_save_checkpoint=False")
        best = self.best(tmp_path / "run")
        assert len(best) < 6  # so that there is something not to save
        assert [i for name, i in saved if name == "best"] == best
        assert [i for name, i in saved if name == "last"] == [*best, *([20] if 20 not in best else [])]

    def test_false_still_resumes_bit_for_bit(self, train, tmp_path):
        options = (*self.WORSE, "--lr_decay_iters=20", "--always_save_checkpoint=False")
        train(*options, "--out_dir=whole")
        train(*options, "--out_dir=parts", "--max_iters=11")
        train("--init_from=resume", "--out_dir=parts", "--max_iters=20")
        assert without_speed(tmp_path / "parts") == without_speed(tmp_path / "whole")


def test_what_is_computed_for_a_token_is_palm_appendix_b():
    model = GPT(GPTConfig(block_size=64, vocab_size=65, n_layer=4, n_head=4, n_embd=128, bias=False))
    assert report.flops_per_token(model) == 6 * 795_904 + 12 * 4 * 4 * 32 * 64


def test_a_resumed_run_may_change_its_dropout(train, tmp_path):
    train("--out_dir=run", "--max_iters=10")
    train("--init_from=resume", "--out_dir=run", "--max_iters=12", "--dropout=0.25")
    state = json.loads((tmp_path / "run" / "last" / "state.json").read_text())
    assert state["config"]["dropout"] == state["model"]["dropout"] == 0.25


class TestResume:
    def test_without_a_folder_the_latest_run_goes_on(self, train, tmp_path):
        train("--out_dir=out/a")
        train("--out_dir=out/b")
        os.utime(tmp_path / "out" / "a" / "last" / "state.json")
        assert "run folder: out/a, resumed at iteration 24" in train("--init_from=resume", "--max_iters=26")

    @pytest.mark.parametrize(
        "options, sentence",
        [
            ((), "The run in run is finished: 24 steps are done. To train on, pass a larger --max_iters."),
            (("--max_iters=30", "--n_layer=3"), "--n_layer=3 cannot be changed: the run in run has 2."),
            (("--max_iters=30", "--freeze=*wte*"), "--freeze=*wte* cannot be changed: the run in run has None."),
            (("--max_iters=30", "--input=other.txt"), "The run in run had another text"),
            (("--max_iters=30", "--input=gone.txt"), "--input=gone.txt does not exist"),
        ],
    )
    def test_what_cannot_go_on_says_why(self, options, sentence, train, here, tmp_path):
        train("--out_dir=run")
        (tmp_path / "other.txt").write_text("Another text. " * 500)
        before = without_speed(tmp_path / "run")
        refused = here("train", "--init_from=resume", "--out_dir=run", *options)
        assert refused.returncode == 2 and sentence in refused.stderr
        assert without_speed(tmp_path / "run") == before


class TestSample:
    @pytest.fixture
    def trained(self, train):
        train("--out_dir=out/run")

    def test_the_seed_decides(self, trained, here):
        texts = [here("sample", "--max_new_tokens=40", f"--seed={seed}").stdout for seed in (1, 1, 2)]
        assert texts[0] == texts[1] != texts[2]

    def test_continues_the_start_and_separates_the_samples(self, trained, here, tmp_path):
        (tmp_path / "prompt.txt").write_text("JULIET:\n")
        for start in ("ROMEO:", "FILE:prompt.txt"):
            done = here("sample", f"--start={start}", "--num_samples=3", "--max_new_tokens=15")
            texts = done.stdout.split("\n" + "-" * 40 + "\n")
            assert len(texts) == 3
            assert all(text.startswith(("ROMEO:", "JULIET:\n")) for text in texts)

    @pytest.mark.parametrize("option", ["--top_k=1", "--top_p=0.000001", "--temperature=0"])
    def test_options_reach_the_model(self, option, trained, here):
        greedy = [here("sample", option, f"--seed={seed}", "--max_new_tokens=20").stdout for seed in (1, 2)]
        assert greedy[0] == greedy[1]

    @pytest.mark.parametrize(
        "start, sentence",
        [
            ("~", "The character '~' (U+007E) is not one of the"),
            ("", "--start is empty"),
            ("FILE:gone.txt", "--start: the file gone.txt cannot be read"),
        ],
    )
    def test_a_start_that_cannot_be_used(self, start, sentence, trained, here):
        done = here("sample", f"--start={start}")
        assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr

    def test_a_reader_that_closes_early_is_no_error(self, trained, environment, tmp_path):
        done = subprocess.run(
            f"{sys.executable} -m tinygrad_gpt sample --num_samples=50 --max_new_tokens=200 | head -n 1",
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr and "Error" not in done.stderr


class TestMetricsLog:
    def lines(self, folder: Path, *iterations: int, tail: str = "") -> None:
        text = "".join(json.dumps({"iter": i}) + "\n" for i in iterations)
        (folder / "metrics.jsonl").write_text(text + tail)

    @pytest.mark.parametrize("tail", ["", '{"iter": 3, "lo', "\x00\x00\x00"])
    def test_continues_at_the_checkpoint(self, tail, tmp_path):
        self.lines(tmp_path, 0, 1, 2, tail=tail)
        log = MetricsLog(tmp_path, start=2)
        log.write({"iter": 2, "loss": 0.5})
        log.close()
        assert read_metrics(tmp_path) == [{"iter": 0}, {"iter": 1}, {"iter": 2, "loss": 0.5}]

    def test_a_number_is_read_as_the_very_same_number(self, tmp_path):
        loss = float(np.float32(1) / np.float32(3))
        log = MetricsLog(tmp_path, start=0)
        log.write({"iter": 0, "loss": loss})
        log.close()
        assert read_metrics(tmp_path)[0]["loss"] == loss


class TestEvaluate:
    MODEL = GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=1, n_head=1, n_embd=8, dropout=0.5))
    TOKENS = np.random.default_rng(0).integers(11, size=101).astype(np.uint16)

    def estimate(self, seed: int) -> float:
        return evaluate.estimate_loss(self.MODEL, self.TOKENS, batch_size=4, block_size=8, eval_iters=3, seed=seed)

    def test_an_estimate_is_the_same_each_time_and_without_dropout(self):
        assert self.estimate(1) == self.estimate(1) != self.estimate(2)
        assert self.MODEL.training

    @pytest.mark.parametrize("length", [9, 10, 16, 17, 101])
    def test_the_loss_of_a_split_counts_every_token_once(self, length):
        tokens = self.TOKENS[:length]
        self.MODEL.eval()
        total = 0.0
        for start in range(0, length - 1, 8):
            x, y = tokens[start : start + 8][: length - 1 - start], tokens[start + 1 : start + 9]
            x, y = x.astype(np.int64)[None], y.astype(np.int64)[None]
            total += evaluate.batch_loss(self.MODEL, x, y).item() * y.size
        self.MODEL.train()
        assert evaluate.split_loss(self.MODEL, tokens) == pytest.approx(total / (length - 1), rel=1e-6)

    def test_an_estimate_is_the_mean_over_its_batches(self):
        self.MODEL.eval()
        generator = np.random.default_rng([3, 1])
        losses = [evaluate.batch_loss(self.MODEL, *get_batch(self.TOKENS, 4, 8, generator)).item() for _ in range(3)]
        self.MODEL.train()
        assert self.estimate(3) == pytest.approx(np.mean(losses), rel=1e-6)


def test_without_matplotlib_a_line_says_what_to_install(train, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "loss curve: pip install 'tinygrad-gpt[plot]' draws one" in train("--out_dir=run")
    assert not (tmp_path / "run" / "loss.png").exists()


def test_the_curve_of_an_empty_run_is_an_empty_picture(tmp_path):
    assert plot.plot_loss(tmp_path).read_bytes().startswith(b"\x89PNG")
