"""What all sides of a benchmark have in common: a stopwatch, the batches, and how much memory was used."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinygrad_gpt.bench.settings import Work

WEIGHTS = "first.safetensors"  # in `Work.weights`, by the parameter names that both sides share


class Task:
    """Work that is done again and again: `iteration()` does it once. `facts` describe the engine."""

    facts: dict

    def __init__(self, work: Work):
        self.work = work
        self.start_bytes = memory_bytes("VmRSS")  # what the imports brought; the model comes after this
        self.generator = np.random.default_rng(work.seed)

    def iteration(self) -> None:
        raise TypeError(f"{type(self).__name__} must define iteration()")

    def round(self, iters: int) -> list[float]:
        """Milliseconds of each of `iters` iterations."""
        return stopwatch(self.iteration, iters)

    def memory(self) -> dict[str, int]:
        """Bytes of this process at its peak, and how much of it came after the imports."""
        peak = memory_bytes("VmHWM")
        return {"peak_bytes": peak, "above_start_bytes": peak - self.start_bytes}

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
