"""What worker processes do for `tinygrad-gpt prepare`: batches of pieces of files to counts, and to token ids.

A document is a text file, or the text of one JSON object. A batch holds pieces of text files and whole JSON lines, in
the order of the files.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinygrad_gpt.data import TOKEN_DTYPE, TRAIN, VAL, train_characters
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.tokenizer import Tokenizer, code_points

CODE_POINTS = 0x110000  # of Unicode


@dataclass(frozen=True)
class Text:
    """A piece of a text file."""

    file: int  # number of the file
    content: str
    split: str = ""  # once that is decided
    opens: bool = False  # whether it is the file's first piece in this split


@dataclass(frozen=True)
class Lines:
    """Whole lines of a JSON lines file."""

    file: int
    content: bytes
    path: Path
    first: int  # number of the first line, from 1
    key: str  # of the text in each object


Piece = Text | Lines


def json_texts(lines: Lines) -> Iterator[tuple[int, str]]:
    """(line number, text) of each JSON object. Raises `InputError` for a line that is none with such a text."""
    for number, line in enumerate(lines.content.split(b"\n"), lines.first):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{lines.path}:{number}: the line is not JSON ({error}).") from None
        if not isinstance(value, dict):
            raise InputError(f"{lines.path}:{number}: the line should be a JSON object, {{…}}, with a text in it.")
        if lines.key not in value:
            keys = ", ".join(map(repr, value)) or "none"
            raise InputError(f"{lines.path}:{number}: there is no key {lines.key!r}, only {keys}: pass --text_key.")
        if not isinstance(value[lines.key], str):
            raise InputError(f"{lines.path}:{number}: {lines.key!r} should be a text, got {value[lines.key]!r:.40}.")
        yield number, value[lines.key]


@dataclass
class Survey:
    """What there is to encode."""

    characters: int = 0
    lengths: dict[int, int] = field(default_factory=dict)  # characters of each text file, by its number
    json_documents: int = 0
    alphabet: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # code points, ascending

    @property
    def documents(self) -> int:
        return len(self.lengths) + self.json_documents

    def add(self, other: "Survey") -> None:
        self.characters += other.characters
        for file, length in other.lengths.items():
            self.lengths[file] = self.lengths.get(file, 0) + length
        self.json_documents += other.json_documents
        self.alphabet = np.union1d(self.alphabet, other.alphabet)


def survey(batch: Iterable[Piece]) -> Survey:
    found = Survey()
    seen = np.zeros(CODE_POINTS, bool)
    for piece in batch:
        texts = [piece.content] if isinstance(piece, Text) else [text for _, text in json_texts(piece) if text]
        for text in texts:
            seen[code_points(text)] = True
            found.characters += len(text)
        if isinstance(piece, Lines):
            found.json_documents += len(texts)
        else:
            found.lengths[piece.file] = found.lengths.get(piece.file, 0) + len(piece.content)
    found.alphabet = np.flatnonzero(seen)
    return found


@dataclass(frozen=True)
class Rule:
    """Which part of a document trains: the beginning of each, or all or nothing, by the hash of its number."""

    cut_each: bool
    val_share: float
    seed: int

    def end_of_training(self, file: int, line: int, length: int) -> int:
        """How many of the document's characters train: the first ones; the rest validates."""
        if self.cut_each:
            return train_characters(length, self.val_share)
        digest = hashlib.sha256(f"{self.seed} {file} {line}".encode()).digest()
        drawn = int.from_bytes(digest[:8], "big") < self.val_share * 2**64
        return 0 if drawn else length


def encode(batch: Iterable[Piece], rule: Rule, tokenizer: Tokenizer, separator: np.ndarray) -> dict[str, np.ndarray]:
    """The token ids of the batch's pieces by split, with the `separator`'s (0 or 1,) in front of each document."""
    ids: dict[str, list[np.ndarray]] = {TRAIN: [], VAL: []}
    for piece in batch:
        for split, opens, text in _stretches(piece, rule):
            ids[split] += [separator, tokenizer.encode(text)] if opens else [tokenizer.encode(text)]
    return {split: np.concatenate(parts).astype(TOKEN_DTYPE) for split, parts in ids.items() if parts}


def _stretches(piece: Piece, rule: Rule) -> Iterator[tuple[str, bool, str]]:
    """(split, whether a document begins here, text), where there is text."""
    if isinstance(piece, Text):
        yield piece.split, piece.opens, piece.content
        return
    for line, text in json_texts(piece):
        end = rule.end_of_training(piece.file, line, len(text))
        for split, part in ((TRAIN, text[:end]), (VAL, text[end:])):
            if part:
                yield split, True, part
