"""The command in the processes of a job: `mpiexec -n 2 python tests/mpi_process.py train …`.

Each of them leaves its process id in `pid-RANK`, for the tests that kill one.
"""

import importlib.metadata
import os
import sys
from pathlib import Path


def mpiexec() -> str:
    """The launcher that came with the package mpich, wherever it is installed."""
    return _installed("mpiexec")


def mpi_library() -> dict[str, str]:
    """In the environment of a process: where mpi4py finds MPI, also from an environment on top of mpich's own."""
    return {"MPI4PY_LIBMPI": _installed("libmpi.so.12")} if sys.platform == "linux" else {}


def _installed(name: str) -> str:
    files = importlib.metadata.files("mpich") or []
    return str(next(file for file in files if file.name == name).locate().resolve())


if __name__ == "__main__":
    from tinygrad_gpt.cli import run
    from tinygrad_gpt.launch import RANK, launched

    sys.modules["matplotlib.figure"] = None  # type: ignore[assignment]  # a picture takes longer than all the rest
    Path(f"pid-{launched(RANK, 0)}").write_text(str(os.getpid()))
    sys.exit(run(sys.argv[1:]))
