"""Fixtures of the application's tests: a text, a small run's options, and the command as a real process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_gpt.cli import run
from tinygrad_gpt.errors import TRACEBACK_VARIABLE

ROOT = Path(__file__).parents[2]
TINY_SHAKESPEARE = ROOT.parent / "shared" / "data" / "tinyshakespeare.txt"


@pytest.fixture(scope="session")
def small_run() -> tuple[str, ...]:
    """Options of a run of a second: two small layers, some tens of steps."""
    return (
        *("--n_layer=2", "--n_head=2", "--n_embd=16", "--block_size=16", "--batch_size=4"),
        *("--max_iters=24", "--warmup_iters=4", "--eval_interval=8", "--eval_iters=2", "--log_interval=2"),
        "--sample_tokens=20",
    )


@pytest.fixture(scope="session")
def made_text() -> str:
    """Twenty kilobytes of verse without a poet: every machine can make them."""
    names = ("ROMEO", "JULIET", "Nurse")
    words = ["love", "is", "the", "fever", "of", "a", "summer", "night", "and", "thou", "art", "my", "world"]
    lines = (" ".join(words[(i * k) % len(words)] for k in range(1, 8)) for i in range(500))
    return "\n".join(f"{names[i % 3]}:\n{line}\n" for i, line in enumerate(lines))


@pytest.fixture
def text_file(tmp_path, made_text) -> Path:
    path = tmp_path / "verse.txt"
    path.write_text(made_text, "utf-8")
    return path


@pytest.fixture
def tiny_shakespeare() -> str:
    if not TINY_SHAKESPEARE.exists():
        pytest.skip("the text of Tiny Shakespeare is not beside this checkout")
    return TINY_SHAKESPEARE.read_text("utf-8")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder of this test's own."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("TINYGRAD_GPT_CACHE", str(folder))
    return folder


@pytest.fixture
def environment(cache) -> dict[str, str]:
    """For the command as a process: this checkout's packages, one thread, plain output."""
    paths = [os.environ.get("PYTHONPATH"), str(ROOT)]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "COLUMNS": "120",
    }


@pytest.fixture
def here(tmp_path, cache, monkeypatch, capsys):
    """Run `tinygrad-gpt` with the arguments, in `tmp_path`, inside the test's own process: no start to wait for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)

    def run_it(*arguments: str) -> subprocess.CompletedProcess:
        capsys.readouterr()
        code = run(list(arguments))
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return run_it


@pytest.fixture
def command(tmp_path, environment):
    """Run `tinygrad-gpt` with the arguments, in `tmp_path`, as a process, to its end."""

    def run_it(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "tinygrad_gpt", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run_it
