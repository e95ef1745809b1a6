"""Run folders: where a new run goes, which one is the latest, and that none is lost by accident.

A run folder holds `last` and `best` (checkpoints), metrics.jsonl and loss.png.
"""

import shutil
from pathlib import Path

from tinygrad_gpt import metrics, plot
from tinygrad_gpt.checkpoint import recover
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.paths import RUNS_DIR

LAST, BEST = "last", "best"


def holds_run(folder: Path) -> bool:
    recover(folder / LAST)
    return (folder / LAST).is_dir() or (folder / metrics.FILE_NAME).is_file()


def new_run_dir(name: str) -> Path:
    """`out/NAME`, or `out/NAME-2`, `-3` …: the first that holds no run."""
    folder, number = RUNS_DIR / name, 1
    while holds_run(folder):
        number += 1
        folder = RUNS_DIR / f"{name}-{number}"
    return folder


def latest_run() -> Path:
    """The run under `out/` whose last checkpoint is the newest."""
    runs = [folder for folder in RUNS_DIR.glob("*") if holds_run(folder) and (folder / LAST / "state.json").exists()]
    if not runs:
        raise InputError(f"There is no run in {RUNS_DIR.absolute()}: name one with --out_dir, or train one first.")
    return max(runs, key=lambda folder: (folder / LAST / "state.json").stat().st_mtime_ns)


def claim(folder: Path, overwrite: bool) -> None:
    """Make `folder` ready for a new run. Raises `InputError` where it holds one and `overwrite` is not set.

    Overwriting removes that run's own files and nothing else that lies in the folder.
    """
    if holds_run(folder):
        if not overwrite:
            raise InputError(
                f"{folder} already holds a run: continue it with --init_from=resume, replace it with "
                "--overwrite=True, or choose another --out_dir."
            )
        for name in (LAST, BEST):
            for path in folder.glob(f"{name}*"):
                if path.name in (name, f"{name}.old", f"{name}.new"):
                    shutil.rmtree(path)
        for name in (metrics.FILE_NAME, plot.FILE_NAME):
            (folder / name).unlink(missing_ok=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The run folder {folder} cannot be made: {error.strerror}.") from None
