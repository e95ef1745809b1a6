"""A few threads for work that lets go of Python's global lock, as NumPy's inner loops and compiled kernels do.

Work is cut into at most THREADS parts at places that depend only on its size, so that results repeat bit for bit.
There are as many threads as OMP_NUM_THREADS says, or OPENBLAS_NUM_THREADS or MKL_NUM_THREADS, or else as there are
cores. BLAS reads the same variables for its own threads; those wait while these work, and these while those do.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np

WORTH = 1 << 16  # elementary steps (of about a nanosecond) below which a part is not worth waking a thread for


def _count() -> int:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        asked = os.environ.get(name, "").split(",")[0].strip()
        if asked.isdigit() and int(asked) > 0:
            return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


THREADS = _count()

_jobs: SimpleQueue = SimpleQueue()  # (function, arguments, queue for the answer)
_workers: list[threading.Thread] = []
_starting = threading.Lock()


def _work(jobs: SimpleQueue) -> None:
    np.seterr(all="ignore")  # as the engine does around every op; the setting is each thread's own
    while True:
        function, part, answers = jobs.get()
        try:
            function(*part)
            answers.put(None)
        except BaseException as problem:
            answers.put(problem)


def _forget_workers() -> None:
    """Threads do not survive a fork: the child starts its own, with a queue that none of them held."""
    global _jobs
    _jobs = SimpleQueue()
    _workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def count_parts(length: int, steps: int, worth: int = WORTH) -> int:
    """Into how many parts range(length) goes: one a thread, fewer where one would be less than `worth` of `steps`."""
    return max(1, min(THREADS, length, steps // worth))


def split(length: int, steps: int) -> list[tuple[int, int]]:
    """range(length) as (start, stop) parts, one a thread; fewer where all of it is few elementary `steps`."""
    parts = count_parts(length, steps)
    bounds = [length * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(bounds))


def run(function: Callable[..., None], parts: list[tuple]) -> None:
    """Call function(*part) for every part, each in a thread of its own, the first one here."""
    if len(parts) == 1:
        return function(*parts[0])
    answers: SimpleQueue = SimpleQueue()
    while len(_workers) < len(parts) - 1:
        with _starting:
            _workers.append(threading.Thread(target=_work, args=(_jobs,), name="tensor-kernel", daemon=True))
            _workers[-1].start()
    for part in parts[1:]:
        _jobs.put((function, part, answers))
    problems = []
    try:
        function(*parts[0])
    finally:  # whatever happens, the arrays of the other parts are in use until they have answered
        problems = [answers.get() for _ in parts[1:]]
    for problem in problems:
        if problem is not None:
            raise problem
