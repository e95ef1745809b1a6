"""`tinygrad-gpt eval`: how well a model predicts a text."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.progress import track

from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.corpus import find_corpus
from tinygrad_gpt.data import TokenFile, open_dataset, read_tokens
from tinygrad_gpt.errors import InputError, RunError
from tinygrad_gpt.evaluate import mean_loss, sliding_windows
from tinygrad_gpt.options import check_types, option, require
from tinygrad_gpt.tasks import Text, make_task
from tinygrad_gpt.text_stream import TextStream
from tinygrad_gpt.tokenizer import GPT2Tokenizer, Tokenizer, tokenizer_from_dict
from tinygrad_gpt.trained import Trained, open_trained

DECODED_AT_ONCE = 1 << 16  # tokens

notes = Console(stderr=True)  # stdout is for the result


@dataclass(frozen=True)
class EvalConfig:
    """Which model reads what. Raises `InputError` for a value that cannot work."""

    out_dir: str | None = option(
        None, "Run folder; its best checkpoint reads. [default: the latest run]", group="Model"
    )
    init_from: str | None = option(
        None, "Instead of a run: gpt2, gpt2-medium, gpt2-large, gpt2-xl or the folder of a GPT-2 or of a checkpoint."
    )
    vocab_file: str | None = option(
        None, "GPT-2's vocab.bpe, merges.txt or r50k_base.tiktoken, where tiktoken cannot fetch it."
    )
    device: Literal["cpu", "cuda"] = option("cpu", "Where to compute.")

    input: str | None = option(None, "UTF-8 text file. [default: the run's own validation split]", group="Text")
    dataset: str | None = option(None, "Instead of a text: a folder that `tinygrad-gpt prepare` made, or a token file.")
    split: Literal["val", "train"] = option("val", "Which part of the dataset, or of the run's own text.")
    stride: int | None = option(
        None,
        "Tokens from one window to the next: the smaller, the more context each token has, and the longer it takes. "
        "[default: the model's block_size, windows side by side]",
    )

    def __post_init__(self):
        check_types(self)
        require(self.input is None or self.dataset is None, "--input and --dataset both name a text: pass one of them.")
        require(self.input is None or self.split == "val", "--split is of a dataset or of a run's own text.")
        require(self.stride is None or self.stride >= 1, f"stride must be at least 1, got {self.stride}.")


@dataclass(frozen=True)
class Score:
    """How well a model predicts a text: the mean over its tokens of -ln p(token | those before it), and what follows.

    The first token has nothing before it and does not count. exp(loss) is the perplexity: as unsure as a choice between
    so many equally likely tokens. It depends on what a token is; bits per character and byte do not.
    """

    loss: float  # nats a token
    perplexity: float
    bits_per_character: float
    bits_per_byte: float  # of the text in UTF-8
    tokens: int  # predicted
    block_size: int
    stride: int
    model: str
    text: str


def evaluate(config: EvalConfig, as_json: bool = False) -> None:
    """Print the `Score`, in lines or as one JSON object."""
    trained = open_trained(config.out_dir, config.init_from, config.vocab_file, config.device)
    tokens, text = _find_tokens(config, trained)
    score = measure(trained, tokens, text, config.stride)
    if as_json:
        print(json.dumps(asdict(score)))
        return
    context = "windows side by side" if score.stride == score.block_size else f"a new window each {score.stride:,}"
    print(f"model: {score.model}")
    print(f"text: {score.text}: {score.tokens:,} tokens predicted, from at most {score.block_size:,} ({context})")
    print(f"loss: {score.loss:.4f} nats a token, perplexity {score.perplexity:,.2f}")
    print(f"bits per character: {score.bits_per_character:.4f}, per byte of UTF-8: {score.bits_per_byte:.4f}")


def measure(trained: Trained, tokens: np.ndarray, text: str, stride: int | None = None) -> Score:
    """Score the model on token ids (N,), which `text` names. See `SlidingWindows` for what `stride` means.

    Raises `InputError` where they do not fit, and `RunError` where the loss is not finite.
    """
    model, block_size = trained.model, trained.model.config.block_size
    stride = block_size if stride is None else stride
    require(stride <= block_size, f"stride must be at most the model's block_size, {block_size:,}, got {stride:,}.")
    require(len(tokens) >= 2, f"There is nothing to predict in {text}: it takes at least 2 tokens, got {len(tokens)}.")
    windows = sliding_windows(model, tokens, stride)
    loss = mean_loss(model, track(windows, "reading", console=notes, transient=True))
    if not math.isfinite(loss):
        raise RunError(f"The loss of {trained.source} on {text} is {loss}: the model's weights are of no use.")
    predicted = len(tokens) - 1
    bits = loss * predicted / math.log(2)
    characters, size = _size_of_text(tokens[1:], trained.tokenizer)
    return Score(
        loss=loss,
        perplexity=float(np.exp(loss)),
        bits_per_character=bits / characters,
        bits_per_byte=bits / size,
        tokens=predicted,
        block_size=block_size,
        stride=stride,
        model=trained.source,
        text=text,
    )


def _find_tokens(config: EvalConfig, trained: Trained) -> tuple[np.ndarray, str]:
    """The token ids (N,), and what text they are, for people."""
    if config.input is not None:
        return trained.tokenizer.encode(find_corpus(config.input).text), config.input
    if config.dataset is not None:
        path = Path(config.dataset)
        if path.is_file():
            file: TokenFile = read_tokens(path)
            tokens, tokenizer, text = file.tokens, tokenizer_from_dict(file.tokenizer), str(path)
        else:
            splits = open_dataset(path)
            tokens, tokenizer, text = getattr(splits, config.split), splits.tokenizer, f"{path} ({config.split})"
        _require_same_tokens(tokenizer, trained, path)
        return tokens, text
    if trained.state is None:
        raise InputError(f"{trained.source} has no text of its own here: pass --input=PATH or --dataset=FOLDER.")
    task = make_task(TrainConfig(**trained.state.config), trained.tokenizer, trained.state.corpus_sha256)
    if not isinstance(task, Text):
        raise InputError(f"{trained.source} learned from no text: pass --input=PATH or --dataset=FOLDER.")
    return getattr(task.splits, config.split), f"{config.split} split of {task.source}"


def _require_same_tokens(tokenizer: Tokenizer, trained: Trained, path: Path) -> None:
    """GPT-2's tokens are the same wherever their vocabulary was read; single characters are if they are the same."""
    ours = trained.tokenizer
    if not (tokenizer.kind == ours.kind == GPT2Tokenizer.kind or tokenizer.to_dict() == ours.to_dict()):
        raise InputError(
            f"{path} has {tokenizer.vocab_size:,} {tokenizer.kind} tokens, and {trained.source} knows "
            f"{ours.vocab_size:,} {ours.kind} tokens that are not the same: they cannot be used together."
        )


def _size_of_text(tokens: np.ndarray, tokenizer: Tokenizer) -> tuple[int, int]:
    """Characters and UTF-8 bytes of the text of token ids (N,)."""
    stream, characters, size = TextStream(tokenizer), 0, 0
    parts = (stream.add(tokens[i : i + DECODED_AT_ONCE].tolist()) for i in range(0, len(tokens), DECODED_AT_ONCE))
    for part in (*parts, stream.finish()):
        characters, size = characters + len(part), size + len(part.encode("utf-8"))
    return characters, size
