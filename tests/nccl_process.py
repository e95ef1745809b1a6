"""mpi_process.py on a simulated GPU: `mpiexec -n 2 python tests/nccl_process.py train … --device=cuda --backend=nccl`.

CuPy and cupyx.distributed are the real ones (tests/cudasim simulates the device). Only NCCL itself is stood in for: the
two calls of it that training makes, on the memory that CuPy hands to them, through MPI.
"""

import ctypes
import sys
import warnings

import cudasim
import numpy as np

cudasim.start()
warnings.simplefilter("ignore")  # that there is no NCCL

from cupy.cuda import nccl  # noqa: E402

DTYPES = {7: np.dtype(np.float32), 8: np.dtype(np.float64)}  # ncclDataType_t in nccl.h
SUM = 0  # ncclRedOp_t


def memory(pointer: int, count: int, dtype: int) -> np.ndarray:
    """What lies there; a simulated device's memory is the host's."""
    bytes_there = (ctypes.c_byte * (count * DTYPES[dtype].itemsize)).from_address(pointer)
    return np.frombuffer(bytes_there, DTYPES[dtype])


class NcclCommunicator:
    """`cupy.cuda.nccl.NcclCommunicator`, with the names and the order of its arguments."""

    def __init__(self, ndev: int, commId: bytes, rank: int):
        from mpi4py import MPI

        assert (commId, rank) == (b"the first process's", MPI.COMM_WORLD.Get_rank())
        self.mpi, self.comm, self.ndev, self.rank = MPI, MPI.COMM_WORLD.Dup(), ndev, rank

    def reduceScatter(self, sendbuf: int, recvbuf: int, recvcount: int, datatype: int, op: int, stream: int) -> None:
        assert op == SUM
        whole = memory(sendbuf, recvcount * self.ndev, datatype)
        self.comm.Reduce_scatter_block(whole, memory(recvbuf, recvcount, datatype))

    def allGather(self, sendbuf: int, recvbuf: int, count: int, datatype: int, stream: int) -> None:
        whole = memory(recvbuf, count * self.ndev, datatype)
        assert sendbuf == recvbuf + self.rank * count * DTYPES[datatype].itemsize  # in place, as NCCL defines it
        self.comm.Allgather(self.mpi.IN_PLACE, whole)


constants = ("INT8", "UINT8", "INT32", "UINT32", "INT64", "UINT64", "FLOAT16", "FLOAT32", "FLOAT64")
for number, name in enumerate(constants):
    setattr(nccl, f"NCCL_{name}", number)
for number, name in enumerate(("SUM", "PROD", "MAX", "MIN")):
    setattr(nccl, f"NCCL_{name}", number)
nccl.available, nccl.NcclCommunicator = True, NcclCommunicator
nccl.get_unique_id = lambda: b"the first process's"

if __name__ == "__main__":
    from tinygrad_gpt.cli import run

    sys.modules["matplotlib.figure"] = None  # type: ignore[assignment]
    sys.exit(run(sys.argv[1:]))
