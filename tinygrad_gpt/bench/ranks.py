"""Mode ranks: what 1, 2, 4 … processes train together in a second, and how much of a step they wait for one another.

Each has a batch of its own, so that twice the processes do twice the work (weak scaling): with as many cores as
processes and messages that cost nothing, a step would take as long as with one.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from tinygrad_gpt.bench.settings import BenchConfig, Work
from tinygrad_gpt.bench.sides import Spread
from tinygrad_gpt.errors import InputError, RunError
from tinygrad_gpt.launch import THREAD_VARIABLES

WORKER = "tinygrad_gpt.bench.rank_worker"
SECONDS = 1.0  # of steps in a round, without --iters


def ranks(config: BenchConfig, work: Work) -> dict:
    """Training steps on 1, 2, 4 … and `config.ranks` processes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = config.ranks or cores
    threads = config.threads or max(1, cores // most)
    counts = sorted({min(2**k, most) for k in range(most.bit_length() + 1)})
    points = []
    for count in counts:
        answer = _job(count, config, replace(work, threads=threads))
        steps = Spread.of(answer["ms"])
        tokens = count * work.batch_size * work.model.block_size
        points.append(
            {"ranks": count, "tokens": tokens, "ms": asdict(steps), "tokens_per_s": tokens / steps.median * 1e3}
            | {"waiting": asdict(Spread.of(answer["waiting"])), "bytes": answer["bytes"]}
            | {"messages_ms": asdict(Spread.of(answer["messages_ms"])), "facts": answer["facts"]}
        )
    return {"rounds": config.rounds, "threads": threads, "cores": cores, "points": points}


def _job(count: int, config: BenchConfig, work: Work) -> dict:
    """What rank 0 of `count` processes has measured."""
    backend = {"cpu": "mpi", "cuda": "nccl"}[work.device]
    request = {"work": work.to_dict(), "rounds": config.rounds, "iters": config.iters, "backend": backend}
    command = [sys.executable, "-m", WORKER, json.dumps(request)]
    if count > 1:
        command = [_mpiexec(), "-n", str(count), *command]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(work.threads))
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RunError(f"With --ranks={count} a process ended before its work was done; its words are above.")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "unusable" in answer:
        raise InputError(answer["unusable"])
    return answer


def _mpiexec() -> str:
    """The launcher: of this Python's environment, also where that is not activated, or else the machine's."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("mpiexec", path=places)
    if found is None:
        raise InputError("There is no mpiexec on this machine: run `pip install 'tinygrad-gpt[distributed]'`.")
    return found
