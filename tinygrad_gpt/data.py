"""Token files on disk, and the batches that training draws from them.

A token file is one file:

    8 bytes    b"TGTOKENS"
    8 bytes    length of the header, unsigned little-endian
    header     JSON {"version", "count", "vocab_size", "tokenizer"}, blanks up to a multiple of 64 bytes
    tokens     `count` unsigned little-endian 16-bit ids

The ids are memory-mapped: opening a file of any size costs nothing, and a batch reads only its own pages.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygrad_gpt.corpus import Corpus
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.paths import atomic_write, cache_dir
from tinygrad_gpt.tokenizer import Tokenizer, tokenizer_from_dict

MAGIC = b"TGTOKENS"
VERSION = 1
ALIGNMENT = 64
TOKEN_DTYPE = np.dtype("<u2")
TRAIN_SHARE = 0.9  # of the characters; the rest is the validation split


@dataclass(frozen=True)
class TokenFile:
    tokens: np.ndarray  # (count,), uint16, memory-mapped, read-only
    vocab_size: int
    tokenizer: dict  # what `tokenizer_from_dict` reads


@dataclass(frozen=True)
class Splits:
    train: np.ndarray  # (N,), uint16
    val: np.ndarray  # (M,), uint16
    tokenizer: Tokenizer


def write_tokens(path: Path, ids: np.ndarray, tokenizer: Tokenizer) -> None:
    """Write the ids (N,) as a token file; `path` appears only when it is complete."""
    if len(ids) and (ids.min() < 0 or ids.max() > np.iinfo(TOKEN_DTYPE).max):
        bad = ids[(ids < 0) | (ids > np.iinfo(TOKEN_DTYPE).max)][0]
        raise InputError(f"Token id {bad} does not fit a token file, whose ids go from 0 to 65535 (16 bits).")
    header = {
        "version": VERSION,
        "count": len(ids),
        "vocab_size": tokenizer.vocab_size,
        "tokenizer": tokenizer.to_dict(),
    }
    text = json.dumps(header).encode("utf-8")
    text = text.ljust(-(len(MAGIC) + 8 + len(text)) % ALIGNMENT + len(text))
    with atomic_write(path) as file:
        file.write(MAGIC + len(text).to_bytes(8, "little") + text)
        file.write(ids.astype(TOKEN_DTYPE).tobytes())


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
    except (ValueError, KeyError, TypeError):
        raise InputError(f"The token file {path} has a damaged header; make the file again.") from None
    if version != VERSION:
        raise InputError(f"The token file {path} has version {version}; this program reads {VERSION}.")
    offset = len(MAGIC) + 8 + length
    if size != offset + count * TOKEN_DTYPE.itemsize:
        raise InputError(
            f"The token file {path} should hold {count:,} tokens but has room for "
            f"{max(size - offset, 0) / TOKEN_DTYPE.itemsize:,.1f}; it was cut short: make it again."
        )
    if count == 0:
        return TokenFile(np.empty(0, TOKEN_DTYPE), vocab_size, tokenizer)  # an empty file cannot be mapped
    tokens = np.memmap(path, dtype=TOKEN_DTYPE, mode="r", offset=offset, shape=(count,))
    return TokenFile(tokens, vocab_size, tokenizer)


def prepare_splits(corpus: Corpus, tokenizer: Tokenizer) -> Splits:
    """The corpus as token files in the cache, made once: the first 90 % of its characters, and the rest."""
    folder = cache_dir() / "tokens" / f"{corpus.sha256[:16]}-{tokenizer.kind}"
    cut = int(len(corpus.text) * TRAIN_SHARE)
    tokens = {}
    for split, text in (("train", corpus.text[:cut]), ("val", corpus.text[cut:])):
        path = folder / f"{split}.tokens"
        if not _holds(path, tokenizer):
            write_tokens(path, tokenizer.encode(text), tokenizer)
        tokens[split] = read_tokens(path).tokens
    return Splits(tokens["train"], tokens["val"], tokenizer)


def _holds(path: Path, tokenizer: Tokenizer) -> bool:
    """Whether `path` is a sound token file of this tokenizer; anything else is made again."""
    try:
        return tokenizer_from_dict(read_tokens(path).tokenizer).to_dict() == tokenizer.to_dict()
    except InputError:
        return False


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
