"""What mpiexec says of this process, and its share of the machine's cores.

A launcher tells each process in its environment which one it is and how many there are. Only the standard library
is used here, as this comes before NumPy: a BLAS reads its number of threads once, when it is loaded.
"""

import os
from collections.abc import MutableMapping

# Read by OpenBLAS, MKL, Numba and tensor/kernels/threads.py.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
# MPICH's (and Intel's) launcher, Open MPI's
RANK = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
SIZE = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
LOCAL_RANK = ("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK")  # among the processes on this machine
LOCAL_SIZE = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE")


def launched(names: tuple[str, ...], otherwise: int) -> int:
    """The number in the first of these variables that is set; `otherwise` where no launcher has set any."""
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), otherwise)


def share_cores(environment: MutableMapping[str, str]) -> None:
    """Give each of several processes on this machine its part of the cores, as threads.

    Without this, each of them would start a thread for every core, and they would wait for one another. A number
    that the user has set stays.
    """
    processes = launched(LOCAL_SIZE, 1)
    if processes == 1 or any(environment.get(name) for name in THREAD_VARIABLES):
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // processes)
    environment.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def choose_gpu(environment: MutableMapping[str, str]) -> None:
    """Let this process see one GPU of the machine, its own, which is `cuda:0` to it. CUDA reads this when it starts."""
    local_rank = launched(LOCAL_RANK, 0)
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else []
    environment["CUDA_VISIBLE_DEVICES"] = gpus[local_rank] if local_rank < len(gpus) else str(local_rank)
