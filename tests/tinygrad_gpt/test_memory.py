"""Freed memory stays with the process: a block that is allocated again costs no page faults."""

import subprocess
import sys

import pytest

from tinygrad_gpt.memory import keep_freed_memory

COUNT_FAULTS = """
import resource, sys
import numpy as np
from tinygrad_gpt.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()


def step():
    arrays = [np.ones(2**20, np.uint8) for _ in range(16)]  # 4096 pages, all freed on return


for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    output = subprocess.run([sys.executable, "-c", COUNT_FAULTS, mode], capture_output=True, text=True, check=True)
    return int(output.stdout)


def test_memory_is_reused():
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt: nothing to tune")
    assert faults("keep") < faults("as it is") / 10
