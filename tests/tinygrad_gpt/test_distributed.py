"""Training on several processes: the same run as on one, whatever happens to one of them."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cudasim
import numpy as np
import pytest
from mpi_process import mpi_library, mpiexec
from same_run import assert_same_run

from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.metrics import read_metrics

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "mpi_process.py"
STEPS = 50
TOLERANCE = 1e-5  # between losses of different numbers of processes, which add gradients in another order
KILLS = 10
KILLED_STEPS = 60  # of the run that is killed; each of them saves
ENDS_WITHIN = 240  # seconds, also on a machine with much else to do; a job that hangs would take for ever


class Jobs:
    """Starts jobs in a folder of their own, with the options of a small run."""

    def __init__(self, folder: Path, text: str):
        self.folder = folder
        (folder / "verse.txt").write_text(text, "utf-8")
        self.environment = (
            os.environ
            | mpi_library()
            | {
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
                "TENSOR_KERNELS": "numpy",
                "COLUMNS": "200",
                "TINYGRAD_GPT_CACHE": str(folder / "cache"),
            }
        )
        self.new = (
            *("train", "--input=verse.txt", "--n_layer=1", "--n_head=2", "--n_embd=16", "--block_size=16"),
            *("--batch_size=2", "--gradient_accumulation_steps=4", "--dropout=0.1", "--eval_iters=3"),
            *("--eval_interval=25", "--log_interval=1", "--warmup_iters=4", "--sample_tokens=0"),
            f"--lr_decay_iters={STEPS}",
        )

    def start(self, processes: int, *arguments: str, backend: str = "mpi") -> subprocess.Popen:
        """`processes` of them under mpiexec, or the plain command where there is one."""
        command = [sys.executable, str(PROGRAM), *arguments]
        if processes > 1:
            command = [mpiexec(), "-n", str(processes), *command, f"--backend={backend}"]
        return self.open(command)

    def open(self, command: list[str]) -> subprocess.Popen:
        for path in self.folder.glob("pid-*"):
            path.unlink()
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def run(self, processes: int, *arguments: str, code: int = 0) -> Path:
        """Start a job, wait for its end; the run's folder."""
        done(self.start(processes, *arguments), code)
        return self.folder / next(a.partition("=")[2] for a in arguments if a.startswith("--out_dir="))

    def pid(self, rank: int) -> int:
        return int((self.folder / f"pid-{rank}").read_text())

    def wait_for_lines(self, job: subprocess.Popen, run: str, count: int) -> None:
        """Until the run's log has so many lines, or the job is over."""
        end = time.monotonic() + ENDS_WITHIN
        while len(read_metrics(self.folder / run)) < count and job.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.005)


def done(job: subprocess.Popen, code: int | None = 0, within: float = ENDS_WITHIN) -> tuple[str, str]:
    """What the job has printed, and its errors."""
    try:
        output, errors = job.communicate(timeout=within)
    finally:
        job.kill()
    assert code is None or job.returncode == code, output + errors
    return output, errors


def losses(folder: Path) -> np.ndarray:
    """All losses of a run, in the order of its log."""
    names = ("loss", "train_loss", "val_loss")
    return np.array([line[name] for line in read_metrics(folder) for name in names if name in line])


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, made_text) -> Jobs:
    return Jobs(tmp_path_factory.mktemp("jobs"), made_text)


@pytest.fixture(scope="module")
def one(jobs) -> Path:
    return jobs.run(1, *jobs.new, f"--max_iters={STEPS}", "--out_dir=one")


@pytest.fixture(scope="module")
def two(jobs) -> Path:
    return jobs.run(2, *jobs.new, f"--max_iters={STEPS}", "--out_dir=two")


@pytest.fixture(scope="module")
def half(jobs) -> Path:
    """A run on two processes that stopped halfway."""
    return jobs.run(2, *jobs.new, f"--max_iters={STEPS // 2}", "--out_dir=half")


def test_two_processes_have_the_losses_of_one(one, two):
    assert len(losses(one)) == STEPS + 2 * 3
    np.testing.assert_allclose(losses(two), losses(one), rtol=0, atol=TOLERANCE)


