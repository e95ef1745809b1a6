"""Where things lie on disk, how a file is replaced without ever being half written, and whose a folder is."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

try:
    import fcntl
except ImportError:  # Windows: there is no lock, and one has to look out oneself
    fcntl = None  # type: ignore[assignment]

from tinygrad_gpt.errors import InputError, RunError

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
def writing(path: Path):
    """Let the disk's refusal inside the block, such as that it is full, be a `RunError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}.") from error


@contextmanager
def atomic_write(path: Path):
    """Yield a binary file that becomes `path` only when it is complete; a crash leaves the old `path`.

    Raises `RunError` where the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path):
    """Hold `folder`, made if it is not there, for this process alone: another one that asks for it gets a `RunError`.

    The lock is on the open folder itself, so that it leaves no file behind and ends with its process, however
    that dies.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network's file system may know no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"Another process is writing to {folder}: choose another --out_dir.") from None
        yield
    finally:
        os.close(descriptor)
