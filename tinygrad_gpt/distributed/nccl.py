"""NCCL for the arrays on GPUs, one for each process; MPI for everything else.

The calls are those of `cupyx.distributed`, which hands them to NCCL on CuPy's current stream. They return at once;
what a process computes next waits for them in the stream, and `finish` waits on the CPU, with patience, as MPI does.
"""

import os

from tinygrad_gpt.distributed.mpi import MpiWorld
from tinygrad_gpt.distributed.world import Arrived
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.launch import choose_gpu


class NcclWorld(MpiWorld):
    """All processes of the job; arrays are CuPy's, on this process's own GPU."""

    def __init__(self, mpi, patience: float):
        super().__init__(mpi, patience)
        choose_gpu(os.environ)
        try:
            import cupy
            from cupyx.distributed import init_process_group

            self._cupy = cupy
            self._nccl = init_process_group(self.size, self.rank, backend="nccl", use_mpi=True)
        except ImportError:
            raise InputError("CuPy is not installed: run `pip install 'tinygrad-gpt[cuda12]'`.") from None
        except Exception as problem:  # CuPy raises many kinds: no NCCL, no driver, fewer GPUs than processes
            raise InputError(f"--backend=nccl cannot be used in process {self.rank}: {problem}.") from None

    def reduce_scatter(self, whole, part) -> Arrived:
        self._nccl.reduce_scatter(whole, part, part.size, op="sum")
        return self._event()

    def all_gather(self, whole) -> Arrived:
        part = whole.size // self.size
        mine = whole[self.rank * part : (self.rank + 1) * part]  # NCCL gathers in place where this is its own place
        self._nccl.all_gather(mine, whole, part)
        return self._event()

    def _event(self) -> Arrived:
        """Has the stream come to the end of what is in it now?"""
        event = self._cupy.cuda.Event(disable_timing=True)
        event.record()
        return lambda: event.done
