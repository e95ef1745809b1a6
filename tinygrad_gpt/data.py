"""Token files on disk, and the batches that training draws from them.

A dataset is a folder with two token files, `train.tokens` and `val.tokens`. A token file is one file:

    8 bytes    b"TGTOKENS"
    8 bytes    length of the header, unsigned little-endian
    header     JSON, blanks up to a multiple of 64 bytes: {"version", "count", "vocab_size", "tokenizer",
               "source" (one line: what the tokens were made of),
               "sha256" (of the tokens), "dataset" (the fingerprint of the dataset that the file is a part of)}
    tokens     `count` unsigned little-endian 16-bit ids

The ids are memory-mapped: opening a file of any size costs nothing, and a batch reads only its own pages.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tinygrad_gpt.corpus import Corpus
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.paths import atomic_write, cache_dir
from tinygrad_gpt.tokenizer import Tokenizer, tokenizer_from_dict

MAGIC = b"TGTOKENS"
VERSION = 2
ALIGNMENT = 64
TOKEN_DTYPE = np.dtype("<u2")
VAL_SHARE = 0.1  # of the characters; the rest trains
TRAIN, VAL = "train", "val"
TRAIN_FILE, VAL_FILE = "train.tokens", "val.tokens"


@dataclass(frozen=True)
class TokenFile:
    tokens: np.ndarray  # (count,), uint16, memory-mapped, read-only
    vocab_size: int
    tokenizer: dict  # what `tokenizer_from_dict` reads
    source: str
    sha256: str
    dataset: str


@dataclass(frozen=True)
class Splits:
    train: np.ndarray  # (N,), uint16
    val: np.ndarray  # (M,), uint16
    tokenizer: Tokenizer
    source: str  # one line: what the tokens were made of
    fingerprint: str  # two datasets with the same one have the same tokens, which mean the same


class TokenWriter:
    """Writes one token file from front to back; what is known only at the end is put into the header then."""

    def __init__(self, file: BinaryIO, tokenizer: Tokenizer, source: str):
        self.file, self.tokenizer, self.source = file, tokenizer, source
        self.count, self._hash = 0, hashlib.sha256()
        longest = len(self._header("0" * 64, count=2**63))
        self._length = longest + -(len(MAGIC) + 8 + longest) % ALIGNMENT
        file.write(bytes(len(MAGIC) + 8 + self._length))  # no token file yet

    def write(self, ids: np.ndarray) -> None:
        """Append the ids (N,). Raises `InputError` for one that does not fit."""
        if len(ids) and (ids.min() < 0 or ids.max() > np.iinfo(TOKEN_DTYPE).max):
            bad = ids[(ids < 0) | (ids > np.iinfo(TOKEN_DTYPE).max)][0]
            raise InputError(f"Token id {bad} does not fit a token file, whose ids go from 0 to 65535 (16 bits).")
        data = ids.astype(TOKEN_DTYPE).tobytes()
        self.file.write(data)
        self._hash.update(data)
        self.count += len(ids)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def finish(self, dataset: str) -> None:
        """Complete the header, and see to it that the file is on the disk."""
        self.file.seek(0)
        self.file.write(MAGIC + self._length.to_bytes(8, "little"))
        self.file.write(self._header(dataset, self.count).ljust(self._length))
        self.file.flush()
        os.fsync(self.file.fileno())

    def _header(self, dataset: str, count: int) -> bytes:
        header = {
            "version": VERSION,
            "count": count,
            "vocab_size": self.tokenizer.vocab_size,
            "tokenizer": self.tokenizer.to_dict(),
            "source": self.source,
            "sha256": self.sha256,
            "dataset": dataset,
        }
        return json.dumps(header).encode("utf-8")


@contextmanager
def write_dataset(folder: Path, tokenizer: Tokenizer, source: str) -> Iterator[dict[str, TokenWriter]]:
    """Yield the writers of the two splits by name; the files appear in `folder` only when both are complete.

    Whatever fails before leaves the folder as it was. The first file that a dataset there loses is `val.tokens`; where
    the program is killed before `train.tokens` follows, `open_dataset` finishes the work.
    """
    _finish_replacing(folder)
    with atomic_write(folder / TRAIN_FILE) as train_file, atomic_write(folder / VAL_FILE) as val_file:
        writers = {TRAIN: TokenWriter(train_file, tokenizer, source), VAL: TokenWriter(val_file, tokenizer, source)}
        yield writers
        parts = [writers[TRAIN].sha256, writers[VAL].sha256, _meaning(tokenizer.to_dict())]
        fingerprint = hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()
        for writer in writers.values():
            writer.finish(fingerprint)


def _meaning(tokenizer: dict) -> dict:
    """What decides the ids of a text: not the place that GPT-2's one vocabulary was read from."""
    return {key: value for key, value in tokenizer.items() if key != "vocab_file"}


def _leftovers(folder: Path, name: str) -> list[Path]:
    return list(folder.glob(f".{name}.*.tmp"))  # what `atomic_write` was writing when the program was killed


