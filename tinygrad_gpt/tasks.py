"""What a run learns: a task gives the training batches and says how good a model is.

Its batches are drawn from the generator that it is handed, and from nothing else, so that a run that goes on with
the same generator goes on with the same batches.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from tinygrad_gpt.calculator import Arithmetic, grade
from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.corpus import Corpus, find_corpus
from tinygrad_gpt.data import Splits, check_length, get_batch, open_dataset, prepare_splits
from tinygrad_gpt.distributed import ALONE, World
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.evaluate import estimate_loss, split_loss
from tinygrad_gpt.model import GPT
from tinygrad_gpt.tokenizer import CharTokenizer, GPT2Tokenizer, Tokenizer

WHOLE_VALIDATION_TOKENS = 500_000  # up to this size the last validation covers the whole split
EXAMINATION = 2000  # problems in the calculator's last validation
SHOWN_STRANGERS = 10


class Task(Protocol):
    """Training batches and validation."""

    tokenizer: Tokenizer
    source: str  # one line: where the data comes from
    fingerprint: str  # two tasks with the same one have the same data

    def batch(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Token ids x and targets y, both (B, T), int64; a target of -1 does not count."""

    def validate(self, model: GPT, world: World = ALONE) -> dict[str, float]:
        """`train_loss` and `val_loss` in nats a token, on the same batches each time, which the processes share."""

    def last_words(self, model: GPT, world: World = ALONE) -> str | None:
        """A more thorough validation, for the end of a run, as a line."""


class Text:
    """Predict the next token of a text."""

    def __init__(self, config: TrainConfig, splits: Splits, fingerprint: str):
        check_length(splits, config.block_size)
        self.config, self.splits, self.fingerprint = config, splits, fingerprint
        self.tokenizer, self.source = splits.tokenizer, splits.source

    def batch(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return get_batch(self.splits.train, self.config.batch_size, self.config.block_size, generator)

    def validate(self, model: GPT, world: World = ALONE) -> dict[str, float]:
        config = self.config
        settings = {"batch_size": config.batch_size, "block_size": config.block_size}
        settings |= {"eval_iters": config.eval_iters, "seed": config.seed}
        return {
            "train_loss": estimate_loss(model, self.splits.train, **settings, world=world),
            "val_loss": estimate_loss(model, self.splits.val, **settings, world=world),
        }

    def last_words(self, model: GPT, world: World = ALONE) -> str | None:
        tokens = self.splits.val
        if len(tokens) > WHOLE_VALIDATION_TOKENS:
            return None
        loss = split_loss(model, tokens, world)
        return f"validation loss: {loss:.4f} (the whole validation split, {len(tokens):,} tokens)"


class Calculator:
    """Answer arithmetic problems; validation is on problems that are never trained on."""

    def __init__(self, config: TrainConfig):
        self.config = config
        self.arithmetic = Arithmetic(config.digits, config.operators)
        self.tokenizer: Tokenizer = self.arithmetic.tokenizer
        self.fingerprint = f"calculator {config.digits} {config.operators}"
        self.source = f"made as needed: problems with {config.operators} and numbers of up to {config.digits} digits"

    def batch(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self.arithmetic.encode(self.arithmetic.draw(self.config.batch_size, generator))

    def validate(self, model: GPT, world: World = ALONE) -> dict[str, float]:
        """Also `val_accuracy`: the share of answers that are right to the last digit. Every process grades them all."""
        generator = np.random.default_rng([self.config.seed, 1])  # another stream than the training batches'
        count = self.config.batch_size * self.config.eval_iters
        draw, encode = self.arithmetic.draw, self.arithmetic.encode
        train_loss, _ = grade(model, *encode(draw(count, generator)))
        val_loss, accuracy = grade(model, *encode(draw(count, generator, validation=True)))
        return {"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": accuracy}

    def last_words(self, model: GPT, world: World = ALONE) -> str | None:
        """The hardest problems: numbers of full length, each operator by itself."""
        generator = np.random.default_rng([self.config.seed, 2])
        shares = []
        for operator in self.config.operators:
            arithmetic = Arithmetic(self.config.digits, operator)
            problems = arithmetic.draw(EXAMINATION, generator, validation=True, full_length=True)
            _, accuracy = grade(model, *self.arithmetic.encode(problems))
            shares.append(f"{operator} {accuracy:.2%}")
        return (
            f"right answers to problems never trained on, both numbers of {self.config.digits} digits, "
            f"{EXAMINATION:,} of each kind: {', '.join(shares)}"
        )


def make_task(config: TrainConfig, tokenizer: Tokenizer | None = None, fingerprint: str | None = None) -> Task:
    """The task that `config` names.

    `tokenizer` is the one that loaded weights are used to; without it the text decides, or `config`.
    `fingerprint` is the data that a resumed run had. Raises `InputError` where the data is missing or another.
    """
    if config.task == "calculator":
        task = Calculator(config)
        _require_same_tokenizer(config, task.tokenizer, tokenizer)
        return task
    if config.dataset is not None:
        splits = open_dataset(Path(config.dataset))
        _require_same_data(config, splits.fingerprint, fingerprint)
        _require_same_tokenizer(config, splits.tokenizer, tokenizer)
        return Text(config, splits, splits.fingerprint)
    corpus = find_corpus(config.input, fingerprint)
    _require_same_data(config, corpus.sha256, fingerprint)
    if tokenizer is None:
        tokenizer = _new_tokenizer(config, corpus)
    elif isinstance(tokenizer, CharTokenizer):
        _require_known_characters(corpus, tokenizer)
    return Text(config, prepare_splits(corpus, tokenizer), corpus.sha256)


def _require_same_data(config: TrainConfig, found: str, fingerprint: str | None) -> None:
    if fingerprint not in (None, found):
        option = "dataset" if config.dataset else "input"
        raise InputError(f"The run in {config.out_dir} had another text: pass that one with --{option}=PATH.")


def _new_tokenizer(config: TrainConfig, corpus: Corpus) -> Tokenizer:
    if config.tokenizer == "gpt2":
        return GPT2Tokenizer(config.vocab_file)
    return CharTokenizer.from_text(corpus.text)


def _require_same_tokenizer(config: TrainConfig, data: Tokenizer, weights: Tokenizer | None) -> None:
    """Two GPT-2 tokenizers are the same wherever their vocabulary lies; two char ones with the same characters."""
    if weights is None or data.kind == weights.kind == GPT2Tokenizer.kind or data.to_dict() == weights.to_dict():
        return
    data_name = f"the data set {config.dataset}" if config.dataset else "the calculator"
    raise InputError(
        f"The weights of {config.init_from} know {weights.vocab_size:,} {weights.kind} tokens, {data_name} has "
        f"{data.vocab_size:,} {data.kind} tokens that are not the same: they cannot be used together."
    )


def _require_known_characters(corpus: Corpus, tokenizer: CharTokenizer) -> None:
    strangers = sorted(set(corpus.text) - set(tokenizer.characters))
    if strangers:
        named = ", ".join(map(repr, strangers[:SHOWN_STRANGERS])) + (" …" if len(strangers) > SHOWN_STRANGERS else "")
        raise InputError(
            f"The text has {len(strangers)} characters that the loaded weights have no token for: {named}. "
            "Take them out of the text, or train the first model on a text that has them."
        )
