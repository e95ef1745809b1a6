"""CUDA where there is no GPU: `pytest -m gpu --simulate-cuda`, in processes of their own, one for each processor."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cudasim
import pytest

ROOT = Path(__file__).parents[1]
PROCESSES = min(4, os.cpu_count() or 1)

pytestmark = pytest.mark.skipif(cudasim.why_not() is not None, reason=str(cudasim.why_not()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The output of each process, all of them running at once."""
    folder = tmp_path_factory.mktemp("share")
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "--simulate-cuda", "-p", "no:cacheprovider"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, f"--share={folder}"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    return [(process.communicate()[0], process.returncode) for process in processes]


@pytest.mark.parametrize("number", range(PROCESSES))
def test_suite_on_simulated_cuda(runs, number):
    output, status = runs[number]
    assert status == 0, output[-8000:]
    assert re.search(r"\d+ passed", output), output[-8000:]
