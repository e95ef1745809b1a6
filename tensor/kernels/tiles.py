"""Cutting arrays into tiles that are small enough to stay in the cache."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from threadpoolctl import ThreadpoolController

from tensor.devices import namespace
from tensor.kernels import threads

# Elements. A tile of 1 MiB is for the last level of the cache; for the faster ones it would have to be so small that
# NumPy's calls take longer than what they do, and that two threads wait for Python's lock between these calls.
TILE = 1 << 18
SHARED = 1 << 17  # elements below which a part is not worth a thread, for the same reason


def tiles(x, start: int, stop: int, step: int) -> Iterator[slice]:
    """Slices that cover range(start, stop), `step` at a time; on a GPU one, as launching work is what costs there."""
    step = step if namespace(x) is np else max(stop - start, 1)
    return (slice(first, min(first + step, stop)) for first in range(start, stop, step))


def row_tiles(x, start: int, stop: int) -> Iterator[slice]:
    """Slices over the rows from start to stop of x (N, C) that hold about TILE elements each."""
    return tiles(x, start, stop, max(1, TILE // max(x.shape[1], 1)))


def in_parts(x, part: Callable[[int, int], None], length: int | None = None, elements: int | None = None) -> None:
    """part(start, stop) for the rows of x (N, …), shared out among the threads; on a GPU in one call.

    `length` and `elements` stand in for N and for x.size.
    """
    length, elements = len(x) if length is None else length, x.size if elements is None else elements
    if elements < 2 * SHARED or namespace(x) is not np:
        part(0, length)
    else:
        threads.run(part, threads.split(length, elements * threads.WORTH // SHARED))


def added_up(sums: dict[int, tuple]) -> list:
    """What the tiles put into `sums`, under their first rows, added in that order: which thread was first is no matter.

    Each is a tuple of arrays, and so is the result, in a list; [] without any tile.
    """
    in_order = [sums[start] for start in sorted(sums)]
    return [functools.reduce(operator.add, parts) for parts in zip(*in_order, strict=True)]


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def one_blas_thread(condition: bool = True) -> contextlib.AbstractContextManager:
    """Matrix products in the block stay in the thread that asks for them: for work that threads share already.

    Two threads that each ask a BLAS with two threads of its own for something wait for one another.
    """
    return _blas().limit(limits=1) if condition else contextlib.nullcontext()


def pieces(lists: Sequence[Sequence], start: int, stop: int) -> Iterator[Sequence]:
    """What lies in [start, stop) when groups of flat arrays (or None), each group of one size, stand end to end.

    Yields the arrays, or slices of them, of each group that has something there.
    """
    for arrays in lists:
        size = arrays[0].size
        if start <= 0 and size <= stop:
            if size:
                yield arrays
        elif start < size and stop > 0:
            yield [None if a is None else a[max(start, 0) : stop] for a in arrays]
        start, stop = start - size, stop - size
