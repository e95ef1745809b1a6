"""The benchmark's own side on the GPU: it takes steps, and the GPU's events time them."""

import pytest
import torch

from tinygrad_gpt.bench.floor import MatrixProducts
from tinygrad_gpt.bench.ops import OPS
from tinygrad_gpt.bench.our_side import OurOps, OurSample, OurStep
from tinygrad_gpt.bench.settings import BenchConfig, read_work
from tinygrad_gpt.cli import run


@pytest.fixture
def work(tmp_path):
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "block_size": 8, "batch_size": 2, "vocab_size": 11}
    return read_work("shakespeare-char-laptop", BenchConfig(**sizes, device="cuda", threads=1), str(tmp_path))


@pytest.mark.parametrize("side", [OurStep, MatrixProducts])
def test_each_step_is_timed(work, side):
    task = side(work)
    task.round(iters=1)
    times = task.round(iters=3)
    assert len(times) == 3
    assert all(time > 0 for time in times)
    assert 0 < task.memory()["gpu_peak_bytes"] < 1 << 24
    if side is OurStep:
        assert task.facts["kernels"] == "cuda"
        assert 1 < task.last_loss() < 4


def test_an_operation_runs_on_the_gpu(work):
    task = OurOps(work)
    assert {leaf.device.type for leaf in task.leaves} == {"cuda"}
    for name in OPS:
        (milliseconds,) = task.round(iters=1, op=name)
        assert milliseconds > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="this PyTorch has a GPU")
def test_an_opponent_without_a_gpu(capsys):
    assert run(["bench", "--device=cuda", "--against=torch"]) == 2
    assert "finds no GPU: install one for CUDA (pytorch.org), or pass --against=nothing." in capsys.readouterr().err


def test_tokens_are_sampled(work):
    task = OurSample(work)
    (milliseconds,) = task.round(iters=3, prompt=2)
    assert milliseconds > 0
    assert len(task.last_tokens()) == 3
