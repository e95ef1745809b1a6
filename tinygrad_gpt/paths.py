"""Where things lie on disk, and how a file is replaced without ever being half written."""

import os
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from tinygrad_gpt.errors import RunError

RUNS_DIR = Path("out")  # run folders, beside the user's work
CACHE_VARIABLE = "TINYGRAD_GPT_CACHE"


def cache_dir() -> Path:
    """The folder for downloaded corpora and token files: `$TINYGRAD_GPT_CACHE` or the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("tinygrad-gpt")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"Cannot create the cache folder {folder} ({error.strerror}); "
            f"set the environment variable {CACHE_VARIABLE} to a folder that can be written."
        ) from error
    return folder


def sync(path: Path) -> None:
    """Ask the operating system to put a file or a folder entry on the disk itself."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder; its renames are journalled
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_write(path: Path):
    """Yield a binary file that becomes `path` only when it is complete; a crash leaves the old `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
