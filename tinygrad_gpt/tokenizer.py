"""Text to token ids and back: one id a character, or GPT-2's byte-pair encoding."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import tiktoken

from tinygrad_gpt.errors import InputError
from tinygrad_gpt.network import call_within

GPT2_VOCAB_SIZE = 50257
END_OF_TEXT = "<|endoftext|>"
VOCAB_BPE_SHA256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
R50K_SHA256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
# How GPT-2 cuts text before it merges bytes: contractions, words, numbers, signs (each may take the blank
# before it), blanks.
GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
# Everything up to the last place where a blank follows what is none. Python's \S leaves out four control characters
# more than the pattern above does, so what it finds is never a blank to GPT-2.
BEFORE_LAST_BLANK = re.compile(r".*\S(?=[ \n])", re.DOTALL)
LONGEST_STRETCH = 1 << 24  # characters without such a place that are still encoded as a whole, in gigabytes of memory
FETCH_TIMEOUT = 60.0  # seconds for tiktoken to fetch the 1.5 MB of GPT-2's vocabulary


class CharTokenizer:
    """One token a character; ids count the characters of the training text in Unicode order.

    >>> CharTokenizer.from_text("hello").encode("hole")
    array([1, 3, 2, 0])
    """

    kind = "char"
    separator = "\n"  # what a dataset has between two documents

    def __init__(self, characters: str):
        self.characters = characters
        codes = code_points(characters)
        self._ids = np.full(codes.max(initial=0) + 2, -1)  # by code point; the last entry is for all beyond
        self._ids[codes] = np.arange(len(codes))

    @classmethod
    def from_text(cls, text: str) -> "CharTokenizer":
        return cls("".join(map(chr, np.unique(code_points(text)))))

    @property
    def vocab_size(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Token ids, int64 (len(text),). Raises `InputError` for a character without an id."""
        codes = code_points(text)
        ids = self._ids[np.minimum(codes, len(self._ids) - 1)]
        if ids.min(initial=0) < 0:
            stranger = chr(codes[np.argmin(ids)])
            raise InputError(
                f"The character {stranger!r} (U+{ord(stranger):04X}) is not one of the {self.vocab_size} "
                "characters of the training text, so the model has no token for it."
            )
        return ids

    def pieces(self, blocks: Iterable[str]) -> Iterator[str]:
        """The text of `blocks` in pieces that may be encoded one by one: any will do."""
        yield from blocks

    def decode(self, ids) -> str:
        return "".join(self.characters[i] for i in ids)

    def to_dict(self) -> dict:
        return {"kind": self.kind, "characters": self.characters}

    def __reduce__(self):
        return _unpickled, (json.dumps(self.to_dict()),)


class GPT2Tokenizer:
    """GPT-2's byte-pair encoding, 50,257 tokens; `<|endoftext|>` in a text is the one special token.

    The vocabulary comes from `vocab_file` (GPT-2's `vocab.bpe`, the same bytes as Hugging Face's
    `merges.txt`, or `r50k_base.tiktoken`), else through tiktoken, which keeps what it fetched.
    """

    kind = "gpt2"
    separator = END_OF_TEXT  # what a dataset has between two documents
    vocab_size = GPT2_VOCAB_SIZE

    def __init__(self, vocab_file: str | None = None):
        self.vocab_file = str(Path(vocab_file).absolute()) if vocab_file else None
        self._encoding = _fetched_encoding() if vocab_file is None else _encoding_from(Path(vocab_file))

    def encode(self, text: str) -> np.ndarray:
        """Token ids, int64 (number of tokens,)."""
        return np.array(self._encoding.encode(text, allowed_special={END_OF_TEXT}), dtype=np.int64)

    def pieces(self, blocks: Iterable[str]) -> Iterator[str]:
        """The text of `blocks` in pieces whose ids, one after the other, are exactly those of the whole text.

        GPT-2 first cuts a text into words by GPT2_PATTERN and then encodes each for itself, so a text may be cut
        wherever a word ends. One always ends between a character that is no blank and a blank: a blank can only be
        the first character of a word, or stand in a word of blanks alone. And the words before that place are the
        same whether or not the text goes on: they stop at a blank as they stop at the end, and the pattern looks
        ahead only behind a run of blanks, at a character that is here in either case. `<|endoftext|>` has no blank.

        Only a stretch of LONGEST_STRETCH characters without such a place is cut where it happens to end.
        """
        rest = ""
        for block in blocks:
            text = rest + block
            match = BEFORE_LAST_BLANK.match(text, max(len(rest) - 1, 0))  # there is none before
            end = match.end() if match else len(text) if len(text) >= LONGEST_STRETCH else 0
            if end:
                yield text[:end]
            rest = text[end:]
        if rest:
            yield rest

    def decode(self, ids) -> str:
        return self._encoding.decode([int(i) for i in ids])

    def to_dict(self) -> dict:
        return {"kind": self.kind, "vocab_file": self.vocab_file}

    def __reduce__(self):
        return _unpickled, (json.dumps(self.to_dict()),)


