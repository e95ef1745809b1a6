"""`train --profile`: the tables at the end name the ops and the modules, and the run itself stays the same."""

import re

import numpy as np
import pytest

import tensor
from tensor.profiler import OUTSIDE, profile
from tinygrad_gpt import profile as report
from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.model import GPT, GPTConfig


def cells(printed: str, row: str) -> list[str]:
    """What stands in the table row that is called `row`."""
    return next(line.split(row)[1].split() for line in printed.splitlines() if line.strip().startswith(f"{row} "))


def test_the_tables_name_ops_and_modules(here, text_file, small_run, monkeypatch):
    monkeypatch.setattr(report.console, "width", 80)  # a name is whole in a narrow window, too
    monkeypatch.setattr("tinygrad_gpt.profile.SHOWN", 100)  # which rows take longest is the clock's to say
    train = ("train", f"--input={text_file}", *small_run)
    plain, profiled = here(*train, "--out_dir=plain"), here(*train, "--out_dir=profiled", "--profile")
    assert (plain.returncode, profiled.returncode) == (0, 0), profiled.stderr
    assert "by module" not in plain.stdout
    for row in ("Attention", "LayerNorm", "transformer.h.*.attn.c_attn", "lm_head", "optimizer.step", OUTSIDE):
        assert cells(profiled.stdout, row)
    assert cells(profiled.stdout, "all")[3] == "100.0%"


def test_a_profiled_run_learns_the_same(here, text_file, small_run, tmp_path):
    train = ("train", f"--input={text_file}", *small_run)
    here(*train, "--out_dir=plain"), here(*train, "--out_dir=profiled", "--profile=True")
    losses = [[line.get("loss") for line in read_metrics(tmp_path / run)] for run in ("plain", "profiled")]
    assert losses[0] == losses[1]


def test_a_failed_run_prints_its_tables_too(here, text_file, small_run):
    done = here("train", f"--input={text_file}", *small_run, "--learning_rate=1e30", "--grad_clip=0", "--profile")
    assert done.returncode == 1
    assert "by module" in done.stdout


@pytest.fixture
def model():
    tensor.manual_seed(0)
    return GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=3, n_head=2, n_embd=8))


def test_blocks_share_their_scopes_and_each_op_counts_once(model):
    idx = tensor.from_numpy(np.arange(8).reshape(1, 8))
    with profile() as prof:
        model(idx, idx)[1].backward()
    ops = {name: (cost.calls, cost.backward_calls) for name, cost in prof.by_op().items()}
    assert ops["Attention"] == (3, 3) and ops["LinearGelu"] == (3, 3) and ops["CrossEntropy"] == (1, 1)
    attention = prof.costs["transformer.h.*.attn", "Attention"]
    assert (attention.calls, attention.backward_calls) == (3, 3)
    assert set(prof.by_scope()) >= {"GPT", "transformer.wte", "transformer.h.*.mlp.c_fc", "lm_head"}
    assert not [scope for scope in prof.by_scope() if re.search(r"\d", scope.replace("_1", "").replace("_2", ""))]
