"""Runs that survive: kill -9 at any moment, a full disk, a folder that goes away, a second process.

After each of them the run goes on, and ends as the run that nothing has happened to, bit for bit.
"""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import command_process
import pytest
from same_run import assert_same_run

from tinygrad_gpt.checkpoint import load_state
from tinygrad_gpt.paths import locked

KILLS = 20
STEPS = 120  # of the run that is killed; each of them saves
RESUME = ("train", "--init_from=resume", "--out_dir=cut")

# Each process is forked from one that has imported the program, so that a start takes no second.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tinygrad_gpt.cli"])


@pytest.fixture(scope="module")
def place(tmp_path_factory, made_text) -> Path:
    """A folder with the text, the cache, and the runs that nothing happens to."""
    folder = tmp_path_factory.mktemp("crashes")
    (folder / "verse.txt").write_text(made_text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def new(place) -> tuple[str, ...]:
    """The arguments of a new run that validates, and so saves, before each step."""
    return (
        *("train", f"--input={place / 'verse.txt'}", "--n_layer=1", "--n_head=2", "--n_embd=8", "--block_size=8"),
        *("--batch_size=2", "--dropout=0.1", "--eval_interval=1", "--eval_iters=1", "--log_interval=1"),
        *("--warmup_iters=4", "--lr_decay_iters=120", "--sample_tokens=0"),
    )


@pytest.fixture(scope="module")
def start(place):
    """Start the command as a process in a folder; `die_at=("fsync", 3)`: it kills -9 itself in its third fsync."""
    started = []
    environment = {"TINYGRAD_GPT_CACHE": str(place / "cache"), "TENSOR_KERNELS": "numpy", "COLUMNS": "120"}

    def start_it(folder: Path, *arguments: str, die_at: tuple[str, int] | None = None):
        process = processes.Process(
            target=command_process.main, args=(arguments, folder, environment, die_at), daemon=True
        )
        process.start()
        started.append(process)
        return process

    yield start_it
    for process in started:
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def whole(start, new, place):
    """The folder of the run with these options that nothing has happened to."""

    def run_it(*options: str) -> Path:
        name = "".join(options)
        if not (place / name).exists():
            process = start(place, *new, f"--out_dir={name}", *options)
            process.join(60)
            ended(process, place, code=0)
        return place / name

    return run_it


@pytest.fixture
def finish(start, tmp_path):
    """Let the command run to its end; returns what it printed, where it fails the one sentence of that."""

    def run_it(*arguments: str, code: int = 0) -> str:
        process = start(tmp_path, *arguments)
        process.join(60)
        return ended(process, tmp_path, code)

    return run_it


def ended(process, folder: Path, code: int) -> str:
    printed = (folder / command_process.OUTPUT).read_text()
    assert process.exitcode == code, printed
    complaints = [line for line in printed.splitlines() if line.startswith("tinygrad-gpt: ")]
    assert len(complaints) == (code != 0) and "Traceback" not in printed
    return complaints[0] if complaints else printed


def wait_for(process, condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.0005)


def steps(folder: Path) -> int:
    """Lines of metrics.jsonl, one for each step."""
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_twenty_kills_change_nothing(start, finish, new, tmp_path, whole):
    """Half of the kills come at a random time, half in a random call that puts a file in its place."""
    chance, folder = random.Random(1337), tmp_path / "cut"
    unfinished = set()
    for number in range(KILLS):
        arguments = RESUME if number else (*new, "--out_dir=cut", f"--max_iters={STEPS}")
        if number % 2:
            call, most = chance.choice([("fsync", 30), ("rename", 12)])
            process = start(tmp_path, *arguments, die_at=(call, chance.randint(most // 2, most)))
        else:
            before = steps(folder)
            process = start(tmp_path, *arguments)
            wait_for(process, lambda before=before: steps(folder) > before)
            time.sleep(chance.uniform(0.0, 0.03))
            process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        unfinished |= {path.name for path in folder.iterdir() if path.suffix == ".new"}
    assert unfinished == {"best.new", "last.new"}
    finish(*RESUME)
    assert_same_run(folder, whole(f"--max_iters={STEPS}"))
    assert sorted(os.listdir(folder)) == ["best", "last", "last.old", "metrics.jsonl"]


@pytest.mark.parametrize(
    "die_at, saved",
    [
        (("fsync", 1), False),  # of metrics.jsonl, empty
        (("fsync", 3), False),  # of metrics.jsonl, before the first checkpoint
        (("fsync", 4), False),  # of the first checkpoint's first file
        (("fsync", 7), False),  # of its folder
        (("rename", 1), False),  # best.new to best
        (("rename", 2), True),  # last.new to last
    ],
)
def test_a_kill_before_the_first_checkpoint(die_at, saved, start, finish, new, tmp_path, whole):
    process = start(tmp_path, *new, "--out_dir=cut", "--max_iters=4", die_at=die_at)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    if saved:
        finish(*RESUME)
    else:
        assert "There is no checkpoint in cut/last" in finish(*RESUME, code=2)
        finish(*new, "--out_dir=cut", "--max_iters=4", "--overwrite=True")
    assert_same_run(tmp_path / "cut", whole("--max_iters=4"))


def test_a_second_ctrl_c_does_not_wait(start, finish, new, tmp_path, whole):
    process = start(tmp_path, *new, "--out_dir=cut", "--max_iters=60")
    wait_for(process, lambda: steps(tmp_path / "cut") >= 3)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert "Stopped" in ended(process, tmp_path, code=130)
    finish(*RESUME)
    assert_same_run(tmp_path / "cut", whole("--max_iters=60"))


class TestFullDisk:
    @pytest.fixture
    def disk(self, tmp_path):
        """A megabyte to write on, mounted beside the text."""
        folder = tmp_path / "disk"
        folder.mkdir()
        mount(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
        yield folder
        subprocess.run(["umount", "--lazy", folder], check=True)

    def fill(self, disk: Path, free: int) -> None:
        """Leave `free` bytes."""
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - free))

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    def test_wherever_it_strikes_the_run_goes_on(self, share, finish, new, disk, whole):
        """With this share of the room that the run takes in all: for metrics.jsonl, the first checkpoint, the next."""
        size = sum(-(-path.stat().st_size // 4096) * 4096 for path in whole("--max_iters=4").rglob("*"))
        self.fill(disk, int(share * size))
        sentence = finish(*new, "--out_dir=disk/cut", "--max_iters=4", code=1)
        assert "cannot be written: " in sentence and "No space left on device" in sentence
        (disk / "ballast").unlink()
        if any((disk / "cut" / name).exists() for name in ("last", "best")):
            finish("train", "--init_from=resume", "--out_dir=disk/cut")
        else:
            finish(*new, "--out_dir=disk/cut", "--max_iters=4", "--overwrite=True")
        assert_same_run(disk / "cut", whole("--max_iters=4"))

    @pytest.mark.parametrize("pages", [0, 2])
    def test_while_metrics_are_written(self, pages, finish, new, disk, whole):
        longer = ("--max_iters=150", "--eval_interval=1000")
        finish(*new, "--out_dir=disk/cut", "--max_iters=1", "--eval_interval=1000")
        lines = steps(disk / "cut")
        self.fill(disk, pages * 4096)
        resume = ("train", "--init_from=resume", "--out_dir=disk/cut", *longer)
        assert "disk/cut/metrics.jsonl cannot be written: No space left on device" in finish(*resume, code=1)
        assert (steps(disk / "cut") > lines) == (pages > 0)
        (disk / "ballast").unlink()
        finish(*resume)
        assert_same_run(disk / "cut", whole(*longer))

    def test_one_that_cannot_be_written(self, finish, new, disk):
        finish(*new, "--out_dir=disk/cut", "--max_iters=2")
        before = sorted(disk.rglob("*"))
        mount(disk, "-o", "remount,ro")
        resume = ("train", "--init_from=resume", "--out_dir=disk/cut", "--max_iters=4")
        assert "metrics.jsonl cannot be written: Read-only file system" in finish(*resume, code=1)
        assert "disk/new cannot be made: Read-only file system" in finish(*new, "--out_dir=disk/new", code=2)
        assert sorted(disk.rglob("*")) == before


def mount(folder: Path, *options: str) -> None:
    try:
        done = subprocess.run(["mount", *options, folder], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("this system has no mount, so no small disk can be made")
    if done.returncode:
        pytest.skip(f"a small disk cannot be made: {done.stderr.strip()}")


def test_a_folder_that_is_moved_away_ends_the_run(start, finish, new, tmp_path, whole):
    process = start(tmp_path, *new, "--out_dir=cut", "--max_iters=60")
    wait_for(process, lambda: steps(tmp_path / "cut") >= 3)
    (tmp_path / "cut").rename(tmp_path / "moved")
    process.join(60)
    sentence = ended(process, tmp_path, code=1)
    assert "cannot be written: " in sentence and "No such file or directory" in sentence
    assert not (tmp_path / "cut").exists()
    finish("train", "--init_from=resume", "--out_dir=moved")
    assert_same_run(tmp_path / "moved", whole("--max_iters=60"))


def test_two_processes_do_not_train_in_one_folder(finish, new, tmp_path):
    finish(*new, "--out_dir=cut", "--max_iters=2")
    before = steps(tmp_path / "cut")
    with locked(tmp_path / "cut"):
        for arguments in ((*RESUME, "--max_iters=4"), (*new, "--out_dir=cut", "--max_iters=4", "--overwrite=True")):
            assert "Another process is writing to cut" in finish(*arguments, code=1)
    assert steps(tmp_path / "cut") == before
    finish(*RESUME, "--max_iters=4")


@pytest.mark.parametrize("damaged, taken", [(["last"], "last.old"), (["last", "last.old"], "best")])
def test_damage_on_the_disk_costs_the_steps_since_the_one_before(damaged, taken, finish, new, tmp_path, whole):
    finish(*new, "--out_dir=cut", "--max_iters=8")
    for name in damaged:
        path = tmp_path / "cut" / name / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    iteration = load_state(tmp_path / "cut" / taken).iteration
    assert 0 < iteration <= (8 if taken == "best" else 7)  # the best one may be the last
    printed = finish(*RESUME, "--max_iters=10")
    assert f"resumed at iteration {iteration}\n" in printed
    for name in damaged:
        what = "model.safetensors: it is not as it was saved (its SHA-256 differs)"
        assert f"The checkpoint cut/{name} is damaged: {what}. The one before it is taken." in printed
        assert (tmp_path / "cut" / f"{name}.damaged").is_dir()
    assert_same_run(tmp_path / "cut", whole("--max_iters=10"))
