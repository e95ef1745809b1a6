"""metrics.jsonl: one JSON object a line for each iteration that reports something.

    {"iter": 250, "loss": 2.31, "train_loss": 2.29, "val_loss": 2.33, "lr": 0.00099,
     "tokens_per_s": 41213.7, "mfu": 0.27}

`loss` (of the iteration's batch) is on the lines of log_interval, `train_loss` and `val_loss` on those of
eval_interval, with `val_accuracy` where the task has right answers. Losses are in nats a token, and taken before
the iteration's step. `mfu` is the share of the machine's rate of multiplying matrices that the model makes use of.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tinygrad_gpt.paths import atomic_write, writing

FILE_NAME = "metrics.jsonl"


class Writer(Protocol):
    """Somewhere else that the records go to."""

    def write(self, record: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class MetricsLog:
    """Appends lines to a run's metrics.jsonl, from iteration `start` on, and hands each to the `writers` too.

    Lines at or after `start`, left by a run that went on past its last checkpoint, are dropped: the resumed
    run writes them again, so that the file has no gap and no double.
    """

    def __init__(self, folder: Path, start: int, writers: Sequence[Writer] = ()):
        path = folder / FILE_NAME
        kept = [line for line in read_metrics(folder) if line["iter"] < start]
        with atomic_write(path) as file:
            file.write("".join(_line(record) for record in kept).encode("utf-8"))
        self._path = path
        self._file = path.open("a", encoding="utf-8")
        self._writers = writers

    def write(self, record: dict[str, float]) -> None:
        with writing(self._path):
            self._file.write(_line(record))
            self._file.flush()
        for writer in self._writers:
            writer.write(record)

    def sync(self) -> None:
        """Put every line on the disk: before a checkpoint, so that no crash leaves a gap in front of it."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with suppress(OSError):  # only a line that `write` has failed to write is still to be written
            self._file.close()
        for writer in self._writers:
            writer.close()


class NoMetrics:
    """The log of a process that writes none."""

    def write(self, record: dict[str, float]) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def read_metrics(folder: Path) -> list[dict]:
    """The records of a run's metrics.jsonl, oldest first; a last line that a crash cut short is left out."""
    path = folder / FILE_NAME
    if not path.exists():
        return []
    records = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _line(record: dict) -> str:
    return json.dumps(record) + "\n"
