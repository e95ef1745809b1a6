"""Run folders: where a new run goes, which one is the latest, and that none is lost by accident.

A run folder holds `last` and `best` (checkpoints), metrics.jsonl and loss.png.
"""

import shutil
from pathlib import Path

from tinygrad_gpt import metrics, plot, writers
from tinygrad_gpt.checkpoint import STATE, find, remove_checkpoint
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.paths import RUNS_DIR

LAST, BEST = "last", "best"


def holds_run(folder: Path) -> bool:
    return find(folder / LAST).is_dir() or (folder / metrics.FILE_NAME).is_file()


def free_dir(folder: Path) -> Path:
    """`folder`, or `folder-2`, `folder-3` …: the first that holds no run."""
    candidate, number = folder, 1
    while holds_run(candidate):
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def latest_run() -> Path:
    """The run under `out/` whose last checkpoint is the newest."""
    states = [path for folder in RUNS_DIR.glob("*") if (path := find(folder / LAST) / STATE).is_file()]
    if not states:
        raise InputError(f"There is no run in {RUNS_DIR.absolute()}: train one first, or pass --out_dir.")
    return max(states, key=lambda path: path.stat().st_mtime_ns).parent.parent


def refuse_to_replace(folder: Path, overwrite: bool) -> None:
    """Raise `InputError` where `folder` holds a run and `overwrite` is not set."""
    if not holds_run(folder) or overwrite:
        return
    if find(folder / LAST).is_dir():
        sentence = f"{folder} already holds a run: continue it with --init_from=resume, replace it with"
    else:
        sentence = f"{folder} holds the start of a run that has no checkpoint yet: replace it with"
    raise InputError(f"{sentence} --overwrite=True, or choose another --out_dir.")


def clear_run_dir(folder: Path) -> None:
    """Make `folder` ready for a new run: an old run's own files go, whatever else lies there stays."""
    for name in (LAST, BEST):
        remove_checkpoint(folder / name)
    for name in (metrics.FILE_NAME, plot.FILE_NAME, writers.WANDB_ID_FILE):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / writers.TENSORBOARD_DIR, ignore_errors=True)
