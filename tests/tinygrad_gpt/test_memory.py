"""Freed memory stays with the process, so that it costs no page faults again; garbage is looked for rarely."""

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


COUNT_COLLECTIONS = """
import gc, sys
import nn, tensor
from tinygrad_gpt.memory import collect_garbage_rarely

if sys.argv[1] == "rarely":
    collect_garbage_rarely()
model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(200)])
model(tensor.ones(1, 2))  # loads the kernels, which makes many objects
before = gc.get_stats()[0]["collections"]
for _ in range(20):
    model(tensor.ones(1, 2)).sum().backward()
print(gc.get_stats()[0]["collections"] - before)
"""


def test_garbage_is_looked_for_rarely():
    asked = [sys.executable, "-c", COUNT_COLLECTIONS]
    default, rarely = (
        int(subprocess.run([*asked, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("as it is", "rarely")
    )
    assert rarely == 0 < default
