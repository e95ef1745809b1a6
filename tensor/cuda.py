"""The GPU: is there one, and waiting for it. Names are those of `torch.cuda`."""

from __future__ import annotations

from tensor import random
from tensor.devices import cupy_module, cupy_or_reason
from tensor.late_checks import raise_if_any_failed

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "memory_allocated",
    "synchronize",
]


def is_available() -> bool:
    """Can Tensors live on CUDA here: is CuPy installed, and is there a GPU that it can use?"""
    return not isinstance(cupy_or_reason(), str)


def device_count() -> int:
    """The number of GPUs; 0 where CUDA cannot be used."""
    return cupy_module().cuda.runtime.getDeviceCount() if is_available() else 0


def current_device() -> int:
    """The index of the GPU that new Tensors go to."""
    return cupy_module().cuda.runtime.getDevice()


def get_device_name(device: int | None = None) -> str:
    """The name of a GPU, by its index."""
    index = current_device() if device is None else device
    return cupy_module().cuda.runtime.getDeviceProperties(index)["name"].decode()


def synchronize() -> None:
    """Wait until the GPU has done everything it was asked to; what a stopwatch has to do first."""
    cupy_module().cuda.runtime.deviceSynchronize()
    raise_if_any_failed()


def empty_cache() -> None:
    """Give memory that CuPy keeps for later back to the GPU."""
    cupy_module().get_default_memory_pool().free_all_blocks()


def memory_allocated() -> int:
    """Bytes of GPU memory that arrays use."""
    return cupy_module().get_default_memory_pool().used_bytes()


def manual_seed(seed: int) -> None:
    """Start the global stream of random numbers at `seed`: all devices share it."""
    random.manual_seed(seed)


manual_seed_all = manual_seed
