"""The command in a process that the tests fork, and that may kill itself in the middle of a call to the system."""

import os
import signal
import sys
from pathlib import Path

from tinygrad_gpt.cli import run

OUTPUT = "printed.txt"  # what the process printed, in the folder that it ran in


def main(arguments: tuple[str, ...], folder: Path, environment: dict[str, str], die_at: tuple[str, int] | None) -> None:
    """Run `tinygrad-gpt` in `folder` and exit with its code; `die_at=("fsync", 3)`: be killed in the third os.fsync."""
    os.chdir(folder)
    os.environ.update(environment)
    sys.modules["matplotlib.figure"] = None  # type: ignore[assignment]  # a picture takes longer than all the rest
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if die_at:
        name, calls = die_at
        setattr(os, name, _deadly(getattr(os, name), calls))
    sys.exit(run(list(arguments)))


def _deadly(function, calls: int):
    remaining = iter(range(calls - 1))

    def call(*arguments, **options):
        if next(remaining, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return call
