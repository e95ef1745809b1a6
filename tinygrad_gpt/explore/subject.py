"""What `explore` shows: a small example, or a GPT on a text, run once forward and backward while it is recorded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import tensor
from tensor.explain import Explanation
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.explore.attention import attention_data
from tinygrad_gpt.explore.collect import Collector
from tinygrad_gpt.explore.examples import Example, make_example
from tinygrad_gpt.explore.training import training_data
from tinygrad_gpt.model import GPTConfig
from tinygrad_gpt.options import require
from tinygrad_gpt.tokenizer import Tokenizer
from tinygrad_gpt.trained import Trained

EXAMPLE_LIMIT = 4096  # elements of an array that are kept; every array of an example has fewer
NUMBERS = 300_000  # that a GPT's page may hold in the arrays of its graph
ARRAYS_OF_A_STEP = 5
SMALLEST_LIMIT = 16
ATTENTION_NUMBERS = 375_000  # that it may hold in attention maps and gradient flow: three triangles of T x T a head
MOST_TOKENS = 60
DEFAULT_TEXT = "First Citizen:\nBefore we proceed any further, hear me speak."


def example_data(name: str, inputs: dict[str, Sequence[float]] | None = None) -> dict:
    """An example's recorded passes, with entries of its inputs replaced by `inputs`, flat lists of their numbers."""
    example = make_example(name)
    for key, numbers in (inputs or {}).items():
        _replace(example, key, numbers)
    explanation, loss = explain_example(example)
    data = Collector(explanation).data()
    return data | {
        "title": example.title,
        "note": f"loss {loss:.6g}",
        "loss": loss,
        "whatif": {"names": list(example.inputs), "command": f"tinygrad-gpt explore {name} --serve"},
    }


def explain_example(example: Example) -> tuple[Explanation, float]:
    """The recorded forward and backward pass of an example, in forward order, and its loss."""
    example.run().backward()  # once before, so that the times have no first call's preparations in them
    with tensor.record(limit=EXAMPLE_LIMIT, axes=example.axes, names=example.inputs):
        loss = example.run()
        loss.backward()
    return loss.explain(order="forward"), loss.item()


def _replace(example: Example, key: str, numbers: Sequence[float]) -> None:
    require(key in example.inputs, f"there is no input {key!r}")
    x = example.inputs[key]
    try:
        array = np.asarray(numbers, dtype=x.dtype)
    except (TypeError, ValueError):
        raise InputError(f"{key} should be a list of numbers.") from None
    require(array.size == x.numel() and bool(np.isfinite(array).all()), f"{key} takes {x.numel()} finite numbers.")
    example.inputs[key] = tensor.from_numpy(array.reshape(x.shape)).requires_grad_()


def gpt_data(trained: Trained, text: str | None) -> dict:
    """A GPT's recorded passes over a text, its attention, and how it was trained if it lies in a run folder."""
    model, tokenizer = trained.model, trained.tokenizer
    text = DEFAULT_TEXT if text is None else text
    tokens, words = tokenize(text, tokenizer, model.config)
    T, given = len(tokens) - 1, len(tokenizer.encode(text)) - 1
    attention = attention_data(model, tokens, words)
    explanation, loss = explain_gpt(trained, tokens)
    data = Collector(explanation).data()
    data |= {
        "title": f"GPT: {trained.source}",
        "note": f"{T} tokens{f', the first of {given}' * (given > T)}; loss {loss:.4f} nats a token",
        "loss": loss,
        "attention": attention,
    }
    return data if trained.state is None else data | {"training": training_data(Path(trained.source).parent)}


def explain_gpt(trained: Trained, tokens: np.ndarray) -> tuple[Explanation, float]:
    """The recorded forward and backward pass over tokens (T + 1,), in forward order, and the loss."""
    model, config = trained.model, trained.model.config
    C, nh = config.n_embd, config.n_head
    T, V = len(tokens) - 1, config.vocab_size
    axes = {"T": T, "C": C, "3C": 3 * C, "4C": 4 * C, "nh": nh, "3nh": 3 * nh, "hs": C // nh, "V": V}
    if config.block_size != T:
        axes["block_size"] = config.block_size  # of the position embedding
    limit = max(NUMBERS // (ARRAYS_OF_A_STEP * (24 * config.n_layer + 12)), SMALLEST_LIMIT)
    model.zero_grad()
    with tensor.record(limit=min(limit, EXAMPLE_LIMIT), axes=axes):
        _, loss = model(tensor.from_numpy(tokens[None, :-1]), tensor.from_numpy(tokens[None, 1:]))
        loss.backward()
    model.zero_grad()
    return loss.explain(order="forward"), loss.item()


def tokenize(text: str, tokenizer: Tokenizer, config: GPTConfig) -> tuple[np.ndarray, list[str]]:
    """The first T + 1 tokens of the text, as many as a page can show, and each as text."""
    tokens = tokenizer.encode(text)
    require(len(tokens) >= 3, f"--text has {len(tokens)} tokens: explore needs at least 3, to predict two of them.")
    fits = int((2 * ATTENTION_NUMBERS / (3 * config.n_layer * config.n_head)) ** 0.5)  # a triangle has T (T + 1) / 2
    length = min(len(tokens), config.block_size + 1, MOST_TOKENS + 1, max(fits, 2) + 1)
    tokens = tokens[:length]
    return np.asarray(tokens, dtype=np.int64), [tokenizer.decode([token]) for token in tokens]
