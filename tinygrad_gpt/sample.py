"""Text from a trained model, printed while it is made."""

import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tensor
from tinygrad_gpt.calculator import Arithmetic
from tinygrad_gpt.decoding import Decoding
from tinygrad_gpt.errors import InputError, Interrupted
from tinygrad_gpt.model import GPT
from tinygrad_gpt.options import check_types, option, require
from tinygrad_gpt.text_stream import TextStream
from tinygrad_gpt.tokenizer import END_OF_TEXT, CharTokenizer, GPT2Tokenizer, Tokenizer
from tinygrad_gpt.trained import open_trained

RULE = "-" * 40  # between two samples
CACHE_BYTES = 1 << 30  # memory for the keys and values of the samples that are drawn side by side


@dataclass(frozen=True)
class SampleConfig:
    """What to draw, and from which model. Raises `InputError` for a value that cannot work."""

    out_dir: str | None = option(
        None, "Run folder; its best checkpoint speaks. [default: the latest run]", group="Model"
    )
    init_from: str | None = option(
        None, "Instead of a run: gpt2, gpt2-medium, gpt2-large, gpt2-xl or the folder of a GPT-2 or of a checkpoint."
    )
    vocab_file: str | None = option(
        None, "GPT-2's vocab.bpe, merges.txt or r50k_base.tiktoken, where tiktoken cannot fetch it."
    )
    device: Literal["cpu", "cuda"] = option("cpu", "Where to compute.")

    start: str | None = option(None, "Text to continue, or FILE:PATH to read it. [default: a new line]", group="Text")
    num_samples: int = option(1, "Texts to draw; the first appears as it is drawn, the others after it.")
    max_new_tokens: int = option(500, "Tokens to draw for each.")
    stop: str | None = option(
        None, f"Token that ends a text; empty for none. [default: {END_OF_TEXT} with GPT-2's tokens]"
    )

    temperature: float = option(0.8, "Below 1 more predictable, above 1 less; 0 for no chance at all.", group="Chance")
    top_k: int | None = option(200, "Draw from the k likeliest tokens only; 0 for all.")
    top_p: float | None = option(None, "Draw from the fewest tokens that reach this probability.")
    repetition_penalty: float = option(1.0, "Above 1, tokens that the text holds already are less likely.")
    seed: int = option(1337, "Seed of the draws.")

    def __post_init__(self):
        check_types(self)
        require(self.num_samples >= 1, f"num_samples must be at least 1, got {self.num_samples}.")
        require(self.max_new_tokens >= 1, f"max_new_tokens must be at least 1, got {self.max_new_tokens}.")
        require(self.temperature >= 0.0, f"temperature must not be negative, got {self.temperature}.")
        require(self.top_k is None or self.top_k >= 0, f"top_k must not be negative, got {self.top_k}.")
        require(self.top_p is None or 0.0 < self.top_p <= 1.0, f"top_p must be in (0, 1], got {self.top_p}.")
        require(self.repetition_penalty > 0.0, f"repetition_penalty must be above 0, got {self.repetition_penalty}.")
        require(self.seed >= 0, f"seed must not be negative, got {self.seed}.")


def sample(config: SampleConfig) -> None:
    """Print `num_samples` texts, a line of dashes between them. `Interrupted` after Ctrl-C."""
    trained = open_trained(config.out_dir, config.init_from, config.vocab_file, config.device)
    model, tokenizer = trained.model, trained.tokenizer
    if trained.state is not None and trained.state.config["task"] == "calculator":
        arithmetic = Arithmetic(trained.state.config["digits"], trained.state.config["operators"])
        print(arithmetic.answer(model, config.start or ""))
        return
    start = _start(config.start, tokenizer)
    stops = _stop_tokens(config.stop, tokenizer)
    ids = tokenizer.encode(start)  # (T,)
    if len(ids) > model.config.block_size:
        print(
            f"The start has {len(ids):,} tokens, but the model sees {model.config.block_size:,}: only its end counts.",
            file=sys.stderr,
        )
    prompt = tensor.from_numpy(ids[None, :]).to(config.device)  # (1, T)
    decoding = Decoding(config.temperature, config.top_k or None, config.top_p, config.repetition_penalty)
    tensor.manual_seed(config.seed)
    at_once = min(config.num_samples, _samples_at_once(model, len(ids) + config.max_new_tokens))
    try:
        for first in range(0, config.num_samples, at_once):
            count = min(at_once, config.num_samples - first)
            steps = model.stream(prompt, config.max_new_tokens, decoding, stops, num_samples=count)
            if first:
                _write(f"{RULE}\n")
            for text in in_turn((step.tolist() for step in steps), start, count, stops, tokenizer):
                _write(text)
    except KeyboardInterrupt:
        _write("\n")
        raise Interrupted("Stopped.", signal.SIGINT) from None


def in_turn(
    steps: Iterator[list[int]], start: str, count: int, stops: Sequence[int], tokenizer: Tokenizer
) -> Iterator[str]:
    """What to print of `count` samples that grow side by side, one token each a step.

    One sample is shown as it grows. When it has ended, or no step is left, the next one is shown, first what it has
    grown to meanwhile.
    """
    streams = [TextStream(tokenizer) for _ in range(count)]
    waiting = [start] * count  # text that is not shown yet
    ended = [False] * count
    shown = 0  # the sample that is being shown
    yield waiting[0]
    waiting[0] = ""
    for tokens in steps:
        for number, token in enumerate(tokens):
            ended[number] |= token in stops
            if not ended[number] and token < tokenizer.vocab_size:  # a model may have room for more tokens than exist
                waiting[number] += streams[number].add([token])
        while ended[shown] and shown < count - 1:
            yield f"{waiting[shown]}{streams[shown].finish()}\n{RULE}\n"
            shown += 1
        yield waiting[shown]
        waiting[shown] = ""
    rest = [text + stream.finish() for text, stream in zip(waiting, streams, strict=True)]
    yield f"\n{RULE}\n".join(rest[shown:]) + "\n"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _samples_at_once(model: GPT, tokens: int) -> int:
    """How many samples of so many tokens may have their keys and values in memory together."""
    config, itemsize = model.config, model.lm_head.weight.dtype.itemsize
    each = 2 * config.n_layer * config.n_embd * min(tokens, config.block_size) * itemsize
    return max(1, CACHE_BYTES // max(each, 1))


def _stop_tokens(stop: str | None, tokenizer: Tokenizer) -> list[int]:
    if stop is None:
        stop = END_OF_TEXT if isinstance(tokenizer, GPT2Tokenizer) else ""
    ids = tokenizer.encode(stop).tolist()
    if len(ids) > 1:
        raise InputError(f"--stop={stop!r} is {len(ids)} of the model's tokens, and must be one.")
    return ids


def _start(start: str | None, tokenizer: Tokenizer) -> str:
    if start is None:
        if isinstance(tokenizer, CharTokenizer) and "\n" not in tokenizer.characters:
            return tokenizer.characters[0]
        return "\n"
    if start.startswith("FILE:"):
        path = start.removeprefix("FILE:")
        try:
            start = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--start: the file {path} cannot be read: {error}.") from None
    if not start:
        raise InputError("--start is empty: the model needs at least one token to continue.")
    return start
