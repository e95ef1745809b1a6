"""Text from a trained model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tensor
from tinygrad_gpt.checkpoint import load_model, load_state, load_tokenizer
from tinygrad_gpt.device import check_device
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.options import check_types, option, require
from tinygrad_gpt.runs import BEST, LAST, holds_run, latest_run
from tinygrad_gpt.tokenizer import CharTokenizer, Tokenizer


@dataclass(frozen=True)
class SampleConfig:
    """What to draw, and from which run. Raises `InputError` for a value that cannot work."""

    out_dir: str | None = option(None, "Run folder; its best checkpoint speaks. [default: the latest run]")
    start: str | None = option(None, "Text to continue, or FILE:PATH to read it. [default: a new line]")
    num_samples: int = option(1, "Texts to draw.")
    max_new_tokens: int = option(500, "Tokens to draw for each.")
    temperature: float = option(0.8, "Below 1 more predictable, above 1 less; 0 for no chance at all.")
    top_k: int | None = option(200, "Draw from the k likeliest tokens only; 0 for all.")
    top_p: float | None = option(None, "Draw from the fewest tokens that reach this probability.")
    seed: int = option(1337, "Seed of the draws.")
    device: Literal["cpu", "cuda"] = option("cpu", "Where to compute.")

    def __post_init__(self):
        check_types(self)
        require(self.num_samples >= 1, f"num_samples must be at least 1, got {self.num_samples}.")
        require(self.max_new_tokens >= 1, f"max_new_tokens must be at least 1, got {self.max_new_tokens}.")
        require(self.temperature >= 0.0, f"temperature must not be negative, got {self.temperature}.")
        require(self.top_k is None or self.top_k >= 0, f"top_k must not be negative, got {self.top_k}.")
        require(self.top_p is None or 0.0 < self.top_p <= 1.0, f"top_p must be in (0, 1], got {self.top_p}.")
        require(self.seed >= 0, f"seed must not be negative, got {self.seed}.")


def sample(config: SampleConfig) -> None:
    """Print `num_samples` texts, a line of dashes between them."""
    check_device(config.device)
    run = latest_run() if config.out_dir is None else Path(config.out_dir)
    if not holds_run(run):
        raise InputError(f"--out_dir={run} holds no run: train one first, or name another folder.")
    folder = run / BEST if (run / BEST).exists() else run / LAST
    state = load_state(folder)
    tokenizer = load_tokenizer(state)
    model = load_model(folder, state)
    model.to(config.device).eval()
    ids = tokenizer.encode(_prompt(config.start, tokenizer))  # (T,)
    prompt = tensor.from_numpy(ids[None, :]).to(config.device)  # (1, T)
    tensor.manual_seed(config.seed)
    for number in range(config.num_samples):
        if number:
            print("-" * 40)
        text = model.generate(
            prompt,
            config.max_new_tokens,
            temperature=config.temperature,
            top_k=config.top_k or None,
            top_p=config.top_p,
        )  # (1, T + max_new_tokens)
        print(tokenizer.decode(text[0].tolist()))


def _prompt(start: str | None, tokenizer: Tokenizer) -> str:
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
