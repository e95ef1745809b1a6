"""Training: the loop, one step of it, and how it stops and goes on."""

import math
import signal
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path

import nn
import tensor
from nn.functional.dropout import draw_seed
from tensor import Tensor
from tensor.profiler import record_function
from tinygrad_gpt.checkpoint import set_aside
from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.device import check_device
from tinygrad_gpt.distributed import World, gradient_norm, open_world, rank_0_first
from tinygrad_gpt.distributed.agreement import require_agreement
from tinygrad_gpt.errors import Interrupted, RunError
from tinygrad_gpt.evaluate import batch_loss
from tinygrad_gpt.memory import collect_garbage_rarely, keep_freed_memory
from tinygrad_gpt.metrics import MetricsLog, NoMetrics
from tinygrad_gpt.paths import locked
from tinygrad_gpt.profile import profiled
from tinygrad_gpt.report import Speed, announce, console, draw, finish, losses_line, progress_bar, resume_command
from tinygrad_gpt.runs import BEST, LAST, clear_run_dir, refuse_to_replace
from tinygrad_gpt.start import Run, new_run, resumed_run
from tinygrad_gpt.writers import check_writers, open_writers


def train(config: TrainConfig, named: Collection[str] = ()) -> None:
    """Train as `config` says, into `config.out_dir`; `init_from="resume"` continues the run that it holds.

    `named` are the settings that the user asked for by name, rather than through a preset. Raises `InputError` (the
    settings or the data cannot be used), `RunError` (the loss is no longer finite, the disk is full, another process
    trains in the folder) and `Interrupted` (SIGINT or SIGTERM; the run is saved). Of several processes, all do the
    same and only rank 0 prints and writes.
    """
    with open_world(config) as world:
        console.quiet = not world.leads
        config.check_processes(world.size)
        check_device(config.device)
        if config.device == "cuda":
            tensor.set_float32_matmul_precision("high" if config.tf32 else "highest")
        check_writers(config)
        keep_freed_memory()
        collect_garbage_rarely()
        if config.eval_only:
            resume = config.init_from == "resume"
            run = _joined(world, lambda: resumed_run(config) if resume else new_run(config, named))
            announce(run)
            console.print(f"iter {run.iteration}: {losses_line(_validate(run))}")
        elif config.init_from == "resume":
            _resume(config, world)
        else:
            _begin(config, named, world)


def _begin(config: TrainConfig, named: Collection[str], world: World) -> None:
    folder = Path(config.out_dir)
    refuse_to_replace(folder, config.overwrite)
    run = _joined(world, lambda: new_run(config, named))
    with locked(folder) if world.leads else nullcontext():
        if world.leads:
            clear_run_dir(folder)
        _train(run)


def _resume(config: TrainConfig, world: World) -> None:
    folder = Path(config.out_dir)
    with locked(folder) if world.leads else nullcontext():
        run = _joined(world, lambda: resumed_run(config))
        if world.leads:
            set_aside(run.passed_over)
        _train(run)


def _joined(world: World, make: Callable[[], Run]) -> Run:
    """The run that every process makes, after rank 0 has fetched and prepared its data, with all of them in it."""
    run = rank_0_first(world, make)
    require_agreement(world, run)
    run.join(world)
    return run


def _train(run: Run) -> None:
    config = run.config
    announce(run)
    start = time.monotonic()
    log = (
        MetricsLog(run.out_dir, run.iteration, open_writers(config, run.iteration)) if run.world.leads else NoMetrics()
    )
    try:
        with StopSignals() as stop:
            speed = Speed(run)
            with profiled(config.profile and run.world.leads):
                _loop(run, log, stop, speed)
    finally:
        log.close()
    if stop.signum is not None and run.iteration < config.max_iters:
        run.save(LAST)
        draw(run)
        run.world.barrier()  # no process ends before rank 0 has written
        sentence = f"Stopped and saved at iteration {run.iteration}. To go on: {resume_command(run)}"
        raise Interrupted(sentence, stop.signum)
    finish(run, time.monotonic() - start)


def _loop(run: Run, log: MetricsLog | NoMetrics, stop: "StopSignals", speed: Speed) -> None:
    """Steps until `max_iters` or a signal. An iteration's line in the log has the losses before its step."""
    config = run.config
    loss: float = math.nan
    unread: tuple | None = None  # what the last step left on a GPU
    with progress_bar() as bar:
        task = bar.add_task("", total=config.max_iters, completed=run.iteration, loss="…", speed=0.0, mfu=0.0)
        while not _stopped(run, stop):
            record: dict[str, float] = {"iter": run.iteration}
            lr = learning_rate(config, run.iteration)
            finished = run.iteration == config.max_iters
            if finished or run.iteration % config.eval_interval == 0:
                losses = _validate(run)
                record |= losses
                console.print(f"iter {run.iteration}: {losses_line(losses)}")
                if finished:  # no step follows, so the line is complete
                    log.write(record | {"lr": lr} | speed.read())
                log.sync()
                _keep(run, losses["val_loss"], finished)
            if finished:
                return
            logged = run.iteration % config.log_interval == 0
            with speed:
                unread = take_step(run, lr)
                validates_next = (run.iteration + 1) % config.eval_interval == 0
                if logged or validates_next or config.device == "cpu":  # to read from a GPU is to wait for it
                    loss, unread = read_losses(run, *unread), None
            bar.update(task, advance=1, loss=f"{loss:.4f}", speed=speed.latest, mfu=speed.mfu)
            if logged:
                record["loss"] = loss
            if len(record) > 1:
                log.write(record | {"lr": lr} | speed.read())
            run.iteration += 1
        if unread is not None:
            read_losses(run, *unread)  # what is saved now must be finite
        log.sync()


