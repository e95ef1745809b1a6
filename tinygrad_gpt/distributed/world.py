"""The processes of a job, as one of them sees the others. This one is alone; MpiWorld and NcclWorld have others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrived = Callable[[], bool]  # has a message that is on its way arrived?


class World:
    """`size` processes of which this one has the number `rank`. All of them make the same calls in the same order."""

    rank = 0
    size = 1
    seconds = 0.0  # spent in waiting for the others

    @property
    def leads(self) -> bool:
        """Is this the process that prints and writes files?"""
        return self.rank == 0

    def owns(self, index: int, count: int) -> bool:
        """Is the item `index` of `count`, in equal runs of neighbours, this process's?"""
        return index * self.size // count == self.rank

    def gather(self, value: Any) -> list:
        """The value of every process, in the order of their ranks."""
        return [value]

    def sum(self, numbers: Sequence[float] | np.ndarray) -> np.ndarray:
        """Σ over the processes of the numbers (k,), in float64: added in the order of ranks, so that it is the same to
        the last bit in all of them, and each time.
        """
        return np.asarray(numbers, np.float64)

    def gather_numbers(self, number: float) -> list[float]:
        """`gather` for one number, quicker."""
        return [number]

    def barrier(self, *, for_ever: bool = False) -> None:
        """Wait until every process is here, `for_ever` or as long as the patience for the others lasts."""

    # Arrays travel while the caller goes on; they are whole once `finish` returns.

    def reduce_scatter(self, whole, part) -> Arrived:
        """part (n,) = this process's n of the sum over all processes of whole (size · n,)."""
        raise NotImplementedError("one process has nobody to share an array with")

    def all_gather(self, whole) -> Arrived:
        """whole (size · n,) = in each of its `size` parts what the process of that rank has there."""
        raise NotImplementedError("one process has nobody to share an array with")

    def finish(self, arrived: Arrived) -> None:
        """Wait for an array."""


ALONE = World()
