"""The process that runs a student's code: `python -m tinygrad_gpt.exercises.child NUMBER FILE FOLDER SECONDS`.

It writes its verdict to FOLDER/verdict.json, and to FOLDER/faults.txt where it was when its time was up or it crashed.
"""

import dataclasses
import faulthandler
import json
import os
import signal
import sys
from pathlib import Path

from tinygrad_gpt.exercises.catalogue import find
from tinygrad_gpt.exercises.examine import examine

MEMORY = 8 << 30  # bytes of address space: a list that grows without end is a MemoryError, not a frozen machine
PRINTED = 16 << 20  # bytes that may be written to a file: an endless loop that prints does not fill the disk


def limit_resources() -> None:
    """Where the system has such limits (Windows has not)."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, PRINTED)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def limit_time(seconds: float, faults) -> None:
    """When the time is up, write where the program is and end it.

    A signal's handler runs between two steps of Python, where the call stack is whole; faulthandler's thread looks at
    it while it changes, so it only comes in where the program is stuck in one step, or the system has no such signal.
    """
    if hasattr(signal, "setitimer"):

        def time_is_up(signum, frame):
            faults.write("Timeout\n")
            faults.flush()
            faulthandler.dump_traceback(faults)
            os._exit(1)

        signal.signal(signal.SIGALRM, time_is_up)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        seconds += 1
    faulthandler.dump_traceback_later(seconds, exit=True, file=faults)


def no_time_limit() -> None:
    faulthandler.cancel_dump_traceback_later()
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(number: str, file: str, folder: str, seconds: str) -> None:
    exercise, path = find(number), Path(file)
    exercise.module  # noqa: B018  imported before the clock starts
    sys.dont_write_bytecode = True
    sys.path.append(str(path.parent))  # an exercise may import an earlier one
    limit_resources()
    with open(Path(folder, "faults.txt"), "w") as faults:
        faulthandler.enable(faults)
        limit_time(float(seconds), faults)
        verdict = examine(exercise, path)
        no_time_limit()
        Path(folder, "verdict.json").write_text(json.dumps(dataclasses.asdict(verdict)), "utf-8")
        faulthandler.disable()


if __name__ == "__main__":
    main(*sys.argv[1:])