def _finish_replacing(folder: Path) -> None:
    """Give a new `val.tokens` its own `train.tokens`, where the program was killed between the two."""
    for leftover in _leftovers(folder, TRAIN_FILE):
        with suppress(InputError):  # an incomplete one is no token file
            if read_tokens(leftover).dataset == read_tokens(folder / VAL_FILE).dataset:
                os.replace(leftover, folder / TRAIN_FILE)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed programs were writing into `folder`."""
    _finish_replacing(folder)
    for leftover in _leftovers(folder, TRAIN_FILE) + _leftovers(folder, VAL_FILE):
        leftover.unlink(missing_ok=True)


def read_tokens(path: Path) -> TokenFile:
    """Open a token file. Raises `InputError` where it is not one, is damaged, or is cut short."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(len(MAGIC) + 8)
            length = int.from_bytes(start[len(MAGIC) :], "little")
            text = file.read(length) if length <= size else b""
    except OSError as error:
        raise InputError(f"The token file {path} cannot be read: {error.strerror}.") from None
    if not start.startswith(MAGIC):
        raise InputError(f"{path} is not a token file: it does not begin with {MAGIC.decode()}.")
    try:
        header = json.loads(text)
        version, count = header["version"], int(header["count"])
        vocab_size, tokenizer = int(header["vocab_size"]), dict(header["tokenizer"])
        described = {key: str(header[key]) for key in ("source", "sha256", "dataset")} if version == VERSION else {}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"The token file {path} has a damaged header; make the file again.") from None
    if version != VERSION:
        raise InputError(f"The token file {path} has version {version}; this program reads {VERSION}: make it again.")
    offset = len(MAGIC) + 8 + length
    if size != offset + count * TOKEN_DTYPE.itemsize:
        raise InputError(
            f"The token file {path} should hold {count:,} tokens but has room for "
            f"{max(size - offset, 0) / TOKEN_DTYPE.itemsize:,.1f}; it was cut short: make it again."
        )
    if count == 0:
        return TokenFile(np.empty(0, TOKEN_DTYPE), vocab_size, tokenizer, **described)  # an empty file cannot be mapped
    tokens = np.memmap(path, dtype=TOKEN_DTYPE, mode="r", offset=offset, shape=(count,))
    return TokenFile(tokens, vocab_size, tokenizer, **described)


def holds_dataset(folder: Path) -> bool:
    return (folder / TRAIN_FILE).exists() or (folder / VAL_FILE).exists()


def open_dataset(folder: Path) -> Splits:
    """The splits of a dataset folder, memory-mapped. Raises `InputError` where it holds no sound dataset."""
    train, val = _read_dataset(folder)
    return Splits(train.tokens, val.tokens, tokenizer_from_dict(train.tokenizer), train.source, train.dataset)


def _read_dataset(folder: Path) -> tuple[TokenFile, TokenFile]:
    if not holds_dataset(folder):
        raise InputError(f"{folder} holds no dataset: make one with tinygrad-gpt prepare INPUT --out_dir={folder}.")
    _finish_replacing(folder)
    train, val = read_tokens(folder / TRAIN_FILE), read_tokens(folder / VAL_FILE)
    if train.dataset != val.dataset:
        raise InputError(f"{TRAIN_FILE} and {VAL_FILE} in {folder} were not made together; prepare the dataset again.")
    return train, val


def prepare_splits(corpus: Corpus, tokenizer: Tokenizer) -> Splits:
    """The corpus as token files in the cache, made once: the first 90 % of its characters, and the rest."""
    folder = cache_dir() / "tokens" / f"{corpus.sha256[:16]}-{tokenizer.kind}"
    if not _holds(folder, tokenizer):
        cut = train_characters(len(corpus.text), VAL_SHARE)
        with write_dataset(folder, tokenizer, corpus.source) as writers:
            writers[TRAIN].write(tokenizer.encode(corpus.text[:cut]))
            writers[VAL].write(tokenizer.encode(corpus.text[cut:]))
    train, val = _read_dataset(folder)
    return Splits(train.tokens, val.tokens, tokenizer, corpus.source, train.dataset)


def train_characters(characters: int, val_share: float) -> int:
    """How many of the characters of a text train: the first ones."""
    return int(characters * (1 - val_share))


def _holds(folder: Path, tokenizer: Tokenizer) -> bool:
    """Whether `folder` has a sound dataset of this tokenizer; anything else is made again."""
    try:
        train, _ = _read_dataset(folder)
    except InputError:
        return False
    return _meaning(train.tokenizer) == _meaning(tokenizer.to_dict())


def check_length(splits: Splits, block_size: int) -> None:
    """Raise `InputError` where a split is too short for one block and the token that follows it."""
    for name, tokens in (("training", splits.train), ("validation", splits.val)):
        if len(tokens) <= block_size:
            raise InputError(
                f"The {name} split has {len(tokens):,} tokens, but a block of {block_size} needs at least "
                f"{block_size + 1}: use a longer text or a smaller --block_size."
            )


def get_batch(
    tokens: np.ndarray, batch_size: int, block_size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random blocks x (B, T) and y (B, T), int64, where y[b, t] is the token after x[b, t]."""
    starts = generator.integers(len(tokens) - block_size, size=batch_size)  # (B,)
    blocks = tokens[starts[:, None] + np.arange(block_size + 1)].astype(np.int64)  # (B, T + 1)
    return blocks[:, :-1], blocks[:, 1:]