Tokenizer = CharTokenizer | GPT2Tokenizer


def tokenizer_from_dict(state: dict) -> Tokenizer:
    """The tokenizer that `to_dict` described, from a checkpoint or a token file."""
    if state["kind"] == CharTokenizer.kind:
        return CharTokenizer(state["characters"])
    vocab_file = state["vocab_file"]  # it may be gone since; tiktoken can still have the vocabulary
    return GPT2Tokenizer(vocab_file if vocab_file and Path(vocab_file).exists() else None)


@lru_cache(maxsize=1)
def _unpickled(state: str) -> Tokenizer:
    """One tokenizer a process, however often it is handed over: a vocabulary takes a while to read."""
    return tokenizer_from_dict(json.loads(state))


def code_points(text: str) -> np.ndarray:
    """The Unicode numbers of the characters, uint32 (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _fetched_encoding() -> tiktoken.Encoding:
    try:
        return call_within(FETCH_TIMEOUT, lambda: tiktoken.get_encoding("gpt2"))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
        raise InputError(
            "GPT-2's vocabulary is not on this machine and could not be fetched. Connect to the internet "
            "once (tiktoken keeps it), or set TIKTOKEN_CACHE_DIR to a folder that holds it, or pass "
            "--vocab_file=PATH with GPT-2's vocab.bpe, a Hugging Face merges.txt or an r50k_base.tiktoken."
        ) from error


def _encoding_from(path: Path) -> tiktoken.Encoding:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"--vocab_file={path} cannot be read: {error.strerror}.") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest == VOCAB_BPE_SHA256:
        ranks = _ranks_of_merges(data.decode("utf-8"))
    elif digest == R50K_SHA256:
        ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}
    else:
        raise InputError(
            f"--vocab_file={path} is not GPT-2's vocabulary: its SHA-256 is {digest[:12]}…, but vocab.bpe "
            f"(and merges.txt) has {VOCAB_BPE_SHA256[:12]}… and r50k_base.tiktoken {R50K_SHA256[:12]}…."
        )
    return tiktoken.Encoding(
        name="gpt2",
        pat_str=GPT2_PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: GPT2_VOCAB_SIZE - 1},
        explicit_n_vocab=GPT2_VOCAB_SIZE,
    )


def _ranks_of_merges(merges: str) -> dict[bytes, int]:
    """Token bytes to rank from `vocab.bpe`: the 256 bytes first, then one token a merge, in the file's order.

    The file spells each byte as one visible character: a printable Latin-1 character as itself, the other
    bytes, in order, as the characters from U+0100 on.
    """
    printable = [b for b in range(256) if chr(b).isprintable() and chr(b) != " "]
    others = [b for b in range(256) if b not in printable]
    byte_of = {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(others)}
    ranks = {bytes([b]): rank for rank, b in enumerate(printable + others)}
    for merge in merges.splitlines()[1:]:  # the first line is the file's version
        ranks[bytes(byte_of[character] for character in merge.replace(" ", ""))] = len(ranks)
    return ranks
