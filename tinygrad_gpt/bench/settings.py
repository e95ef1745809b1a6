"""What is measured: the options of `tinygrad-gpt bench`, and the work they describe."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from tensor.kernels import threads
from tinygrad_gpt.config import TrainConfig, load_preset
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.model import GPTConfig
from tinygrad_gpt.options import check_types, option, require

# mode -> whom it can be compared with, the default first
OPPONENTS = {
    "step": ("torch", "nothing"),
    "sample": ("transformers", "nothing"),
    "scaling": ("nothing", "torch"),
    "ops": ("torch", "nothing"),
    "ranks": ("nothing",),
}
TRAINING = ("step", "scaling")  # modes of training steps, in which our side has the settings of `train`
VOCAB_SIZES = {"char": 65, "gpt2": 50257}  # Tiny Shakespeare's characters, GPT-2's byte pairs
OVERRIDES = ("n_layer", "n_head", "n_embd", "block_size", "dropout", "bias", "batch_size", "device", "dtype")


@dataclass(frozen=True)
class BenchConfig:
    """How to measure, and what to change of the preset. Raises `InputError` for a value that cannot work."""

    mode: Literal["step", "sample", "scaling", "ops", "ranks"] = option(
        "step",
        "step: a training step; sample: a token, with cached keys and values; scaling: steps of other sizes; "
        "ops: single operations on 4x4; ranks: steps on several processes.",
    )
    scaling: bool = option(False, "The same as --mode=ranks.")
    ranks: int | None = option(
        None, "Mode ranks: the most processes; 1, 2, 4 … up to them are measured. [default: one for each core]"
    )
    against: Literal["torch", "transformers", "nothing"] | None = option(
        None, "Whom to compare with. [default: torch; transformers in mode sample, nothing in modes scaling and ranks]"
    )
    rounds: int = option(30, "Rounds; in each, every side runs once, for a ratio of its own.")
    iters: int | None = option(None, "Steps (tokens, operations) of a side in a round. [default: a quarter second's]")
    tuned_opponent: bool = option(
        False,
        "Give the opponent, too, what `train` asks of malloc and of Python's garbage collector, which makes it faster "
        "and larger. Without this it runs as it comes, as its users run it.",
    )
    threads: int | None = option(None, "Threads of each side. [default: OMP_NUM_THREADS, or one for each core]")
    seed: int = option(1337, "Seed of the weights and the batches.")
    png: str | None = option(None, "Draw the result as a bar chart into this file.")

    batch_size: int | None = option(None, "Sequences in one batch.", group="Instead of the preset's")
    block_size: int | None = option(None, "Tokens in a sequence.")
    n_layer: int | None = option(None, "Blocks.")
    n_head: int | None = option(None, "Attention heads.")
    n_embd: int | None = option(None, "Channels.")
    vocab_size: int | None = option(None, "Different tokens. [default: 65 for characters, 50257 for GPT-2's]")
    dropout: float | None = option(None, "Probability that an activation is dropped.")
    bias: bool | None = option(None, "Biases in the linear and norm layers.")
    dtype: Literal["float32", "float64"] | None = option(None, "Precision of weights and activations.")
    device: Literal["cpu", "cuda"] | None = option(None, "Where to compute.")

    def __post_init__(self):
        check_types(self)
        if self.scaling:
            object.__setattr__(self, "mode", "ranks")
        for name in ("ranks", "rounds", "iters", "threads", "batch_size", "vocab_size"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} must be at least 1, got {value}.")
        require(self.ranks is None or self.mode == "ranks", "--ranks is for --mode=ranks.")
        require(self.seed >= 0, f"seed must not be negative, got {self.seed}.")
        require(
            self.against is None or self.against in OPPONENTS[self.mode],
            f"--mode={self.mode} is compared with {' or '.join(OPPONENTS[self.mode])}, not with {self.against}.",
        )
        require(
            not self.tuned_opponent or (self.mode in TRAINING and self.opponent is not None),
            f"--tuned_opponent is for an opponent that trains: --mode={' or '.join(TRAINING)}, --against=torch.",
        )

    @property
    def opponent(self) -> str | None:
        chosen = self.against or OPPONENTS[self.mode][0]
        return None if chosen == "nothing" else chosen


@dataclass(frozen=True)
class Work:
    """The same for both sides: the model's shape, the batch, how AdamW is set, threads and seed."""

    model: GPTConfig
    batch_size: int
    device: str
    dtype: str
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float]
    grad_clip: float
    threads: int
    seed: int
    weights: str  # folder through which the initial weights go from our side to the other

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict) -> "Work":
        return cls(**(fields | {"model": GPTConfig(**fields["model"]), "betas": tuple(fields["betas"])}))

    def changed(self, **changes: int) -> "Work":
        """The same with another batch_size, block_size or n_embd."""
        batch_size = changes.pop("batch_size", self.batch_size)
        sizes: dict[str, Any] = changes
        return dataclasses.replace(self, model=dataclasses.replace(self.model, **sizes), batch_size=batch_size)


def read_work(preset: str, config: BenchConfig, weights: str) -> Work:
    """The preset's model and batch with the overrides of `config`; `InputError` where they do not fit together."""
    changes = {name: value for name in OVERRIDES if (value := getattr(config, name)) is not None}
    settings = TrainConfig(**(load_preset(preset) | changes))
    try:
        model = settings.model_config(config.vocab_size or VOCAB_SIZES[settings.tokenizer])
    except ValueError as error:
        raise InputError(f"{error}.") from None
    return Work(
        model=model,
        batch_size=settings.batch_size,
        device=settings.device,
        dtype=settings.dtype,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        betas=(settings.beta1, settings.beta2),
        grad_clip=settings.grad_clip,
        threads=config.threads or threads.THREADS,
        seed=config.seed,
        weights=weights,
    )
