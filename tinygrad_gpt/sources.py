"""The files to make a dataset of: finding them, and reading them as a stream of text or of JSON lines.

A file is UTF-8 text or, where its name ends in `.jsonl`, one JSON object a line; either may be compressed with
gzip (`.gz`) or Zstandard (`.zst`). Nothing here holds more than a block of a file, or its longest line.
"""

import codecs
import glob
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tinygrad_gpt.errors import InputError

BLOCK_BYTES = 1 << 20
COMPRESSED_BLOCK_BYTES = 1 << 14  # small: Zstandard's objects give all that a block expands to at once
COMPRESSIONS = (".gz", ".zst")


@dataclass(frozen=True)
class Source:
    """A file of text, or of JSON lines."""

    path: Path

    @property
    def is_jsonl(self) -> bool:
        suffixes = self.path.suffixes
        return (suffixes[-2:-1] if self.path.suffix in COMPRESSIONS else suffixes[-1:]) == [".jsonl"]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size


def find_sources(inputs: tuple[str, ...]) -> list[Source]:
    """The files that `inputs` name, each once: files, folders with all that is below them, glob patterns.

    In the order of `inputs`, and sorted within one. Below a folder, names that begin with a dot do not count.
    Raises `InputError` where an input gives no file.
    """
    found: dict[Path, Source] = {}
    for name in inputs:
        files = _files_of(name)
        if not files:
            raise InputError(f"The folder {name} holds no files (names that begin with a dot do not count).")
        for path in files:
            found.setdefault(path.resolve(), Source(path))
    return list(found.values())


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file.relative_to(path)))
    if path.exists():
        return [path]
    if not is_pattern(path):
        raise InputError(f"The input {name} does not exist (looked in {Path.cwd()}).")
    files = sorted(Path(file) for file in glob.glob(name, recursive=True) if Path(file).is_file())
    if not files:
        raise InputError(f"No file matches {name} (looked in {Path.cwd()}).")
    return files


def is_pattern(path: Path) -> bool:
    return not path.exists() and glob.has_magic(str(path))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_text(source: Source, advance: Callable[[int], Any] = lambda count: None) -> Iterator[str]:
    """The text of a file in blocks. `advance` is called with the number of bytes on disk that each one took.

    Raises `InputError` where the file cannot be read, is damaged, or is not UTF-8.
    """
    rest, offset = b"", 0  # a character's first bytes, cut off by the end of a block, and where they stand
    for block in _blocks(source, advance):
        text, used = _decode(source, rest + block, offset, final=False)
        rest, offset = (rest + block)[used:], offset + used
        yield text
    _decode(source, rest, offset, final=True)


def _decode(source: Source, data: bytes, offset: int, final: bool) -> tuple[str, int]:
    """The text of `data`, which stands at `offset` in the file, and how many of its bytes that took."""
    try:
        return codecs.utf_8_decode(data, "strict", final)
    except UnicodeDecodeError as error:
        where = "of its decompressed text " if source.path.suffix in COMPRESSIONS else ""
        raise InputError(
            f"{source.path} is not UTF-8 text: byte {offset + error.start:,} {where}is "
            f"0x{data[error.start]:02x}; convert the file to UTF-8, or leave it out."
        ) from None


def read_lines(source: Source, advance: Callable[[int], Any]) -> Iterator[bytes]:
    """The lines of a file in blocks of whole lines. `advance` and the errors are `read_text`'s."""
    parts: list[bytes] = []  # of a line that is not complete yet
    for block in _blocks(source, advance):
        end = block.rfind(b"\n") + 1
        if end == 0:
            parts.append(block)
            continue
        yield b"".join([*parts, block[:end]])
        parts = [block[end:]]
    if any(parts):
        yield b"".join(parts)


def _blocks(source: Source, advance: Callable[[int], Any]) -> Iterator[bytes]:
    """The decompressed bytes of a file."""
    decompress = {".gz": _gunzip, ".zst": _unzstd}.get(source.path.suffix, _plain)
    try:
        with open(source.path, "rb") as file:
            seen = 0
            for block in decompress(file, source.path):
                yield block
                advance(file.tell() - seen)
                seen = file.tell()
    except OSError as error:
        if error.errno is None:  # gzip's own error, about what the file holds
            raise _damaged(source.path, error) from None
        raise InputError(f"{source.path} cannot be read: {error.strerror}.") from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged, or no {path.suffix} file: {error}.")


def _plain(file: BinaryIO, path: Path) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _gunzip(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as text:
            while block := text.read(BLOCK_BYTES):
                yield block
    except (EOFError, zlib.error) as error:
        raise _damaged(path, error) from None


def _unzstd(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise InputError(f"Reading {path} needs the package zstandard: pip install 'tinygrad-gpt[data]'.") from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)  # what `zstd --long=31` writes
    frame = None  # a file is one frame or more; one that does not end has been cut short
    try:
        while data := file.read(COMPRESSED_BLOCK_BYTES):
            while data:
                frame = frame or decompressor.decompressobj()
                if block := frame.decompress(data):
                    yield block
                data, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    except zstandard.ZstdError as error:
        raise _damaged(path, error) from None
    if frame is not None:
        raise _damaged(path, EOFError("it ends in the middle"))
