"""Training: the loop, what it reports, and how it stops and goes on."""

import math
import shlex
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import nn
import tensor
from tinygrad_gpt.checkpoint import (
    State,
    load_model,
    load_optimizer,
    load_state,
    load_tokenizer,
    save_checkpoint,
)
from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.corpus import Corpus, find_corpus
from tinygrad_gpt.data import Splits, check_length, get_batch, prepare_splits
from tinygrad_gpt.device import check_device
from tinygrad_gpt.errors import InputError, Interrupted, RunError
from tinygrad_gpt.evaluate import batch_loss, estimate_loss, split_loss
from tinygrad_gpt.memory import keep_freed_memory
from tinygrad_gpt.metrics import MetricsLog
from tinygrad_gpt.model import GPT
from tinygrad_gpt.plot import plot_loss
from tinygrad_gpt.runs import BEST, LAST, make_run_dir, refuse_to_replace
from tinygrad_gpt.sample import SampleConfig, sample
from tinygrad_gpt.tokenizer import CharTokenizer, GPT2Tokenizer, Tokenizer

WHOLE_VALIDATION_TOKENS = 500_000  # up to this size the last validation covers the whole split

console = Console(highlight=False, soft_wrap=True)


@dataclass
class Run:
    """A training run at rest between two steps."""

    config: TrainConfig
    corpus_sha256: str
    splits: Splits
    model: GPT
    optimizer: nn.optim.AdamW
    batches: np.random.Generator  # draws the training batches, and nothing else
    iteration: int = 0  # steps done
    best_val_loss: float | None = None  # nats a token

    @property
    def out_dir(self) -> Path:
        return Path(self.config.out_dir)


def train(config: TrainConfig) -> None:
    """Train as `config` says, into `config.out_dir`; `init_from="resume"` continues the run that it holds.

    Raises `InputError` (the settings or the data cannot be used), `RunError` (the loss is no longer finite)
    and `Interrupted` (SIGINT or SIGTERM; the run is saved).
    """
    check_device(config.device)
    keep_freed_memory()
    run = _resume(config) if config.init_from == "resume" else _start(config)
    console.print(
        f"model: {run.model.get_num_params() / 1e6:.2f} million parameters, {config.device}, {config.dtype}; "
        f"run folder: {run.out_dir}" + (f", resumed at iteration {run.iteration}" if run.iteration else "")
    )
    start = time.monotonic()
    log = MetricsLog(run.out_dir, run.iteration)
    try:
        with StopSignals() as stop:
            _loop(run, log, stop)
    finally:
        log.close()
    if stop.signum is not None and run.iteration < config.max_iters:
        _save(run, LAST)
        _draw(run)
        sentence = f"Stopped and saved at iteration {run.iteration}. To go on: {resume_command(run)}"
        raise Interrupted(sentence, stop.signum)
    _report(run, time.monotonic() - start)


def resume_command(run: Run) -> str:
    return f"tinygrad-gpt train --init_from=resume --out_dir={shlex.quote(str(run.out_dir))}"


def _start(config: TrainConfig) -> Run:
    refuse_to_replace(Path(config.out_dir), config.overwrite)
    corpus = find_corpus(config.input)
    console.print(f"text: {corpus.source}")
    tokenizer = _new_tokenizer(config, corpus)
    splits = prepare_splits(corpus, tokenizer)
    check_length(splits, config.block_size)
    tensor.manual_seed(config.seed)
    model = GPT(config.model_config(tokenizer.vocab_size))
    model.to(config.device, getattr(tensor, config.dtype))
    batches = np.random.default_rng(config.seed)
    make_run_dir(Path(config.out_dir))
    return Run(config, corpus.sha256, splits, model, _optimizer(config, model), batches)


def _new_tokenizer(config: TrainConfig, corpus: Corpus) -> Tokenizer:
    if config.tokenizer == "gpt2":
        return GPT2Tokenizer(config.vocab_file)
    return CharTokenizer.from_text(corpus.text)


def _resume(config: TrainConfig) -> Run:
    folder = Path(config.out_dir) / LAST
    state = load_state(folder)
    if state.iteration >= config.max_iters:
        raise InputError(
            f"The run in {config.out_dir} is finished: {state.iteration} steps are done. "
            f"To train on, pass a larger --max_iters."
        )
    corpus = find_corpus(config.input, state.corpus_sha256)
    console.print(f"text: {corpus.source}")
    if corpus.sha256 != state.corpus_sha256:
        raise InputError(f"The run in {config.out_dir} had another text: pass that one with --input=PATH.")
    splits = prepare_splits(corpus, load_tokenizer(state))
    model = load_model(folder, state)
    model.to(config.device)
    optimizer = _optimizer(config, model)
    load_optimizer(folder, optimizer)
    batches = np.random.default_rng()
    batches.bit_generator.state = state.rng["data"]
    tensor.set_rng_state(state.rng["engine"])  # last: making a model draws its initial weights
    return Run(config, corpus.sha256, splits, model, optimizer, batches, state.iteration, state.best_val_loss)


def _optimizer(config: TrainConfig, model: GPT) -> nn.optim.AdamW:
    return model.configure_optimizers(config.weight_decay, config.learning_rate, (config.beta1, config.beta2))