def test_four_processes_have_the_losses_of_one(jobs, one):
    four = jobs.run(4, *jobs.new, f"--max_iters={STEPS}", "--out_dir=four")
    np.testing.assert_allclose(losses(four), losses(one), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_run_goes_on_with_another_number_of_processes(jobs, two, half, processes):
    """With the same number it is the same run to the last bit, stopped and resumed or not."""
    resumed = jobs.folder / f"resumed-{processes}"
    shutil.copytree(half, resumed)
    jobs.run(processes, "train", "--init_from=resume", f"--out_dir={resumed.name}", f"--max_iters={STEPS}")
    np.testing.assert_allclose(losses(resumed), losses(two), rtol=0, atol=TOLERANCE)
    if processes == 2:
        assert_same_run(resumed, two)


def test_adamw_divided_among_three_is_adamw(jobs):
    """In any number of buckets, with parameters that are cut anywhere, and divided again."""
    job = jobs.open([mpiexec(), "-n", "3", sys.executable, str(ROOT / "tests" / "sharding_process.py")])
    assert done(job)[0].count("agrees") == 3


def test_a_checkpoint_does_not_say_how_many_processes_wrote_it(one, two):
    for name in ("model.safetensors", "optimizer.safetensors"):
        sizes = [(folder / "last" / name).stat().st_size for folder in (one, two)]
        assert sizes[0] == sizes[1]
    states = [json.loads((folder / "last" / "state.json").read_text()) for folder in (one, two)]
    assert states[0]["config"] | {"out_dir": "two"} == states[1]["config"]


def test_one_process_prepares_the_data_and_prints(jobs):
    (jobs.folder / "fresh.txt").write_text("Its tokens are not in the cache yet. " * 99, "utf-8")
    output, errors = done(jobs.start(2, *jobs.new, "--input=fresh.txt", "--max_iters=1", "--out_dir=short"))
    assert errors == ""
    assert "processes: 2, connected by mpi; of each step's 4 batches each takes 2, on 1 thread" in output
    assert output.count("iter 1: train loss") == 1


# ---------------------------------------------------------------------- NCCL


@pytest.mark.skipif(cudasim.why_not() is not None, reason=str(cudasim.why_not()))
def test_nccl_on_simulated_gpus_has_the_losses_of_one_process(jobs, one):
    """Real cupyx.distributed, to the last call before NCCL's own: signatures, dtypes, counts, places in memory."""
    job = [sys.executable, str(ROOT / "tests" / "nccl_process.py"), *jobs.new, "--max_iters=3", "--out_dir=nccl"]
    done(jobs.open([mpiexec(), "-n", "2", *job, "--device=cuda", "--backend=nccl"]), within=300)  # kernels are compiled
    found, expected = ([line["loss"] for line in read_metrics(run)[:3]] for run in (jobs.folder / "nccl", one))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_a_machine_without_nccl_is_a_sentence(jobs):
    _, errors = done(jobs.start(2, *jobs.new, "--device=cuda", "--out_dir=no-gpu", backend="nccl"), code=2)
    assert errors.count("tinygrad-gpt: --backend=nccl cannot be used in process 0:") == 1
    assert "Traceback" not in errors


# ---------------------------------------------------------------------- faults


def test_a_run_whose_processes_are_killed_again_and_again(jobs):
    """Ten times one of two processes is killed at a random step. The job ends, the run goes on, and it ends as the run
    that nothing has happened to.
    """
    new = (*jobs.new, f"--max_iters={KILLED_STEPS}", "--eval_interval=1", "--eval_iters=1")
    jobs.run(2, *new, "--out_dir=whole")
    chance = random.Random(1)
    arguments, lines = (*new, "--out_dir=cut"), 0
    for _ in range(KILLS):
        job = jobs.start(2, *arguments)
        lines += chance.randint(1, 4)
        jobs.wait_for_lines(job, "cut", lines)
        os.kill(jobs.pid(chance.randrange(2)), signal.SIGKILL)
        done(job, code=signal.SIGKILL)
        lines = len(read_metrics(jobs.folder / "cut"))
        arguments = ("train", "--init_from=resume", "--out_dir=cut")
    assert 0 < lines < KILLED_STEPS
    jobs.run(2, *arguments)
    assert_same_run(jobs.folder / "cut", jobs.folder / "whole")


def test_a_process_that_hangs_ends_the_job(jobs):
    """... which names it, and leaves a run that goes on."""
    job = jobs.start(2, *jobs.new, "--max_iters=100000", "--patience=2", "--out_dir=hangs")
    jobs.wait_for_lines(job, "hangs", 5)
    os.kill(jobs.pid(1), signal.SIGSTOP)
    start = time.monotonic()
    _, errors = done(job, code=1)
    assert time.monotonic() - start < 20
    assert "process 1 of 2 has not answered for 2 s: it hangs or died." in errors
    jobs.run(2, "train", "--init_from=resume", "--max_iters=2", "--out_dir=hangs")


def test_ctrl_c_saves_the_run_at_one_iteration(jobs):
    job = jobs.start(2, *jobs.new, "--max_iters=100000", "--out_dir=stopped")
    jobs.wait_for_lines(job, "stopped", 5)
    job.send_signal(signal.SIGINT)
    _, errors = done(job, code=130)
    assert errors.count("Stopped and saved at iteration") == 1
    saved = json.loads((jobs.folder / "stopped" / "last" / "state.json").read_text())["iteration"]
    assert f"iteration {saved}. To go on: tinygrad-gpt train --init_from=resume" in errors


# ---------------------------------------------------------------------- processes that do not fit together


def other_code(folder: Path) -> dict[str, str]:
    """The environment of a process that runs other code than the checkout's."""
    for package in ("tensor", "nn", "tinygrad_gpt"):
        shutil.copytree(ROOT / package, folder / "other" / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "other" / "nn" / "init.py").open("a") as file:
        file.write("# changed\n")
    return {"PYTHONPATH": str(folder / "other")}


@pytest.mark.parametrize(
    ("what", "options", "sentence"),
    [
        ("settings", ["--learning_rate=0.5"], "--learning_rate: 0.5 in process 1, 0.001 in 0"),
        ("data", ["--input=other.txt"], "data (fingerprint):"),
        ("code", [], "code (SHA-256):"),
    ],
)
def test_processes_that_differ_do_not_start(jobs, what, options, sentence):
    verse = (jobs.folder / "verse.txt").read_text("utf-8")
    (jobs.folder / "other.txt").write_text(verse.replace("love", "vole"), "utf-8")
    environment = other_code(jobs.folder) if what == "code" else {}
    first = [sys.executable, str(PROGRAM), *jobs.new, "--max_iters=1", f"--out_dir=differ-{what}", "--backend=mpi"]
    second = ["env", *(f"{name}={value}" for name, value in environment.items()), *first, *options]
    _, errors = done(jobs.open([mpiexec(), "-n", "1", *first, ":", "-n", "1", *second]), code=2)
    assert errors.count("Process 1 of 2 does not fit the others:") == 1
    assert sentence in errors
    assert not (jobs.folder / f"differ-{what}").exists()


def test_what_one_process_lacks_ends_all(jobs):
    first = [sys.executable, str(PROGRAM), *jobs.new, "--max_iters=1", "--out_dir=lacks", "--backend=mpi"]
    _, errors = done(
        jobs.open([mpiexec(), "-n", "1", *first, ":", "-n", "1", *first, "--input=missing.txt"]), code=None
    )
    assert "process 1 of 2: " in errors
    assert "missing.txt" in errors
    assert "Traceback" not in errors


def test_what_all_processes_lack_is_said_once(jobs):
    job = jobs.start(2, *jobs.new, "--gradient_accumulation_steps=3", "--out_dir=lacks")
    _, errors = done(job, code=2)
    assert errors.count("\n") == 1
    assert "2 processes cannot divide gradient_accumulation_steps=3" in errors


def test_float16_on_several_processes_is_refused(jobs):
    _, errors = done(jobs.start(2, *jobs.new, "--dtype=float16", "--out_dir=half"), code=2)
    sentence = "2 processes train together in float32 or float64 only: leave out --dtype=float16."
    assert errors == f"tinygrad-gpt: {sentence}\n"


def test_processes_without_a_backend_are_told_of_it(jobs):
    _, errors = done(jobs.start(2, *jobs.new, "--out_dir=none", backend="none"), code=2)
    assert errors == "tinygrad-gpt: 2 processes were started to train one model each: pass --backend=mpi.\n"


@pytest.mark.parametrize(
    ("size", "settings", "sentence"),
    [
        (4, {}, "pass --gradient_accumulation_steps=4, which makes 48 sequences a step, or with --batch_size=3"),
        (2, {"gradient_accumulation_steps": 5}, "pass --gradient_accumulation_steps=6, which makes 72 sequences"),
    ],
)
def test_batches_that_cannot_be_divided(size, settings, sentence):
    with pytest.raises(InputError, match="cannot divide") as error:
        TrainConfig(**settings).check_processes(size)
    assert sentence in str(error.value)
