"""`tinygrad-gpt bench`: how long a training step takes, beside the same step in PyTorch.

Machines are noisy, so the two run in turn: a round of steps here, the same round there, and so on, each in a
process of its own that stays warm. What is reported is the ratio of each pair of rounds, its median and its
spread; a ratio below 1 means that this engine is the faster one.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console

from tinygrad_gpt.config import DEFAULT_PRESET, TrainConfig, load_preset
from tinygrad_gpt.errors import InputError, RunError
from tinygrad_gpt.options import check_types, option, require

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class BenchConfig:
    """What to measure."""

    preset: str = option(DEFAULT_PRESET, "Preset or TOML file whose model and batch are measured.")
    against: Literal["torch", "nothing"] = option("torch", "Compare with PyTorch, or only measure.")
    rounds: int = option(7, "Rounds; each measures every opponent once.")
    iters: int = option(20, "Training steps in a round.")

    def __post_init__(self):
        check_types(self)
        for name in ("rounds", "iters"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}.")


class Worker:
    """A process that runs rounds of training steps with one engine and says how long each took."""

    def __init__(self, engine: str, settings: dict):
        self.engine = engine
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tinygrad_gpt.bench.worker", engine, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def round(self, iters: int) -> dict:
        """Run `iters` steps; {"ms": milliseconds a step, "loss": the last step's}."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(f"{iters}\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise RunError(f"The {self.engine} process ended before its round was done; its words are above.") from None

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def bench(config: BenchConfig) -> None:
    """Measure and print. Raises `InputError` where the opponent is not installed, `RunError` where a run fails."""
    if config.against == "torch" and importlib.util.find_spec("torch") is None:
        raise InputError("PyTorch is not installed: `pip install torch`, or pass --against=nothing.")
    settings = asdict(TrainConfig(**load_preset(config.preset)))
    engines = ["ours", "torch"] if config.against == "torch" else ["ours"]
    workers = [Worker(engine, settings) for engine in engines]
    try:
        for worker in workers:
            worker.round(max(3, config.iters // 4))  # compiling, first touches of memory
        rounds = [[worker.round(config.iters) for worker in workers] for _ in range(config.rounds)]
    finally:
        for worker in workers:
            worker.close()
    console.print(f"{config.preset}: {config.rounds} rounds of {config.iters} training steps, in turn")
    for i, engine in enumerate(engines):
        console.print(
            f"{engine:>6}: {_spread([r[i]['ms'] for r in rounds])} ms a step, last loss {rounds[-1][i]['loss']:.4f}"
        )
    if len(engines) == 2:
        console.print(f"ours / torch: {_spread([ours['ms'] / theirs['ms'] for ours, theirs in rounds])}")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} (from {min(values):.3g} to {max(values):.3g})"
