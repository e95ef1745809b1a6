"""A few threads for work that lets go of Python's global lock, as NumPy's inner loops and compiled kernels do.

Work is cut into at most THREADS parts at places that depend only on its size, so that results repeat bit for bit.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

WORTH = 1 << 15  # elements below which a part is not worth waking a thread for


def _count() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(asked) if asked.isdigit() and int(asked) > 0 else cores


THREADS = _count()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS - 1, thread_name_prefix="tensor-kernel")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork: the child starts its own
    os.register_at_fork(after_in_child=_pool.cache_clear)


def split(length: int, elements: int) -> list[tuple[int, int]]:
    """range(length) as (start, stop) parts, one a thread; fewer where all of it has few `elements`."""
    parts = max(1, min(THREADS, length, elements // WORTH))
    bounds = [length * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(bounds))


def run(function: Callable[..., None], parts: list[tuple]) -> None:
    """Call function(*part) for every part, each in a thread of its own, the first one here."""
    others = [_pool().submit(function, *part) for part in parts[1:]]
    function(*parts[0])
    for other in others:
        other.result()