def _loop(run: Run, log: MetricsLog, stop: "StopSignals") -> None:
    """Steps until `max_iters` or a signal. An iteration's line in the log has the losses before its step."""
    config, speed = run.config, Speed(run.config.tokens_per_iter)
    with _progress_bar() as bar:
        task = bar.add_task("", total=config.max_iters, completed=run.iteration, loss="…", speed=0.0)
        while stop.signum is None:
            record: dict[str, float] = {"iter": run.iteration}
            finished = run.iteration == config.max_iters
            if finished or run.iteration % config.eval_interval == 0:
                record |= _validate(run)
                losses = f"train loss {record['train_loss']:.4f}, val loss {record['val_loss']:.4f}"
                console.print(f"iter {run.iteration}: {losses}")
            if finished:  # no step follows, so the line is complete
                log.write(record | {"lr": learning_rate(config, run.iteration), "tokens_per_s": speed.read()})
            if "val_loss" in record:
                log.sync()
                _keep(run, record["val_loss"])
            if finished:
                return
            lr = learning_rate(config, run.iteration)
            with speed:
                loss = _step(run, lr)
            bar.update(task, advance=1, loss=f"{loss:.4f}", speed=speed.latest)
            if run.iteration % config.log_interval == 0:
                record["loss"] = loss
            if len(record) > 1:
                log.write(record | {"lr": lr, "tokens_per_s": speed.read()})
            run.iteration += 1
        log.sync()


def learning_rate(config: TrainConfig, iteration: int) -> float:
    if not config.decay_lr:
        return config.learning_rate
    return nn.schedule.warmup_cosine(
        iteration,
        learning_rate=config.learning_rate,
        min_lr=config.final_lr,
        warmup_iters=config.warmup_iters,
        lr_decay_iters=config.decay_iters,
    )


def _step(run: Run, lr: float) -> float:
    """One update of the weights; returns its batches' loss. Raises `RunError` where that is not finite."""
    config, model, optimizer = run.config, run.model, run.optimizer
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    mean_loss = 0.0
    for _ in range(config.gradient_accumulation_steps):
        x, y = get_batch(run.splits.train, config.batch_size, config.block_size, run.batches)
        loss = batch_loss(model, x, y) / config.gradient_accumulation_steps
        loss.backward()
        mean_loss += loss.item()
    _require_finite(run, "loss", mean_loss)
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip or math.inf)
    _require_finite(run, "gradient's norm", float(norm))
    optimizer.step()
    return mean_loss


def _require_finite(run: Run, what: str, value: float) -> None:
    if not math.isfinite(value):
        raise RunError(
            f"The {what} became {value} at iteration {run.iteration}; the checkpoint in {run.out_dir / LAST} "
            "is from before. Try a smaller --learning_rate, a longer --warmup_iters or a smaller --grad_clip."
        )


def _validate(run: Run) -> dict[str, float]:
    config = run.config
    losses = {
        f"{name}_loss": estimate_loss(
            run.model,
            tokens,
            batch_size=config.batch_size,
            block_size=config.block_size,
            eval_iters=config.eval_iters,
            seed=config.seed,
        )
        for name, tokens in (("train", run.splits.train), ("val", run.splits.val))
    }
    _require_finite(run, "validation loss", losses["train_loss"] + losses["val_loss"])
    return losses


def _keep(run: Run, val_loss: float) -> None:
    """Save the run as `last`, and as `best` if no validation before was better."""
    if run.best_val_loss is None or val_loss < run.best_val_loss:
        run.best_val_loss = val_loss
        _save(run, BEST)
    _save(run, LAST)


def _save(run: Run, name: str) -> None:
    config = run.config
    text = config.input and str(Path(config.input).absolute())  # a run may be resumed from another folder
    state = State(
        config=asdict(config) | {"init_from": "scratch", "overwrite": False, "input": text},
        model=asdict(run.model.config),
        tokenizer=run.splits.tokenizer.to_dict(),
        iteration=run.iteration,
        best_val_loss=run.best_val_loss,
        corpus_sha256=run.corpus_sha256,
        rng={"engine": tensor.get_rng_state(), "data": run.batches.bit_generator.state},
    )
    save_checkpoint(run.out_dir / name, state, run.model, run.optimizer)


def _report(run: Run, seconds: float) -> None:
    """What a finished run has come to: the loss, the picture, a sample."""
    config, val = run.config, run.splits.val
    best = load_state(run.out_dir / BEST)
    if len(val) <= WHOLE_VALIDATION_TOKENS:
        loss, of = split_loss(run.model, val), f"the whole validation split, {len(val):,} tokens"
        console.print(f"validation loss: {loss:.4f} ({of})")
    console.print(
        f"best checkpoint: iteration {best.iteration}, val loss {run.best_val_loss:.4f} "
        f"({config.eval_iters} batches); time: {seconds:.0f} s"
    )
    _draw(run)
    if config.sample_tokens:
        console.print("a sample of the best checkpoint:\n")
        sample(SampleConfig(config.out_dir, max_new_tokens=config.sample_tokens, device=config.device))


def _draw(run: Run) -> None:
    picture = plot_loss(run.out_dir) or "pip install 'tinygrad-gpt[plot]' draws one"
    console.print(f"loss curve: {picture}", markup=False)


class Speed:
    """Tokens a second of the steps since the last reading; what happens between steps does not count."""

    def __init__(self, tokens_per_step: int):
        self.tokens_per_step, self.steps, self.seconds, self.latest = tokens_per_step, 0, 0.0, 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *exception) -> None:
        self.seconds += time.perf_counter() - self._start
        self.steps += 1
        self.latest = self.tokens_per_step * self.steps / self.seconds

    def read(self) -> float:
        self.steps, self.seconds = 0, 0.0
        return round(self.latest, 1)


class StopSignals:
    """While open, SIGINT and SIGTERM only set `signum`, for the loop to end after its step; a second one ends
    the program at once.
    """

    def __init__(self) -> None:
        self.signum: int | None = None

    def __enter__(self) -> "StopSignals":
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame) -> None:
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum


def _progress_bar() -> Progress:
    return Progress(
        TextColumn("loss {task.fields[loss]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:,.0f} tokens/s"),
        TimeRemainingColumn(),
        console=console,
    )
