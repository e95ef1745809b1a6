"""A student's attention backward in the place of the engine's: for exercise C12, and `tinygrad-gpt exercises train`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

import nn.functional.attention
import tensor
from nn.functional.attention import Attention
from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.errors import Interrupted
from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.model import GPT, GPTConfig
from tinygrad_gpt.paths import RUNS_DIR
from tinygrad_gpt.runs import free_dir
from tinygrad_gpt.tokenizer import CharTokenizer
from tinygrad_gpt.train import train

VERSE = "Tomorrow, and tomorrow, and tomorrow,\nCreeps in this petty pace from day to day,\n"


@contextmanager
def attention_backward_by(function: Callable) -> Iterator[None]:
    """Until the end of the block, `function(dy, q, k, v, y, log_sum)` gives (dq, dk, dv) of every causal attention.

    The op is a subclass of the engine's: its forward, and all that it keeps, stay the same.
    """

    class StudentAttention(Attention):
        def backward(self, dy):
            _, causal, dropout_p, _ = self.settings
            if not causal or dropout_p:
                raise RuntimeError("this backward is that of causal attention without dropout")
            return function(dy, self.q, self.k, self.v, self.y, self.log_sum)

    nn.functional.attention.Attention = StudentAttention  # type: ignore[misc]
    try:
        yield
    finally:
        nn.functional.attention.Attention = Attention  # type: ignore[misc]


def small_training(steps: int) -> list[float]:
    """The losses of a GPT of two layers on two lines of verse, in float64: a second's work, the same in every call."""
    tensor.manual_seed(1337)
    tokenizer = CharTokenizer.from_text(VERSE)
    ids = np.array(tokenizer.encode(VERSE))
    model = GPT(GPTConfig(block_size=16, vocab_size=tokenizer.vocab_size, n_layer=2, n_head=2, n_embd=32, dropout=0.0))
    model.to("cpu", tensor.float64)
    optimizer = model.configure_optimizers(weight_decay=0.1, learning_rate=1e-2, betas=(0.9, 0.99))
    places = np.random.default_rng(1337).integers(0, len(ids) - 17, (steps, 4))
    losses = []
    for starts in places:
        batch = tensor.tensor(np.stack([ids[start : start + 17] for start in starts]))  # (4, 17)
        _, loss = model(batch[:, :-1], batch[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_with(function: Callable, config: TrainConfig) -> Path:
    """A whole training run, with `function` as the backward of attention; returns its folder."""
    folder = free_dir(RUNS_DIR / "my-attention")
    try:
        with attention_backward_by(function):
            train(replace(config, out_dir=str(folder), dropout=0.0))
    except Interrupted as stopped:
        sentence = f"Stopped; {folder} holds the run so far. A resumed run would go on with the engine's own backward."
        raise Interrupted(sentence, stopped.exit_code - 128) from None
    return folder


def train_without(config: TrainConfig) -> Path:
    """The same run with the engine's own backward; returns its folder."""
    folder = free_dir(RUNS_DIR / "engine-attention")
    train(replace(config, out_dir=str(folder), dropout=0.0, sample_tokens=0))
    return folder


def validation_losses(folder: Path) -> dict[int, float]:
    """By iteration."""
    return {int(line["iter"]): line["val_loss"] for line in read_metrics(folder) if "val_loss" in line}
