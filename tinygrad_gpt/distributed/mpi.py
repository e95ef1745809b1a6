"""The processes that mpiexec has started, through mpi4py.

No call here blocks inside MPI. A message is started, and then asked for until it has arrived or patience ends: so
a process that died or hangs ends the job instead of holding it for ever, and one that waits lets others
have the core.
"""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_gpt.distributed.world import Arrived, World
from tinygrad_gpt.errors import InputError

BUSY_SECONDS = 0.01  # a wait up to this long asks all the time, a longer one
NAP_SECONDS = 0.0005  # at this interval
AWAKE_SECONDS = 1.0  # most that counts between two questions: a machine that was asleep has not waited
LAST_WORD_SECONDS = 2.0  # how long the others leave it to the first of them to say what is wrong

ENDED = "All processes end here; --init_from=resume goes on from the last checkpoint."


def load_mpi():
    """The module `mpi4py.MPI`, which starts MPI as it is imported. Raises `InputError` where it cannot be used."""
    try:
        from mpi4py import MPI  # the optional extra `distributed`
    except ImportError:
        raise InputError("mpi4py is not installed: run `pip install 'tinygrad-gpt[distributed]'`.") from None
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"mpi4py finds no MPI ({reason}): run `pip install mpich`, or set MPI4PY_LIBMPI.") from None
    return MPI


class MpiWorld(World):
    """All processes of the job; arrays are NumPy's. `patience`: seconds to wait for the others before ending it all."""

    def __init__(self, mpi, patience: float):
        self._mpi, self._comm, self.patience = mpi, mpi.COMM_WORLD, patience
        self._alarm = self._comm.Dup()  # for the messages of a job in trouble, apart from all others
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()
        self.waits = 0  # how many there were: the same number in all processes that are at the same place

    def gather(self, value: Any) -> list:
        self.barrier()
        return self._comm.allgather(value)

    def gather_numbers(self, number: float) -> list[float]:
        return self._gathered([number])[:, 0].tolist()

    def sum(self, numbers: Sequence[float] | np.ndarray) -> np.ndarray:
        return self._gathered(numbers).sum(axis=0)

    def _gathered(self, numbers: Sequence[float] | np.ndarray) -> np.ndarray:
        """The numbers (k,) of every process: (size, k)."""
        mine = np.ascontiguousarray(numbers, np.float64)
        of_all = np.empty((self.size, *mine.shape))
        self.finish(self._comm.Iallgather(mine, of_all).Test)
        return of_all

    def barrier(self, *, for_ever: bool = False) -> None:
        self._wait(self._comm.Ibarrier().Test, float("inf") if for_ever else self.patience)

    def reduce_scatter(self, whole, part) -> Arrived:
        return self._comm.Ireduce_scatter_block(whole, part).Test

    def all_gather(self, whole) -> Arrived:
        return self._comm.Iallgather(self._mpi.IN_PLACE, whole).Test

    def finish(self, arrived: Arrived) -> None:
        self._wait(arrived, self.patience)

    # ------------------------------------------------------------------ when something is wrong

    def _wait(self, arrived: Arrived, patience: float) -> None:
        start = last = time.monotonic()
        waited, hails = 0.0, None
        self.waits += 1
        while not arrived():
            now = time.monotonic()
            waited += min(now - last, AWAKE_SECONDS)
            last = now
            if waited > patience / 2 and hails is None:
                hails = self._hail()
            if waited > patience:
                self._give_up(patience)
            if waited < BUSY_SECONDS:
                os.sched_yield() if hasattr(os, "sched_yield") else time.sleep(0)
            else:
                time.sleep(NAP_SECONDS)
        self.seconds += time.monotonic() - start

    def _hail(self) -> list:
        """Tell everybody that this process waits at the place that it has come to."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        return [self._alarm.isend(None, rank, self._tag) for rank in others]

    @property
    def _tag(self) -> int:
        return self.waits % 2**15  # any MPI has tags up to 2¹⁵ − 1

    def _give_up(self, patience: float) -> None:
        """End the job. Whoever waits at the same place has said so; the others are those that are missing."""
        status, waiting = self._mpi.Status(), {self.rank}
        while self._alarm.iprobe(tag=self._tag, status=status):
            self._alarm.recv(source=status.Get_source(), tag=self._tag)
            waiting.add(status.Get_source())
        if self.rank != min(waiting):
            time.sleep(LAST_WORD_SECONDS)
        missing = ", ".join(str(rank) for rank in range(self.size) if rank not in waiting)
        self.abort(
            f"process {missing or 'unknown'} of {self.size} has not answered for {patience:g} s: it hangs or died."
        )

    def abort(self, sentence: str, code: int = 1) -> None:
        """Say what is wrong and end all processes, also those that hang."""
        print(f"tinygrad-gpt: {sentence} {ENDED}", file=sys.stderr, flush=True)
        self._comm.Abort(code)

    def all_fail(self, patience: float) -> bool:
        """Called by a process that has failed: have all of them, within so many seconds?"""
        end, arrived = time.monotonic() + patience, self._alarm.Ibarrier().Test
        while not (done := arrived()) and time.monotonic() < end:
            time.sleep(NAP_SECONDS)
        return done
