"""How a run begins: with new weights, with the weights of another model, or where it has stopped."""

import fnmatch
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

import nn
import tensor
from tensor.amp import GradScaler
from tinygrad_gpt.checkpoint import (
    DamagedCheckpoint,
    State,
    load_model,
    load_newest,
    load_optimizer,
    load_state,
    load_tokenizer,
    save_checkpoint,
)
from tinygrad_gpt.config import SHAPE, TrainConfig
from tinygrad_gpt.distributed import ALONE, ShardedAdamW, World
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.model import GPT
from tinygrad_gpt.options import nearest
from tinygrad_gpt.pretrained import HUB
from tinygrad_gpt.runs import BEST, LAST
from tinygrad_gpt.tasks import Task, make_task
from tinygrad_gpt.tokenizer import Tokenizer
from tinygrad_gpt.trained import open_trained


@dataclass
class Run:
    """A training run at rest between two steps."""

    config: TrainConfig
    task: Task
    model: GPT
    optimizer: nn.optim.AdamW
    batches: np.random.Generator  # draws the training batches, and nothing else
    iteration: int = 0  # steps done
    best_val_loss: float | None = None  # nats a token
    passed_over: list[DamagedCheckpoint] = field(default_factory=list)  # when it was resumed
    world: World = ALONE
    scaler: GradScaler = field(default_factory=lambda: GradScaler(enabled=False))  # of the loss

    @property
    def out_dir(self) -> Path:
        return Path(self.config.out_dir)

    def join(self, world: World) -> None:
        """Train together with the other processes of `world`, each of which has the same run."""
        if world.size > 1:
            self.world, self.optimizer = world, ShardedAdamW(self.optimizer, world)

    def save(self, name: str) -> None:
        """Write the checkpoint `name` of the run folder; of several processes, rank 0 does. It is the same for any
        number of them.
        """
        optimizer = self.optimizer
        if isinstance(optimizer, ShardedAdamW):
            optimizer = optimizer.gathered()
        if not self.world.leads:
            return
        absolute = {  # a run may be resumed from another folder
            option: value and str(Path(value).absolute())
            for option, value in (("input", self.config.input), ("dataset", self.config.dataset))
        }
        state = State(
            config=asdict(self.config) | {"overwrite": False, "backend": "none"} | absolute,
            model=asdict(self.model.config),
            tokenizer=self.task.tokenizer.to_dict(),
            iteration=self.iteration,
            best_val_loss=self.best_val_loss,
            corpus_sha256=self.task.fingerprint,
            rng={"engine": tensor.get_rng_state(), "data": self.batches.bit_generator.state},
            grad_scaler=self.scaler.state_dict(),
        )
        save_checkpoint(self.out_dir / name, state, self.model, optimizer, keep_previous=name == LAST)


def new_run(config: TrainConfig, named: Collection[str] = ()) -> Run:
    """A run at its first step. `named` are the settings that the user asked for by name: loaded weights that do
    not fit them are an error, while they override a preset's.
    """
    tensor.manual_seed(config.seed)
    if config.init_from == "scratch":
        task = make_task(config)
        model = GPT(config.model_config(task.tokenizer.vocab_size))
    else:
        model, tokenizer = _load_weights(config)
        config = _take_over(config, named, model, tokenizer)
        task = make_task(config, tokenizer)
        model.crop_block_size(config.block_size)
    model.to(config.device, tensor.float64 if config.dtype == "float64" else tensor.float32)
    batches = np.random.default_rng(config.seed)
    return Run(config, task, model, _prepare(config, model), batches, scaler=_scaler(config))


def resumed_run(config: TrainConfig) -> Run:
    """The run in `config.out_dir`, with the settings of `config`, where its newest whole checkpoint left it."""
    checkpoints = [Path(config.out_dir) / name for name in (LAST, BEST)]
    run, damaged = load_newest(checkpoints, lambda folder: _resume(config, folder))
    return replace(run, passed_over=damaged)


def _resume(config: TrainConfig, folder: Path) -> Run:
    state = load_state(folder)
    if state.iteration >= config.max_iters and not config.eval_only:
        raise InputError(
            f"The run in {config.out_dir} is finished: {state.iteration} steps are done. "
            f"To train on, pass a larger --max_iters."
        )
    task = make_task(config, load_tokenizer(state), state.corpus_sha256)
    model = load_model(folder, replace(state, model=state.model | {"dropout": config.dropout}))  # may be another
    model.to(config.device)
    optimizer = _prepare(config, model)
    load_optimizer(folder, state, model, optimizer)
    batches = np.random.default_rng()
    batches.bit_generator.state = state.rng["data"]
    tensor.set_rng_state(state.rng["engine"])  # last: making a model draws its initial weights
    config = replace(config, init_from=state.config["init_from"])  # where it once came from
    scaler = _scaler(config)
    scaler.load_state_dict(state.grad_scaler)
    return Run(config, task, model, optimizer, batches, state.iteration, state.best_val_loss, scaler=scaler)


def _scaler(config: TrainConfig) -> GradScaler:
    return GradScaler(config.device, enabled=config.mixed_precision)


def _prepare(config: TrainConfig, model: GPT) -> nn.optim.AdamW:
    """The optimizer of what `config` lets train."""
    model.gradient_checkpointing = config.gradient_checkpointing
    if config.freeze is not None:
        freeze(model, config.freeze)
    return model.configure_optimizers(config.weight_decay, config.learning_rate, (config.beta1, config.beta2))


def freeze(model: GPT, patterns: str) -> None:
    """Keep the parameters whose names match one of the patterns, like "transformer.wte*,transformer.h.[0-5].*",
    as they are: they get no gradient. A tied matrix has two names, and either freezes it.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for pattern in (part.strip() for part in patterns.split(",")):
        names = [name for name in parameters if fnmatch.fnmatchcase(name, pattern)]
        if not names:
            raise InputError(
                f"freeze: no parameter matches {pattern!r}{nearest(pattern, list(parameters))}; "
                f"the model has {', '.join(list(parameters)[:3])} …"
            )
        for name in names:
            parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(f"freeze={patterns!r} freezes every parameter: nothing is left to train.")


# ---------------------------------------------------------------------- the weights of another model


def _load_weights(config: TrainConfig) -> tuple[GPT, Tokenizer]:
    """The model and the tokenizer that `init_from` names: one of our own checkpoints, or a GPT-2."""
    source = config.init_from
    if source not in HUB and not Path(source).is_dir():
        choices = ["scratch", "resume", *HUB]
        raise InputError(
            f"--init_from={source} is no folder and none of {', '.join(choices)}{nearest(source, choices)}."
        )
    trained = open_trained(init_from=source, vocab_file=config.vocab_file, device=config.device, dropout=config.dropout)
    trained.model.train()
    return trained.model, trained.tokenizer


def _take_over(config: TrainConfig, named: Collection[str], model: GPT, tokenizer: Tokenizer) -> TrainConfig:
    """`config` with the shape and the tokenizer of the loaded weights."""
    theirs = {name: getattr(model.config, name) for name in SHAPE} | {"tokenizer": tokenizer.kind}
    for name in named:
        if name in theirs and getattr(config, name) != theirs[name]:
            raise InputError(
                f"--{name}={getattr(config, name)} does not fit the weights of {config.init_from}, "
                f"which have {theirs[name]}: leave it out."
            )
    if config.block_size > model.config.block_size:
        raise InputError(
            f"block_size {config.block_size} is longer than the weights of {config.init_from} know, "
            f"{model.config.block_size}: pass --block_size={model.config.block_size} or less."
        )
    return replace(config, **theirs)
