"""What all tests share: `tests/compare.py` can be imported, each process computes on one thread; and CUDA.

`pytest` tests on the CPU. `pytest -m gpu` runs the tests that a GPU can run on one, and with `--simulate-cuda` on a
simulated one (cudasim/README.md): that is how `test_cuda.py` runs them where there is none.
"""

import os
import signal
from pathlib import Path

# The cores are for the workers of `pytest -n`. BLAS reads this when NumPy loads it, and what tests start inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Workers inherit the width that readline has noted in pytest's own process, and each of rich's consoles would keep it.
os.environ.pop("COLUMNS", None)
# A shell that starts pytest in the background (`pytest &` in a script) has it ignore Ctrl-C, and so all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import compare
import cudasim
import pytest
import torch

import tensor

torch.set_num_threads(1)

TESTS = Path(__file__).parent
# What compiles the fast kernels, as the processes of other tests would say that they do; then one long test, during
# which other workers do the rest.
FIRST = ["test_kernels.py", "test_cuda.py"]
ON_GPU = [
    "cuda",
    "nn/test_functional.py",
    "nn/test_fused.py",
    "nn/test_layers.py",
    "nn/test_optim.py",
    "nn/test_training_parts.py",
    "tensor/test_amp.py",
    "tensor/test_arithmetic.py",
    "tensor/test_compare.py",
    "tensor/test_diagonal.py",
    "tensor/test_einsum.py",
    "tensor/test_gather.py",
    "tensor/test_index.py",
    "tensor/test_join.py",
    "tensor/test_kernels.py",
    "tensor/test_maths.py",
    "tensor/test_matmul.py",
    "tensor/test_opinfo.py",
    "tensor/test_reduce.py",
    "tensor/test_scan.py",
    "tensor/test_shape.py",
    "tensor/test_sort.py",
    "tinygrad_gpt/test_model.py",
]


def pytest_addoption(parser):
    parser.addoption("--simulate-cuda", action="store_true", help="with -m gpu: simulate CUDA, see tests/cudasim")


def on_gpu(config) -> bool:
    """Is this a run of the GPU's tests?"""
    return config.option.markexpr == "gpu"


def pytest_configure(config):
    if on_gpu(config):
        if config.option.simulate_cuda:
            cudasim.start()
        compare.DEVICE = "cuda"
        tensor.set_default_device("cuda")


def pytest_ignore_collect(collection_path, config):
    """What only a GPU can run is passed over elsewhere, and in its run what is not in the list."""
    path = collection_path.relative_to(TESTS).as_posix()
    if not on_gpu(config):
        return True if path == "cuda" else None
    listed = any(f"{name}/".startswith(f"{path}/") or path.startswith(f"{name}/") for name in [".", *ON_GPU])
    return None if listed else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))
    if on_gpu(config):
        for item in items:
            item.add_marker("gpu")
