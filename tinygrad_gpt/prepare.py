"""`tinygrad-gpt prepare`: files of any size and number to a dataset, in bounded memory and on all processors.

The files are read twice. The first pass checks them all, counts their documents and characters, and finds the
characters that a char tokenizer needs; the second one encodes. In both, this process reads, and cuts what it reads
into batches of about a megabyte; worker processes take those and give back counts or token ids. The results arrive in
order, and what decides a split is a document's number, so the dataset does not depend on how many workers there are.
"""

import shlex
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tinygrad_gpt.data import TRAIN, VAL, VAL_SHARE, holds_dataset, remove_leftovers, write_dataset
from tinygrad_gpt.documents import Lines, Piece, Rule, Survey, Text, encode, survey
from tinygrad_gpt.errors import InputError, Interrupted
from tinygrad_gpt.options import check_types, option, require
from tinygrad_gpt.paths import locked
from tinygrad_gpt.sources import Source, find_sources, read_lines, read_text
from tinygrad_gpt.tokenizer import CharTokenizer, GPT2Tokenizer, Tokenizer
from tinygrad_gpt.workers import Workers, processors

FEW_DOCUMENTS = 100  # up to here each document is cut in two; beyond, whole ones go to one split or the other
BATCH_SIZE = 1 << 20  # characters of text, bytes of JSON lines
WORTH_A_PROCESS = 8 << 20  # bytes of input; with fewer, processes take longer to start than to work
MOST_CHARACTERS = 1 << 16  # that 16-bit ids can number

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class PrepareConfig:
    """What becomes of the files. Raises `InputError` for a value that cannot work."""

    out_dir: str | None = option(None, "Folder for train.tokens and val.tokens; always needed.")
    overwrite: bool = option(False, "Replace the dataset that out_dir already holds.")
    tokenizer: Literal["char", "gpt2"] = option("char", "One token a character, or GPT-2's byte pairs.")
    vocab_file: str | None = option(
        None, "GPT-2's vocab.bpe, merges.txt or r50k_base.tiktoken, where tiktoken cannot fetch it."
    )
    text_key: str = option("text", "Key of the text in each object of a .jsonl file.")
    val_share: float = option(VAL_SHARE, "Share of the characters, or of the documents, that validates.")
    seed: int = option(1337, "Seed that decides which documents validate, where there are many.")
    workers: int | None = option(None, "Processes that share the work; the result is the same. [default: one a CPU]")

    def __post_init__(self):
        check_types(self)
        require(self.out_dir is not None, "Pass --out_dir=FOLDER: train.tokens and val.tokens are written there.")
        require(0.0 < self.val_share < 1.0, f"val_share must be between 0 and 1, got {self.val_share}.")
        require(self.seed >= 0, f"seed must not be negative, got {self.seed}.")
        require(self.workers is None or self.workers >= 1, f"workers must be at least 1, got {self.workers}.")
        require(
            self.vocab_file is None or self.tokenizer == "gpt2",
            "vocab_file is the vocabulary of --tokenizer=gpt2; a char tokenizer finds its own in the text.",
        )


HELP = f"""Make token files for `train --dataset` of text of any size.

INPUT is a text file (UTF-8), a folder with all the files below it, or a pattern like "books/**/*.txt". A .jsonl file
holds one JSON object a line. Either may be compressed (.gz, .zst).

Each text file and each JSON object is a document. Of one document, and of each of up to {FEW_DOCUMENTS}, the first
90 % of the characters train and the rest validates. Of more, each document trains or validates as a whole, by a
seeded draw. Between two documents stands <|endoftext|>, or with --tokenizer=char a line break."""


def prepare(inputs: tuple[str, ...], config: PrepareConfig) -> None:
    """Write the dataset of the files that `inputs` name into `config.out_dir`; HELP has the rules.

    Raises `InputError` (files, folder or settings cannot be used), `RunError` (the disk is full, a worker is gone)
    and `Interrupted` (Ctrl-C). None of them changes the dataset that the folder held.
    """
    folder = Path(str(config.out_dir))
    sources = find_sources(inputs)
    _check_folder(folder, inputs, config.overwrite)
    tokenizer = GPT2Tokenizer(config.vocab_file) if config.tokenizer == "gpt2" else None
    workers = config.workers or (processors() if sum(source.size for source in sources) > WORTH_A_PROCESS else 1)
    try:
        with locked(folder), Workers(workers) as pool, _progress_bar() as bar:
            remove_leftovers(folder)
            _make(folder, inputs, sources, config, tokenizer, pool, bar)
    except KeyboardInterrupt:
        raise Interrupted(f"Stopped; {folder} is as it was before.", signal.SIGINT) from None
    console.print(f"to train on it: tinygrad-gpt train --dataset={shlex.quote(str(folder))}")


