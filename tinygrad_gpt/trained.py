"""A trained model and its tokenizer, from wherever it lies: one of our run folders, a GPT-2's name or folder."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tinygrad_gpt.checkpoint import STATE, State, find, load_model, load_newest, load_state, load_tokenizer
from tinygrad_gpt.device import check_device
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.export import CHARACTERS
from tinygrad_gpt.model import GPT
from tinygrad_gpt.options import nearest, require
from tinygrad_gpt.pretrained import HUB, find_vocabulary
from tinygrad_gpt.runs import BEST, LAST, holds_run, latest_run
from tinygrad_gpt.tokenizer import CharTokenizer, GPT2Tokenizer, Tokenizer


@dataclass(frozen=True)
class Trained:
    model: GPT  # in evaluation mode
    tokenizer: Tokenizer
    source: str  # where it comes from, for people
    state: State | None  # of a checkpoint; None for a GPT-2 from elsewhere


def open_trained(
    out_dir: str | None = None,
    init_from: str | None = None,
    vocab_file: str | None = None,
    device: str = "cpu",
    dropout: float = 0.0,
) -> Trained:
    """The model to work with, on `device`.

    Args:
        out_dir: a run folder, whose best checkpoint counts; the latest run if neither it nor init_from is given.
        init_from: gpt2, gpt2-medium, gpt2-large, gpt2-xl, the folder of a GPT-2, a run folder or a checkpoint in one.
        vocab_file: GPT-2's vocabulary, where it is not found beside the model or through tiktoken.
        dropout: the model's in training mode, whatever it was trained with before.
    Raises InputError where there is no such model, or it cannot be used.
    """
    require(out_dir is None or init_from is None, "--out_dir and --init_from both name a model: pass one of them.")
    check_device(device)
    if init_from is None:
        run = latest_run() if out_dir is None else Path(out_dir)
        require(holds_run(run), f"--out_dir={run} holds no run: train one first, or name another folder.")
        checkpoints = [run / BEST, run / LAST]
    else:
        folder = Path(init_from)
        checkpoints = [path for path in (folder / BEST, folder / LAST, folder) if (find(path) / STATE).is_file()]
    if checkpoints:
        trained, damaged = load_newest(checkpoints, lambda path: _open_checkpoint(path, vocab_file, dropout))
        for error in damaged:
            print(f"{error} {trained.source} takes its place.", file=sys.stderr)
    else:
        trained = _open_gpt2(str(init_from), vocab_file, dropout)
    model, tokenizer = trained.model, trained.tokenizer
    require(
        tokenizer.vocab_size <= model.config.vocab_size,
        f"The model in {trained.source} has {model.config.vocab_size:,} tokens, but its tokenizer "
        f"{tokenizer.vocab_size:,}: it was trained with another one.",
    )
    model.to(device).eval()
    return trained


def _open_checkpoint(folder: Path, vocab_file: str | None, dropout: float) -> Trained:
    state = load_state(folder)
    if vocab_file is None:
        tokenizer = load_tokenizer(state)
    else:
        _require_gpt2(state.tokenizer["kind"], folder)
        tokenizer = GPT2Tokenizer(vocab_file)
    model = load_model(folder, replace(state, model=state.model | {"dropout": dropout}))
    return Trained(model, tokenizer, str(folder), state)


def _open_gpt2(source: str, vocab_file: str | None, dropout: float) -> Trained:
    if source not in HUB and not Path(source).is_dir():
        raise InputError(f"--init_from={source} is no folder and none of {', '.join(HUB)}{nearest(source, list(HUB))}.")
    model = GPT.from_pretrained(source, dropout=dropout)
    return Trained(model, _gpt2_tokenizer(source, vocab_file), source, None)


def _gpt2_tokenizer(source: str, vocab_file: str | None) -> Tokenizer:
    """What `tinygrad-gpt export` or somebody else left beside the weights, or GPT-2's own."""
    characters = Path(source) / CHARACTERS
    if characters.is_file():
        if vocab_file is not None:
            _require_gpt2(CharTokenizer.kind, Path(source))
        ids = json.loads(characters.read_text("utf-8"))
        return CharTokenizer("".join(sorted(ids, key=ids.get)))
    vocabulary = vocab_file or find_vocabulary(source)
    return GPT2Tokenizer(str(vocabulary) if vocabulary else None)


def _require_gpt2(kind: str, folder: Path) -> None:
    require(kind == GPT2Tokenizer.kind, f"--vocab_file is GPT-2's vocabulary; {folder} was trained on {kind} tokens.")
