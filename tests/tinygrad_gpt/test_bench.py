"""`bench`: both sides do the same work, each in a process of its own, and what is printed says so."""

import json
import os
import statistics
from pathlib import Path

import numpy as np
import pytest
from mpi_process import mpi_library, mpiexec

from tensor.kernels import threads
from tinygrad_gpt.bench import worker
from tinygrad_gpt.bench.floor import products
from tinygrad_gpt.bench.ops import OPS
from tinygrad_gpt.bench.report import three_digits
from tinygrad_gpt.bench.settings import BenchConfig, read_work
from tinygrad_gpt.bench.sides import Side, Spread, ratios
from tinygrad_gpt.errors import InputError, RunError

LAPTOP = "shakespeare-char-laptop"
TINY = ("--n_layer=1", "--n_head=2", "--n_embd=8", "--block_size=8", "--batch_size=2", "--vocab_size=11", "--threads=1")


@pytest.fixture
def bench(command):
    """Run the benchmark on a tiny model with --json; the result."""

    def run(*arguments: str) -> dict:
        done = command("bench", *TINY, "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


# ---------------------------------------------------------------------------------------- training steps


def test_both_sides_train_the_same_model_on_the_same_batches(bench):
    result = bench("--against=torch", "--rounds=3", "--iters=4")
    ours, theirs = (result["sides"][engine] for engine in ("ours", "torch"))
    assert ours["last_loss"] == pytest.approx(theirs["last_loss"], rel=1e-5)  # after 17 steps of AdamW
    assert (ours["facts"]["threads"], theirs["facts"]["threads"]) == (1, 1)
    settings = [side["facts"]["malloc_and_gc"] for side in result["sides"].values()]
    assert settings == ["as in train", "as they come", "as in train"]
    assert result["ratio"]["least"] <= result["ratio"]["low"] <= result["ratio"]["median"] <= result["ratio"]["most"]
    for side in (ours, theirs):
        assert 0 < side["above_start_bytes"] < side["peak_bytes"]
    assert result["floor_share"]["median"] > 0
    assert sum(op["share"] for op in result["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert result["shares"]["Linear"]["calls"] == 4  # q, k and v at once, c_proj, c_proj, lm_head
    assert result["shares"]["LinearGelu"]["calls"] == 1  # c_fc


def test_the_opponent_can_have_the_trainers_settings_of_memory(bench):
    result = bench("--tuned_opponent", "--rounds=1", "--iters=1")
    assert {side["facts"]["malloc_and_gc"] for side in result["sides"].values()} == {"as in train"}
    assert result["tuned_opponent"]


@pytest.mark.parametrize("tuned", [False, True])
def test_a_tuned_process_keeps_memory_and_collects_garbage_rarely(tuned, monkeypatch):
    """What the worker says of its process is what it has done in it."""
    called = []
    for name in ("keep_freed_memory", "collect_garbage_rarely"):
        monkeypatch.setattr(worker, name, lambda name=name: called.append(name))
    monkeypatch.setattr("sys.argv", ["worker", "ours", "ops", *(["tuned"] if tuned else [])])
    monkeypatch.setattr("sys.stdin", [])
    worker.main()
    assert called == (["keep_freed_memory", "collect_garbage_rarely"] if tuned else [])


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_the_kernels_that_the_user_chose_run(bench, environment, kernels):
    pytest.importorskip(kernels)
    environment["TENSOR_KERNELS"] = kernels
    facts = bench("--against=nothing", "--rounds=1", "--iters=1")["sides"]["ours"]["facts"]
    assert facts["kernels"] == kernels
    assert facts["loops_on"] in (["Python's threads"] if kernels == "numpy" else ["BLAS's threads", "Python's threads"])


def test_the_text_and_the_picture(command, tmp_path):
    pytest.importorskip("matplotlib")
    done = command("bench", *TINY, "--against=nothing", "--rounds=2", "--iters=1", "--png=bars.png")
    assert done.returncode == 0, done.stderr
    assert "1 layers, 2 heads, 8 channels, block 8, batch 2, 11 tokens, float32; 2 rounds of 1" in done.stdout
    for words in ("ours:", "kernels", "peak memory", "matrix products alone / ours:", "Attention"):
        assert words in done.stdout
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "milliseconds, text",
    [(0.0312, "0.0312"), (2.814, "2.81"), (62.0, "62.0"), (99.96, "100"), (104.2, "104"), (7612.4, "7,612")],
)
def test_times_have_three_digits_and_no_exponent(milliseconds, text):
    assert three_digits(milliseconds) == text


# ---------------------------------------------------------------------------------------- the other modes


def test_every_op_has_its_ratio(bench):
    result = bench("--mode=ops", "--rounds=2", "--iters=2")
    assert list(result["ops"]) == list(OPS)
    assert all(op["ratio"]["median"] > 0 for op in result["ops"].values())


def test_a_sampled_token_beside_transformers(bench):
    pytest.importorskip("transformers")
    result = bench("--mode=sample", "--rounds=2", "--block_size=32")
    assert result["same_tokens"]
    assert (result["prompt"], result["iters"]) == (16, 15)  # the prompt and its continuation fit into block_size
    assert result["ratio"]["median"] > 0


def test_scaling_changes_one_size_at_a_time(bench):
    points = bench("--mode=scaling", "--rounds=1", "--iters=1")["points"]
    assert [(point["size"], point["value"], point["tokens"]) for point in points] == [
        *[("block_size", n, 2 * n) for n in (2, 4, 8, 16)],
        *[("batch_size", n, 8 * n) for n in (1, 2, 4)],  # a quarter of 2 is 1 as well
        *[("n_embd", n, 16) for n in (2, 4, 8, 16)],
    ]


def test_two_processes_train_twice_as_many_tokens(bench, environment):
    environment["PATH"] = os.pathsep.join([str(Path(mpiexec()).parent), environment["PATH"]])
    environment |= mpi_library()
    one, two = bench("--scaling", "--ranks=2", "--rounds=2", "--iters=2")["points"]
    assert (one["ranks"], one["tokens"], one["waiting"]["most"]) == (1, 16, 0)
    assert (two["ranks"], two["tokens"]) == (2, 32)
    assert 0 < two["waiting"]["median"] < 1
    assert two["messages_ms"]["median"] > 0


# ---------------------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["shakespear-char"], "There is no preset shakespear-char (did you mean shakespeare-char?)"),
        (["--scaling", "--against=torch"], "--mode=ranks is compared with nothing, not with torch"),
        (["--rounds=0"], "rounds must be at least 1, got 0."),
        (["--iters=many"], "--iters should be a whole number, got 'many'."),
        (["--against=jax"], "--against should be one of torch, transformers, nothing, got 'jax'."),
        (
            ["--mode=sample", "--against=torch"],
            "--mode=sample is compared with transformers or nothing, not with",
        ),
        (["--n_embd=130"], "n_embd (130) must be a multiple of n_head (4)"),
        (["--batch_size=0"], "batch_size must be at least 1, got 0."),
        (["--ranks=2"], "--ranks is for --mode=ranks."),
        (["--mode=ops", "--tuned_opponent"], "--tuned_opponent is for an opponent that trains: --mode=step or scaling"),
        (["--mode=sample", "--block_size=1"], "--mode=sample needs a block_size of at least 2"),
        (["--png=."], "--png=. cannot be written: it is a folder."),
        (["--png=no/such/bars.png"], "--png=no/such/bars.png cannot be written: there is no folder no/such."),
        (["--round=3"], "There is no option --round (did you mean --rounds?)."),
    ],
)
def test_unusable_input_is_a_sentence(here, arguments, sentence):
    done = here("bench", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_an_opponent_that_is_not_installed(here, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = here("bench")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "torch is not installed: `pip install torch`, or pass --against=nothing." in done.stderr


def test_a_picture_without_matplotlib_is_refused_before_anything_is_measured(here, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = here("bench", "--against=nothing", "--png=bars.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--png needs matplotlib: run `pip install 'tinygrad-gpt[plot]'`." in done.stderr


def test_a_side_that_cannot_do_the_work_is_a_sentence(command, environment):
    environment["TENSOR_KERNELS"] = "fortran"
    done = command("bench", *TINY, "--against=nothing")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "ours cannot do this: UnusableKernels: there are no kernels called 'fortran'" in done.stderr


def test_processes_without_an_mpi_are_a_sentence(command, environment):
    environment["MPI4PY_LIBMPI"] = "no such library"
    done = command("bench", *TINY, "--scaling", "--ranks=1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "run `pip install mpich`, or set MPI4PY_LIBMPI" in done.stderr


def test_a_side_that_dies_is_a_run_that_failed(monkeypatch, environment, tmp_path):
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    work = read_work(LAPTOP, BenchConfig(n_layer=1, n_embd=8, block_size=8, threads=1), str(tmp_path))
    side = Side("ours", "step", work, tuned=False)
    try:
        assert os.getpgid(side.process.pid) != os.getpgid(0), "Ctrl-C would reach it, and it would print a traceback"
        side.process.kill()
        with pytest.raises(RunError, match="The process of ours ended before its work was done"):
            side.ask("round", iters=1)
    finally:
        side.close()


# ---------------------------------------------------------------------------------------- the parts


def test_overrides_take_the_place_of_the_presets_values():
    work = read_work("gpt2", BenchConfig(batch_size=1, n_layer=2, threads=3), "folder")
    assert (work.model.n_layer, work.model.n_embd, work.model.vocab_size, work.batch_size) == (2, 768, 50257, 1)
    assert work.threads == 3
    with pytest.raises(InputError, match="dropout"):
        read_work("gpt2", BenchConfig(dropout=1.5), "folder")


def test_both_sides_have_as_many_threads_as_our_kernels(monkeypatch):
    """Which follow the environment: tests/tensor/test_kernels.py."""
    monkeypatch.setattr(threads, "THREADS", 5)
    assert read_work(LAPTOP, BenchConfig(), "folder").threads == 5


def test_the_floor_has_the_products_of_a_step():
    """6 products of N parameters a token, and of attention 12 T C a layer (Kaplan et al. 2020, arXiv:2001.08361)."""
    work = read_work(LAPTOP, BenchConfig(), "folder")
    model, tokens = work.model, work.batch_size * work.model.block_size
    counted = sum(times * batch * 2 * m * k * n for times, batch, m, k, n in products(work))
    matrices = 12 * model.n_layer * model.n_embd**2 + model.n_embd * model.vocab_size
    attention = 12 * model.n_layer * model.block_size * model.n_embd
    assert counted == tokens * (6 * matrices + attention)


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0, 4.0, 8.0, 16.0], [5.0, 1.0]])
def test_spread_is_numpys(values):
    spread = Spread.of(values)
    assert (spread.low, spread.median, spread.high) == tuple(np.quantile(values, [0.25, 0.5, 0.75]))
    assert (spread.least, spread.most) == (min(values), max(values))


def test_ratios_are_taken_round_by_round():
    ours, theirs = [1.0, 10.0, 2.0], [2.0, 20.0, 8.0]  # the machine was slow in the second round
    assert ratios(ours, theirs).median == statistics.median([0.5, 0.5, 0.25])
