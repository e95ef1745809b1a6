"""What a run says of itself: its first lines, the progress bar, its speed, and what it has come to."""

import shlex
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tensor.kernels.threads import THREADS
from tinygrad_gpt.checkpoint import load_state
from tinygrad_gpt.device import matmul_rate
from tinygrad_gpt.model import GPT
from tinygrad_gpt.plot import plot_loss
from tinygrad_gpt.runs import BEST
from tinygrad_gpt.sample import SampleConfig, sample
from tinygrad_gpt.start import Run

console = Console(highlight=False, soft_wrap=True)


def announce(run: Run) -> None:
    """What is about to train, on what, where, from when."""
    config = run.config
    count = run.model.get_num_params(non_embedding=False)
    trained = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    if run.world.size > 1:
        share = config.gradient_accumulation_steps // run.world.size
        console.print(
            f"processes: {run.world.size}, connected by {config.backend}; of each step's "
            f"{config.gradient_accumulation_steps} batches each takes {share}, on {THREADS} "
            f"thread{'s' if THREADS > 1 else ''} (OMP_NUM_THREADS)"
        )
    for error in run.passed_over:
        console.print(f"{error} The one before it is taken.", markup=False)
    console.print(f"text: {run.task.source}", markup=False)
    console.print(
        f"model: {f'{count / 1e6:.2f} million' if count >= 1e6 else f'{count:,}'} parameters"
        + (f" ({trained:,} of {count:,} train, the others are frozen)" if trained < count else "")
        + (f", weights of {config.init_from}" if config.init_from != "scratch" else "")
        + f", {config.device}, {config.dtype}; run folder: {run.out_dir}"
        + (f", resumed at iteration {run.iteration}" if run.iteration else ""),
        markup=False,
    )


def losses_line(losses: dict[str, float]) -> str:
    """`train loss 1.2345, val loss 1.3456`, and the accuracy where there is one."""
    line = f"train loss {losses['train_loss']:.4f}, val loss {losses['val_loss']:.4f}"
    return line + (f", {losses['val_accuracy']:.2%} right" if "val_accuracy" in losses else "")


def finish(run: Run, seconds: float) -> None:
    """What a finished run has come to: the loss, the picture, a sample."""
    config = run.config
    if words := run.task.last_words(run.model, run.world):
        console.print(words)
    if not run.world.leads:
        return
    best = load_state(run.out_dir / BEST)
    console.print(
        f"best checkpoint: iteration {best.iteration}, val loss {run.best_val_loss:.4f} "
        f"({config.eval_iters} batches); time: {seconds:.0f} s"
    )
    draw(run)
    if config.sample_tokens and config.task == "text":
        console.print("a sample of the best checkpoint:\n")
        sample(SampleConfig(out_dir=config.out_dir, max_new_tokens=config.sample_tokens, device=config.device))


def draw(run: Run) -> None:
    """Draw the loss curve and say where it is."""
    if not run.world.leads:
        return
    picture = plot_loss(run.out_dir) or "pip install 'tinygrad-gpt[plot]' draws one"
    console.print(f"loss curve: {picture}", markup=False)


def resume_command(run: Run) -> str:
    return f"tinygrad-gpt train --init_from=resume --out_dir={shlex.quote(str(run.out_dir))}"


def flops_per_token(model: GPT) -> int:
    """Floating-point operations of the model's matrix products for one token, forward and backward.

    6 N + 12 L H Q T: two for each of N parameters forward and twice that backward, and the same for each
    position that attention looks at (Chowdhery et al. 2022, "PaLM", arXiv:2204.02311, appendix B). It is what the
    model asks for: nothing is taken off for frozen parameters or the causal half, nothing added for recomputing.
    """
    config = model.config
    return 6 * model.get_num_params() + 12 * config.n_layer * config.n_embd * config.block_size  # H Q = n_embd


class Speed:
    """Tokens a second of the steps since the last reading, and the MFU; what happens between steps does not count.

    The model FLOPs utilisation is the rate of the model's floating-point operations over the rate at which this
    machine multiplies large matrices.
    """

    def __init__(self, run: Run):
        config = run.config
        rate = matmul_rate(config.device, config.dtype) * run.world.size
        who = "this machine multiplies" if run.world.size == 1 else f"the {run.world.size} processes multiply"
        console.print(f"speed: {who} matrices at {rate / 1e9:.0f} GFLOP/s; MFU is the share used")
        self.tokens_per_step = config.tokens_per_iter
        self.mfu_per_speed = flops_per_token(run.model) / rate
        self.steps, self.seconds, self.latest = 0, 0.0, 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *exception) -> None:
        self.seconds += time.perf_counter() - self._start
        self.steps += 1
        self.latest = self.tokens_per_step * self.steps / self.seconds

    @property
    def mfu(self) -> float:
        return self.latest * self.mfu_per_speed

    def read(self) -> dict[str, float]:
        """For metrics.jsonl; starts anew."""
        self.steps, self.seconds = 0, 0.0
        return {"tokens_per_s": round(self.latest, 1), "mfu": round(self.mfu, 4)}


def progress_bar() -> Progress:
    return Progress(
        TextColumn("loss {task.fields[loss]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:,.0f} tokens/s, MFU {task.fields[mfu]:.0%}"),
        TimeRemainingColumn(),
        console=console,
    )
