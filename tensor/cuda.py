"""The GPU: is there one, its memory, waiting for it and timing it. Names are those of `torch.cuda`."""

from __future__ import annotations

from typing import Any

from tensor import random
from tensor.devices import cupy_module, cupy_or_reason
from tensor.late_checks import raise_if_any_failed

__all__ = [
    "Event",
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "reset_peak_memory_stats",
    "synchronize",
]


def is_available() -> bool:
    """Can Tensors live on CUDA here: is CuPy installed, and is there a GPU that it can use?"""
    return not isinstance(cupy_or_reason(), str)


def device_count() -> int:
    """The number of GPUs; 0 where CUDA cannot be used."""
    return cupy_module().cuda.runtime.getDeviceCount() if is_available() else 0


def current_device() -> int:
    """The index of the GPU that CuPy works on at the moment."""
    return cupy_module().cuda.runtime.getDevice()


def get_device_name(device: int | None = None) -> str:
    """The name of a GPU, by its index."""
    index = current_device() if device is None else device
    return cupy_module().cuda.runtime.getDeviceProperties(index)["name"].decode()


def synchronize() -> None:
    """Wait until the GPU has done everything it was asked to; what a stopwatch has to do first."""
    cupy_module().cuda.runtime.deviceSynchronize()
    raise_if_any_failed()


class Event:
    """A moment in the GPU's work: `start.record()`, the work, `end.record()`, then `start.elapsed_time(end)`.

    The GPU itself notes when it comes past, so the time is that of its work and not of asking for it.
    """

    def __init__(self, enable_timing: bool = True):
        self._event = cupy_module().cuda.Event(disable_timing=not enable_timing)

    def record(self) -> None:
        """Note the moment when everything asked for so far is done."""
        self._event.record()

    def synchronize(self) -> None:
        """Wait for that moment."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to `end_event`, both past."""
        return cupy_module().cuda.get_elapsed_time(self._event, end_event._event)


# ---------------------------------------------------------------------- memory

_peak: list[Any] = []  # the hook that watches the pool, from the first question about the peak on


def empty_cache() -> None:
    """Give memory that CuPy keeps for later back to the GPU."""
    cupy_module().get_default_memory_pool().free_all_blocks()


def memory_allocated() -> int:
    """Bytes of GPU memory that arrays use."""
    return cupy_module().get_default_memory_pool().used_bytes()


def max_memory_allocated() -> int:
    """The most bytes of GPU memory that arrays used since `reset_peak_memory_stats()`.

    CuPy does not count this by itself, and counting costs a little at every allocation: it begins with the first call
    of one of the two functions.
    """
    if not _peak:
        reset_peak_memory_stats()
    return _peak[0].bytes


def reset_peak_memory_stats() -> None:
    """Count the peak of `max_memory_allocated()` from what is allocated now."""
    if not _peak:
        _peak.append(_watch_pool())
    _peak[0].bytes = memory_allocated()


def _watch_pool():
    """A hook of CuPy's memory pool that keeps the most bytes that were in use at a time."""
    cupy = cupy_module()

    class PeakHook(cupy.cuda.MemoryHook):
        name = "tensor's peak memory"
        bytes = 0

        def malloc_postprocess(self, **kwargs):
            self.bytes = max(self.bytes, memory_allocated())

    return PeakHook().__enter__()


def manual_seed(seed: int) -> None:
    """Start the global stream of random numbers at `seed`: all devices share it."""
    random.manual_seed(seed)


manual_seed_all = manual_seed