def _stopped(run: Run, stop: "StopSignals") -> bool:
    """Has a signal come? A signal that came to one of several processes has come to all."""
    if run.world.size > 1:
        stop.signum = int(max(run.world.gather_numbers(stop.signum or 0))) or None
    return stop.signum is not None


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


def take_step(run: Run, lr: float) -> tuple[Tensor | None, Tensor | float]:
    """One update of the weights; returns the loss of this process's batches, None without any, and the gradient's norm.

    The update is that of gradients clipped to `grad_clip`; in `.grad` they stay as they were (see `clip_factor`).
    Every process draws all batches and the seeds of their dropout, and trains on its own share of them. So the step is
    that of one process, but for the order in which gradients are added.
    """
    config, model, optimizer, world = run.config, run.model, run.optimizer, run.world
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    total, batches = None, config.gradient_accumulation_steps
    for index in range(batches):
        x, y = run.task.batch(run.batches)
        dropout_seed = draw_seed()
        if not world.owns(index, batches):
            continue
        with tensor.random.fork_rng():
            tensor.manual_seed(dropout_seed)
            with _precision(run):
                loss = batch_loss(model, x, y) / batches
            run.scaler.scale(loss).backward()  # adds to the gradients of the batches before
        total = loss.detach() if total is None else total + loss.detach()
    with record_function("get_total_norm"):
        run.scaler.unscale_(optimizer)
        norm = gradient_norm(model, optimizer)
    with record_function("optimizer.step"):
        run.scaler.step(optimizer, grad_factor=clip_factor(config, norm))
    if config.mixed_precision:
        _update_scale(run)
    return total, norm


def read_losses(run: Run, total: Tensor | None, norm: Tensor | float) -> float:
    """The loss of all batches of a step. Raises `RunError` where it or the gradient's norm is not finite."""
    mean_loss = float(run.world.sum([0.0 if total is None else total.item()])[0])
    _require_finite(run, "loss", mean_loss)
    if not run.config.mixed_precision:  # there, a step without a finite one was skipped
        _require_finite(run, "gradient's norm", float(norm))
    return mean_loss


def _precision(run: Run) -> tensor.autocast:
    return tensor.autocast(run.config.device, enabled=run.config.mixed_precision)


def _update_scale(run: Run) -> None:
    """The loss scale for the next step of --dtype=float16. Raises `RunError` where no scale is small enough."""
    before = run.scaler.get_scale()
    run.scaler.update()
    scale = run.scaler.get_scale()
    if scale < 1:
        raise RunError(
            f"The gradients overflow float16 at iteration {run.iteration}, whatever the loss is scaled by; the "
            f"checkpoint in {run.out_dir / LAST} is from before. Train it anew with --dtype=float32."
        )
    if scale < before:
        console.print(
            f"iter {run.iteration}: a gradient overflowed float16, the step is skipped; loss scale {scale:g} from here"
        )


def clip_factor(config: TrainConfig, norm: Tensor | float):
    """What a step multiplies a gradient of this norm by, so that its norm is at most `grad_clip`, if that is set."""
    return nn.utils.clip_factor(norm, config.grad_clip or math.inf)


def _require_finite(run: Run, what: str, value: float) -> None:
    if not math.isfinite(value):
        raise RunError(
            f"The {what} became {value} at iteration {run.iteration}; the checkpoint in {run.out_dir / LAST} "
            "is from before. Try a smaller --learning_rate, a longer --warmup_iters or a smaller --grad_clip."
        )


def _validate(run: Run) -> dict[str, float]:
    with _precision(run):
        losses = run.task.validate(run.model, run.world)
    _require_finite(run, "validation loss", losses["train_loss"] + losses["val_loss"])
    return losses


def _keep(run: Run, val_loss: float, finished: bool) -> None:
    """Save the run as `last`, and as `best` if no validation before was better.

    Without always_save_checkpoint a validation that is no better saves nothing, and a run that is killed goes on
    from the best one before: as a resumed run repeats itself bit for bit, that costs time only.
    """
    improved = run.best_val_loss is None or val_loss < run.best_val_loss
    if improved:
        run.best_val_loss = val_loss
        run.save(BEST)
    if improved or finished or run.config.always_save_checkpoint:
        run.save(LAST)


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