def _make(
    folder: Path,
    inputs: tuple[str, ...],
    sources: list[Source],
    config: PrepareConfig,
    tokenizer: Tokenizer | None,
    workers: Workers,
    bar: Progress,
) -> None:
    found = Survey()
    pieces = _pieces(sources, config.text_key, _advance(bar, "reading", sources))
    for seen in workers.map(survey, _batches(pieces)):
        found.add(seen)
    if not found.characters:
        raise InputError(f"{_names(inputs)}: there is no text in it.")
    text = f"{_names(inputs)}: {found.characters:,} characters"
    text += f" in {found.documents:,} documents" if found.documents > 1 else ""
    console.print(f"text: {text}", markup=False)

    tokenizer = tokenizer or _char_tokenizer(found)
    rule = Rule(found.documents <= FEW_DOCUMENTS, config.val_share, config.seed)
    separator = tokenizer.encode(tokenizer.separator if found.documents > 1 else "")
    pieces = _pieces(sources, config.text_key, _advance(bar, "encoding", sources))
    pieces = _split(pieces, rule, found.lengths, tokenizer)
    with write_dataset(folder, tokenizer, text) as writers:
        for ids in workers.map(partial(encode, rule=rule, tokenizer=tokenizer, separator=separator), _batches(pieces)):
            for split, part in ids.items():  # the first document has none before it
                writers[split].write(part if writers[split].count else part[len(separator) :])
        for split, name in ((TRAIN, "training"), (VAL, "validation")):
            if not writers[split].count:
                raise InputError(
                    f"The {name} split would be empty: val_share={config.val_share} of {text} leaves it nothing. "
                    "Try another --val_share, or more text."
                )
    counts = ", ".join(f"{writers[split].count:,} tokens in {split}.tokens" for split in (TRAIN, VAL))
    console.print(f"dataset: {counts}; {tokenizer.vocab_size:,} different ones ({tokenizer.kind})", markup=False)


def _check_folder(folder: Path, inputs: tuple[str, ...], overwrite: bool) -> None:
    for name in inputs:
        if Path(name).is_dir() and folder.resolve().is_relative_to(Path(name).resolve()):
            raise InputError(
                f"--out_dir={folder} lies in the input folder {name}, whose files it would join: choose one outside."
            )
    if holds_dataset(folder) and not overwrite:
        raise InputError(
            f"{folder} already holds a dataset: replace it with --overwrite=True, or choose another --out_dir."
        )


def _names(inputs: tuple[str, ...]) -> str:
    """The inputs in a few words: a shell may have turned a pattern into thousands."""
    return ", ".join(inputs) if len(inputs) <= 3 else f"{inputs[0]} and {len(inputs) - 1:,} more"


def _char_tokenizer(found: Survey) -> CharTokenizer:
    characters = set(map(chr, found.alphabet.tolist()))
    if found.documents > 1:
        characters.add(CharTokenizer.separator)
    if len(characters) > MOST_CHARACTERS:
        raise InputError(
            f"The text has {len(characters):,} different characters, but token files number no more than "
            f"{MOST_CHARACTERS:,}: use --tokenizer=gpt2."
        )
    return CharTokenizer("".join(sorted(characters)))


def _pieces(sources: list[Source], key: str, advance: Callable[[int], Any]) -> Iterator[Piece]:
    """The files in pieces as they are read."""
    for number, source in enumerate(sources):
        if source.is_jsonl:
            line = 1
            for lines in read_lines(source, advance):
                yield Lines(number, lines, source.path, line, key)
                line += lines.count(b"\n")
        else:
            yield from (Text(number, text) for text in read_text(source, advance) if text)


def _split(pieces: Iterable[Piece], rule: Rule, lengths: dict[int, int], tokenizer: Tokenizer) -> Iterator[Piece]:
    """The pieces again, with text files cut where the split ends, and else where the tokenizer can bear it.

    JSON lines are passed on: who reads them knows their texts, and applies the rule to each.
    """
    for number, of_file in groupby(pieces, lambda piece: piece.file):
        if number not in lengths:
            yield from of_file
            continue
        end = rule.end_of_training(number, 0, lengths[number])
        for split, part in groupby(
            _cut((piece.content for piece in of_file if isinstance(piece, Text)), end), itemgetter(0)
        ):
            opens = True
            for text in tokenizer.pieces(text for _, text in part):
                yield Text(number, text, split, opens)
                opens = False


def _cut(texts: Iterable[str], end: int) -> Iterator[tuple[str, str]]:
    """(split, text): the first `end` characters of a file train, the others validate."""
    seen = 0
    for text in texts:
        here = min(max(end - seen, 0), len(text))
        if here:
            yield TRAIN, text[:here]
        if here < len(text):
            yield VAL, text[here:]
        seen += len(text)


def _batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece.content)
        if size >= BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True)


def _advance(bar: Progress, what: str, sources: list[Source]) -> Callable[[int], Any]:
    """A function that moves a new line of the bar on by so many bytes."""
    task = bar.add_task(what, total=sum(source.size for source in sources))
    return partial(bar.advance, task)
