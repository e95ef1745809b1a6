"""What all sides of a benchmark have in common: a stopwatch, the batches, and how much memory was used."""

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_gpt.bench.settings import Work

WEIGHTS = "first.safetensors"  # in `Work.weights`, by the parameter names that both sides share


class Task:
    """Work that is done again and again: `iteration()` does it once. `facts` describe the engine."""

    facts: dict
    cuda: Any = None  # the engine's module for the GPU: `tensor.cuda` or `torch.cuda`

    def __init__(self, work: Work):
        self.work = work
        self.start_bytes = memory_bytes("VmRSS")  # what the imports brought; the model comes after this
        self.generator = np.random.default_rng(work.seed)
        if work.device == "cuda":
            self.cuda.reset_peak_memory_stats()

    def iteration(self) -> None:
        raise TypeError(f"{type(self).__name__} must define iteration()")

    def round(self, iters: int) -> list[float]:
        """Milliseconds of each of `iters` iterations."""
        return self.timed(self.iteration, iters)

    def timed(self, function: Callable[[], object], times: int) -> list[float]:
        """Milliseconds of each of some calls, on the device that the work is for."""
        if self.work.device == "cuda":
            return event_stopwatch(self.cuda, function, times)
        return stopwatch(function, times)

    def memory(self) -> dict[str, int]:
        """Bytes of this process at its peak, and how much of it came after the imports; on a GPU its peak, too."""
        peak = memory_bytes("VmHWM")
        found = {"peak_bytes": peak, "above_start_bytes": peak - self.start_bytes}
        return found | ({"gpu_peak_bytes": self.cuda.max_memory_allocated()} if self.work.device == "cuda" else {})

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Random token ids x, y (B, T): the same ones in the same order on every side."""
        model = self.work.model
        ids = self.generator.integers(model.vocab_size, size=(self.work.batch_size, model.block_size + 1))
        return ids[:, :-1].copy(), ids[:, 1:].copy()


class Sampling(Task):
    """Work that continues a text of random tokens; a side defines `generate`."""

    tokens: list[int]

    def generate(self, ids: np.ndarray, count: int) -> list[int]:
        """The `count` likeliest next tokens after ids (1, T), one after the other."""
        raise TypeError(f"{type(self).__name__} must define generate()")

    def round(self, iters: int, prompt: int = 1) -> list[float]:
        """Milliseconds a token, for `iters` new tokens after `prompt` given ones; reading those counts too."""
        ids = self.generator.integers(self.work.model.vocab_size, size=(1, prompt))
        start = time.perf_counter()
        self.tokens = self.generate(ids, iters)
        return [(time.perf_counter() - start) * 1e3 / iters]

    def last_tokens(self) -> list[int]:
        return self.tokens


def stopwatch(function: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each of some calls."""
    milliseconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return milliseconds


def event_stopwatch(cuda, function: Callable[[], object], times: int) -> list[float]:
    """As `stopwatch`, by the GPU's own clock: nothing waits between the calls, so what the host does is hidden where
    the GPU is the slower of the two.
    """
    cuda.synchronize()
    events = [cuda.Event(enable_timing=True) for _ in range(times + 1)]
    events[0].record()
    for event in events[1:]:
        function()
        event.record()
    cuda.synchronize()
    return [start.elapsed_time(end) for start, end in itertools.pairwise(events)]


def memory_bytes(field: str) -> int:
    """Memory of this process in bytes: VmRSS, which it has now, or VmHWM, the most that it ever had.

    getrusage's peak, the only figure where there is no /proc, starts at that of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith(field + ":"))
        return int(line.split()[1]) * 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
