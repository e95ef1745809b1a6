"""What all tests share: `tests/compare.py` can be imported, torch computes on one thread, like the rest; and CUDA.

`pytest` tests on the CPU. `pytest -m gpu` runs the tests that a GPU can run on one, and with `--simulate-cuda` on a
simulated one (cudasim/README.md): that is how `test_cuda.py` runs them where there is none. `--shard=1/2` takes half.
"""

import cudasim
import pytest
import torch

torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption("--simulate-cuda", action="store_true", help="with -m gpu: simulate CUDA, see tests/cudasim")
    parser.addoption("--shard", default="1/1", help="with -m gpu: K/N runs the K-th of N parts of the tests")


def on_gpu(config) -> bool:
    """Is this a run of the GPU's tests?"""
    return config.option.markexpr == "gpu"


def pytest_configure(config):
    if on_gpu(config) and config.option.simulate_cuda:
        cudasim.start()


def pytest_ignore_collect(collection_path, config):
    """What only a GPU can run is passed over elsewhere."""
    return True if collection_path.name == "cuda" and not on_gpu(config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if not on_gpu(config):
        return
    for item in items:
        if "tests/cuda/" in item.path.as_posix():
            item.add_marker("gpu")
    part, parts = map(int, config.option.shard.split("/"))
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    items[:] = gpu[part - 1 :: parts]
