"""CUDA where there is no GPU: `pytest -m gpu --simulate-cuda`, in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import cudasim
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(cudasim.why_not() is not None, reason=str(cudasim.why_not()))
def test_suite_on_simulated_cuda():
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "--simulate-cuda", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout[-8000:]
    assert re.search(r"\d+ passed", result.stdout), result.stdout[-8000:]
