"""A trained model as a folder that transformers loads: Hugging Face's layout, and GPT-2's tokenizer if it has that."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiktoken.load import read_file_cached

from tinygrad_gpt.checkpoint import State, load_model, load_state
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.network import call_within
from tinygrad_gpt.options import check_types, option, require
from tinygrad_gpt.paths import sync
from tinygrad_gpt.pretrained import CONFIG
from tinygrad_gpt.runs import BEST, LAST, holds_run, latest_run
from tinygrad_gpt.tokenizer import END_OF_TEXT, FETCH_TIMEOUT, VOCAB_BPE_SHA256, GPT2Tokenizer

# Where tiktoken itself gets GPT-2's vocabulary, and the name under which it keeps it.
VOCAB_BPE_URL = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/vocab.bpe"
CHARACTERS = "characters.json"


@dataclass(frozen=True)
class ExportConfig:
    """Which checkpoint goes where. Raises `InputError` for a value that cannot work."""

    to: Literal["hf"] = option("hf", "Layout of the folder: Hugging Face's, which transformers loads.")
    out_dir: str | None = option(None, "Run folder. [default: the latest run]")
    checkpoint: Literal["best", "last"] = option("best", "best: of the lowest validation loss so far, or last.")
    folder: str | None = option(None, "Folder to write.")
    overwrite: bool = option(False, "Replace the exported model that the folder already holds.")

    def __post_init__(self):
        check_types(self)
        require(self.folder is not None, "Pass --folder=PATH: the folder to write.")


def export(config: ExportConfig) -> None:
    """Write the folder, complete or not at all, and say how it is loaded."""
    assert config.folder is not None  # the settings have been checked
    _refuse_to_replace(Path(config.folder), config.overwrite)
    folder = Path(config.folder).resolve()
    run = latest_run() if config.out_dir is None else Path(config.out_dir)
    if not holds_run(run):
        raise InputError(f"--out_dir={run} holds no run: train one first, or name another folder.")
    checkpoint = run / BEST if config.checkpoint == BEST and (run / BEST).exists() else run / LAST
    state = load_state(checkpoint)
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("new", "old"))
    try:
        new.mkdir(parents=True)
        load_model(checkpoint, state).save_pretrained(new)
        about_tokenizer = _write_tokenizer(new, state)
        for path in (*new.iterdir(), new):
            sync(path)
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)
        sync(folder.parent)
    finally:
        if old.exists() and not folder.exists():  # stopped between the two renames
            os.rename(old, folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    print(
        f"Wrote {checkpoint} (iteration {state.iteration}) to {config.folder}: load it with "
        f'transformers.GPT2LMHeadModel.from_pretrained("{config.folder}"); {about_tokenizer}.'
    )


def _refuse_to_replace(folder: Path, overwrite: bool) -> None:
    """Raise `InputError` where `folder` holds anything, but with `overwrite` allow an exported model."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--folder={folder} is a file: name a folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise InputError(f"--folder={folder} is not empty: name another folder, or replace it with --overwrite=True.")
    if not (folder / CONFIG).is_file():
        raise InputError(f"--folder={folder} holds something else than an exported model, and is not replaced.")


def _write_tokenizer(folder: Path, state: State) -> str:
    """Write what turns text into the model's tokens into `folder`; returns a clause that says what that is."""
    if state.tokenizer["kind"] != GPT2Tokenizer.kind:
        ids = {character: n for n, character in enumerate(state.tokenizer["characters"])}
        (folder / CHARACTERS).write_text(json.dumps(ids, indent=0), "utf-8")
        return f"transformers has no tokenizer of single characters, {CHARACTERS} has the token of each"
    merges = _merges(state.tokenizer["vocab_file"])
    if merges is None:
        return 'its tokenizer is GPT2Tokenizer.from_pretrained("gpt2"), whose files are not on this machine'
    (folder / "merges.txt").write_bytes(merges)
    ids = {token: n for n, token in enumerate(_spelled_tokens(merges.decode("utf-8")))}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), "utf-8")
    return "GPT2Tokenizer.from_pretrained of the same folder gives its tokenizer"


def _merges(vocab_file: str | None) -> bytes | None:
    """GPT-2's merges.txt: the run's own file, if it is that one, else tiktoken's; None where neither is to be had."""
    if vocab_file is not None and Path(vocab_file).is_file():
        merges = Path(vocab_file).read_bytes()
        if hashlib.sha256(merges).hexdigest() == VOCAB_BPE_SHA256:
            return merges
    try:
        return call_within(FETCH_TIMEOUT, lambda: read_file_cached(VOCAB_BPE_URL, VOCAB_BPE_SHA256))
    except (OSError, ValueError):  # no network; a proxy's page in place of the file
        return None


def _spelled_tokens(merges: str) -> list[str]:
    """GPT-2's tokens in the order of their ids: the single bytes, one token a merge, the end of a text.

    A byte is spelled as its Latin-1 character where that is printable; the others, in order, from U+0100 on.
    """
    printable = [chr(b) for b in range(256) if chr(b).isprintable() and chr(b) != " "]
    others = [chr(256 + n) for n in range(256 - len(printable))]
    merged = [merge.replace(" ", "") for merge in merges.splitlines()[1:]]  # the first line is the file's version
    return [*printable, *others, *merged, END_OF_TEXT]
