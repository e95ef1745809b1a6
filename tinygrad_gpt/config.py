"""The settings of a training run, and the presets that ship with the program."""

import dataclasses
import json
import math
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from tinygrad_gpt.calculator import MOST_DIGITS, OPERATORS, Arithmetic
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.model import GPTConfig
from tinygrad_gpt.options import check_types, nearest, option, require

DEFAULT_PRESET = "shakespeare-char-laptop"
# What a resumed run cannot change: these decide what its weights and its data are.
FIXED_BY_CHECKPOINT = (
    *("task", "digits", "operators", "tokenizer", "vocab_file", "seed", "dtype", "freeze"),
    *("n_layer", "n_head", "n_embd", "block_size", "bias", "tie_weights"),
)
# What a new run takes over from the weights that it starts with.
SHAPE = ("n_layer", "n_head", "n_embd", "bias", "tie_weights")

AT_LEAST_ONE = (
    *("batch_size", "gradient_accumulation_steps", "max_iters", "digits"),
    *("eval_interval", "eval_iters", "log_interval"),
)
NOT_NEGATIVE = ("seed", "warmup_iters", "sample_tokens", "weight_decay", "grad_clip")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run, in nanoGPT's names. The defaults are the laptop recipe.

    Raises `InputError` with a sentence for a value that cannot work.
    """

    out_dir: str = option("out", "Run folder: checkpoints, metrics.jsonl, loss curve.", group="Run")
    init_from: str = option(
        "scratch",
        "scratch: new weights; resume: continue the run in out_dir (or the latest one); gpt2, gpt2-medium, "
        "gpt2-large, gpt2-xl, or the path of a Hugging Face GPT-2 folder, a run folder or a checkpoint: a new run "
        "with those weights.",
    )
    overwrite: bool = option(False, "Replace the run that out_dir already holds.")
    seed: int = option(1337, "Seed of the weights, the batches and dropout.")
    device: Literal["cpu", "cuda"] = option("cpu", "Where to compute.")
    dtype: Literal["float32", "float64", "float16"] = option(
        "float32",
        "Precision of weights and activations. float16: float32 weights whose products are computed in float16, "
        "with dynamic loss scaling.",
    )
    tf32: bool = option(False, "On a GPU, round the factors of float32 products to TF32, as nanoGPT does: faster.")

    task: Literal["text", "calculator"] = option(
        "text", "text: learn to continue a text; calculator: learn sums from examples.", group="Data"
    )
    input: str | None = option(None, "UTF-8 text file to train on. [default: Tiny Shakespeare]")
    dataset: str | None = option(None, "Folder that `tinygrad-gpt prepare` made, instead of a text file.")
    tokenizer: Literal["char", "gpt2"] = option("char", "One token a character, or GPT-2's byte pairs.")
    vocab_file: str | None = option(
        None, "GPT-2's vocab.bpe, merges.txt or r50k_base.tiktoken, where tiktoken cannot fetch it."
    )
    digits: int = option(3, "Calculator: digits of the longest number.")
    operators: str = option("+-", "Calculator: which of +, - and * the problems have.")

    n_layer: int = option(4, "Blocks; 0 makes a bigram model.", group="Model")
    n_head: int = option(4, "Attention heads in each block; divides n_embd.")
    n_embd: int = option(128, "Channels.")
    block_size: int = option(64, "Longest sequence the model sees, in tokens.")
    dropout: float = option(0.0, "Probability that an activation is dropped in training.")
    bias: bool = option(True, "Biases in the linear and norm layers, as in GPT-2.")
    tie_weights: bool = option(True, "One matrix for reading a token and for scoring it, as in GPT-2.")
    freeze: str | None = option(
        None, 'Patterns of parameters that stay as they are: "transformer.wte*,transformer.h.[0-5].*".'
    )

    batch_size: int = option(12, "Sequences in one batch.", group="Steps")
    gradient_accumulation_steps: int = option(1, "Batches whose mean gradient makes one step.")
    gradient_checkpointing: bool = option(
        False, "Keep only each block's input and compute the rest again in backward: less memory, a third more time."
    )
    max_iters: int = option(2000, "Steps in all.")

    learning_rate: float = option(1e-3, "AdamW's step size, at its highest.", group="Optimizer")
    decay_lr: bool = option(True, "Let the learning rate rise linearly, then fall as a cosine.")
    warmup_iters: int = option(100, "Steps of the rise.")
    lr_decay_iters: int | None = option(None, "Step at which the fall ends. [default: max_iters]")
    min_lr: float | None = option(None, "Learning rate after the fall. [default: learning_rate / 10]")
    weight_decay: float = option(0.1, "Pull of AdamW on matrices, per unit of learning rate.")
    beta1: float = option(0.9, "AdamW's decay of the mean gradient, per step.")
    beta2: float = option(0.99, "AdamW's decay of the mean squared gradient, per step.")
    grad_clip: float = option(1.0, "Largest norm of the gradient; 0 for no limit.")

    eval_interval: int = option(250, "Steps between two validations, each of which saves.", group="Reports")
    eval_iters: int = option(20, "Batches of each split in a validation, always the same ones.")
    eval_only: bool = option(False, "Print the losses before the first step and end; nothing is written.")
    always_save_checkpoint: bool = option(
        True, "False: save at a validation only if its loss is the best yet (and at the end, or when stopped)."
    )
    log_interval: int = option(10, "Steps between two lines of metrics.jsonl.")
    profile: bool = option(False, "Print at the end where the time and the memory went, by op and by module.")
    tensorboard: bool = option(False, "Write metrics for TensorBoard too, into out_dir/tensorboard.")
    wandb_log: bool = option(False, "Send metrics to Weights & Biases too.")
    wandb_project: str = option("tinygrad-gpt", "Project there.")
    wandb_run_name: str | None = option(None, "Name of the run there. [default: the run folder's]")
    sample_tokens: int = option(500, "Tokens of the text printed at the end; 0 for none.")

    backend: Literal["none", "mpi", "nccl"] = option(
        "none",
        "What connects the processes that mpiexec has started: mpi (on the CPU), or nccl (a GPU for each). They divide "
        "gradient_accumulation_steps among them.",
        group="Processes",
    )
    patience: float = option(
        300.0, "Seconds that a process waits for another before it ends them all; more than a checkpoint takes."
    )

    def __post_init__(self):
        check_types(self)
        try:
            self.model_config(vocab_size=1)
        except ValueError as error:
            raise InputError(f"{error}.") from None
        for name in AT_LEAST_ONE:
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in NOT_NEGATIVE:
            require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}.")
        for name in ("beta1", "beta2"):
            require(0.0 <= getattr(self, name) < 1.0, f"{name} must be in [0, 1), got {getattr(self, name)}.")
        require(self.learning_rate > 0.0, f"learning_rate must be above 0, got {self.learning_rate}.")
        require(
            0.0 <= self.final_lr <= self.learning_rate,
            f"min_lr must be between 0 and learning_rate ({self.learning_rate}), got {self.min_lr}.",
        )
        require(
            self.decay_iters >= self.warmup_iters,
            f"lr_decay_iters ({self.decay_iters}) must not be less than warmup_iters ({self.warmup_iters}).",
        )
        require(
            self.vocab_file is None or self.tokenizer == "gpt2",
            "vocab_file is the vocabulary of --tokenizer=gpt2; a char tokenizer finds its own in the text.",
        )
        require(
            self.input is None or self.dataset is None,
            "input and dataset are two sources of text: pass one of them.",
        )
        require(self.patience > 0, f"patience must be above 0, got {self.patience}.")
        needed_device = {"mpi": "cpu", "nccl": "cuda"}.get(self.backend, self.device)
        require(
            self.device == needed_device,
            f"--backend={self.backend} connects processes that compute with --device={needed_device}.",
        )
        require(not self.tf32 or self.device == "cuda", "tf32 is how a GPU multiplies: pass --device=cuda with it.")
        if self.task == "calculator":
            self._check_calculator()

    def check_processes(self, size: int) -> None:
        """Raise `InputError` where so many processes cannot share the batches of a step."""
        require(
            size == 1 or not self.mixed_precision,
            f"{size} processes train together in float32 or float64 only: leave out --dtype=float16.",
        )
        steps, batch = self.gradient_accumulation_steps, self.batch_size
        smaller = (
            f", or with --batch_size={batch // size} for as many as now" if steps == 1 and batch % size == 0 else ""
        )
        require(
            steps % size == 0,
            f"{size} processes cannot divide gradient_accumulation_steps={steps}, the batches of a step, among them: "
            f"pass --gradient_accumulation_steps={math.ceil(steps / size) * size}, which makes "
            f"{math.ceil(steps / size) * size * batch} sequences a step{smaller}.",
        )

    def _check_calculator(self) -> None:
        require(self.digits <= MOST_DIGITS, f"digits must be at most {MOST_DIGITS}, got {self.digits}.")
        require(
            0 < len(self.operators) == len(set(self.operators)) and set(self.operators) <= set(OPERATORS),
            f"operators should be some of {''.join(OPERATORS)}, each once, got {self.operators!r}.",
        )
        require(
            self.input is None and self.dataset is None and self.tokenizer == "char",
            "The calculator makes its own problems, a token a character: leave out input, dataset and tokenizer.",
        )
        needed = Arithmetic(self.digits, self.operators).block_size
        require(
            self.block_size >= needed,
            f"Problems with {self.operators} and {self.digits} digits need a block_size of at least {needed}, "
            f"got {self.block_size}.",
        )

    @property
    def decay_iters(self) -> int:
        if self.lr_decay_iters is None:
            return max(self.max_iters, self.warmup_iters)  # a short trial run may end in the rise
        return self.lr_decay_iters

    @property
    def final_lr(self) -> float:
        return self.learning_rate / 10 if self.min_lr is None else self.min_lr

    @property
    def mixed_precision(self) -> bool:
        """Are products computed in less than the weights' precision?"""
        return self.dtype == "float16"

    @property
    def tokens_per_iter(self) -> int:
        return self.gradient_accumulation_steps * self.batch_size * self.block_size

    def model_config(self, vocab_size: int) -> GPTConfig:
        return GPTConfig(
            block_size=self.block_size,
            vocab_size=vocab_size,
            n_layer=self.n_layer,
            n_head=self.n_head,
            n_embd=self.n_embd,
            dropout=self.dropout,
            bias=self.bias,
            tie_weights=self.tie_weights,
        )


FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}


def to_toml(config: TrainConfig) -> str:
    """The settings as a TOML file that `load_preset` reads back; what is None is left out, as that is its default."""
    values = {name: value for name, value in dataclasses.asdict(config).items() if value is not None}
    # JSON spells text, booleans and numbers as TOML does, but for one character that TOML wants escaped.
    lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
    return "".join(lines).replace("\x7f", r"\u007f")


def preset_names() -> list[str]:
    files = resources.files("tinygrad_gpt").joinpath("presets").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_preset(name: str) -> dict[str, Any]:
    """The settings in the preset `name`, or in the TOML file of that name; the others keep their defaults.

    Raises `InputError` for a preset that does not exist, a file that is not TOML, a wrong key or value.
    """
    if name in preset_names():
        text = resources.files("tinygrad_gpt").joinpath("presets", f"{name}.toml").read_text("utf-8")
    elif name.endswith(".toml"):
        text = _read_toml(Path(name))
    else:
        raise InputError(
            f"There is no preset {name}{nearest(name, preset_names())}: choose {', '.join(preset_names())} "
            "or a file that ends in .toml."
        )
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is not valid TOML: {error}.") from None
    for key in values:
        if key not in FIELDS:
            raise InputError(f"{name} sets {key}, which is not a setting{nearest(key, list(FIELDS))}.")
    try:
        TrainConfig(**values)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return values


def _read_toml(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text, as TOML must be.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
