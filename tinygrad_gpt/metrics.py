"""metrics.jsonl: one JSON object a line for each iteration that reports something.

    {"iter": 250, "loss": 2.31, "train_loss": 2.29, "val_loss": 2.33, "lr": 0.00099, "tokens_per_s": 41213.7}

`loss` (of the iteration's batch) is on the lines of log_interval, `train_loss` and `val_loss` on those of
eval_interval. Losses are in nats a token, and taken before the iteration's step.
"""

import json
import os
from pathlib import Path

from tinygrad_gpt.paths import atomic_write

FILE_NAME = "metrics.jsonl"


class MetricsLog:
    """Appends lines to a run's metrics.jsonl, from iteration `start` on.

    Lines at or after `start`, left by a run that went on past its last checkpoint, are dropped: the resumed
    run writes them again, so that the file has no gap and no double.
    """

    def __init__(self, folder: Path, start: int):
        path = folder / FILE_NAME
        kept = [line for line in read_metrics(folder) if line["iter"] < start]
        with atomic_write(path) as file:
            file.write("".join(_line(record) for record in kept).encode("utf-8"))
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: dict) -> None:
        self._file.write(_line(record))
        self._file.flush()

    def sync(self) -> None:
        """Put every line on the disk: before a checkpoint, so that no crash leaves a gap in front of it."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


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
