"""The sides of a benchmark: each a process of its own that stays warm, run in turn, a round here, a round there.

Machines are noisy, and what disturbs one round mostly disturbs the next one too. So each round gives a ratio of its
own, and the median of those is far steadier than the ratio of two averages. Every other round runs in reverse order.
"""

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tinygrad_gpt.bench.settings import Work
from tinygrad_gpt.errors import TRACEBACK_VARIABLE, RunError
from tinygrad_gpt.launch import THREAD_VARIABLES

ROUND_SECONDS = 0.25  # how long a round of one side should take at least


class Side:
    """A process that does one kind of work with one engine: see `tinygrad_gpt/bench/worker.py`.

    `tuned`: with what a training run asks of malloc and of Python's garbage collector (tinygrad_gpt/memory.py).
    """

    def __init__(self, engine: str, task: str, work: Work, tuned: bool):
        self.engine = engine
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tinygrad_gpt.bench.worker", engine, task, *(["tuned"] if tuned else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(work.threads)),
            process_group=0,  # Ctrl-C is for this process alone, which then ends that one
        )
        try:
            self.begin(work)
        except BaseException:
            self.close()
            raise

    def begin(self, work: Work) -> None:
        """Make the model that `work` describes; from here on it is what the requests are about."""
        self.facts = self.ask("begin", work=work.to_dict())  # of the engine: versions, kernels

    def ask(self, request: str, **arguments):
        """Send a request, wait for its answer."""
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps([request, arguments]) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        assert self.process.stdout
        try:
            answer = json.loads(self.process.stdout.readline())
        except json.JSONDecodeError:
            raise self._ended() from None
        if isinstance(answer, dict) and "error" in answer:
            raise RunError(f"{self.engine} cannot do this: {answer['error']} ({TRACEBACK_VARIABLE}=1 shows where).")
        return answer

    def _ended(self) -> RunError:
        return RunError(f"The process of {self.engine} ended before its work was done; its words are above.")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Sides:
    """Several sides, open at once: `with Sides(["ours", "torch"], "step", work, tuned=["ours"]) as sides:`."""

    def __init__(self, engines: Sequence[str], task: str, work: Work, tuned: Collection[str]):
        self.engines, self.task, self.work, self.tuned = engines, task, work, tuned
        self.open: list[Side] = []

    def __enter__(self) -> list[Side]:
        try:
            for engine in self.engines:  # one after the other: ours writes the weights that the next one reads
                self.open.append(Side(engine, self.task, self.work, engine in self.tuned))
        except BaseException:
            self.__exit__()
            raise
        return self.open

    def __exit__(self, *exception) -> None:
        for side in self.open:
            side.close()


@dataclass(frozen=True)
class Spread:
    """The middle of some measurements, and how far they lie apart."""

    median: float
    low: float  # a quarter is below
    high: float  # a quarter is above
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
        return cls(statistics.median(values), low, high, min(values), max(values))


def run_in_turn(sides: Sequence[Side], rounds: int, iters: int | None, **arguments) -> tuple[int, list[list[float]]]:
    """(iterations of a round, for each side the milliseconds of an iteration in each round).

    Each side is warm before the first round. Without `iters` there are as many as fill `ROUND_SECONDS`.
    """
    for side in sides:
        side.ask("round", iters=1, **arguments)  # compiles what is to be compiled, touches the memory
    warm = [_round(side, iters or 2, arguments) for side in sides]
    count = iters or min(max(1, math.ceil(ROUND_SECONDS / (min(warm) / 1e3))), 10_000)
    times: list[list[float]] = [[] for _ in sides]
    for i in range(rounds):
        order = range(len(sides)) if i % 2 == 0 else reversed(range(len(sides)))
        for k in order:
            times[k].append(_round(sides[k], count, arguments))
    return count, times


def _round(side: Side, iters: int, arguments: dict) -> float:
    return statistics.median(side.ask("round", iters=iters, **arguments))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of each round ours / theirs: below 1, ours is faster."""
    return Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
