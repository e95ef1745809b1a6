"""How a run has trained: its losses, and from one more step, taken in memory, each layer's gradient and update."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tinygrad_gpt.checkpoint import load_newest, load_state
from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.metrics import read_metrics
from tinygrad_gpt.runs import BEST, LAST
from tinygrad_gpt.start import resumed_run
from tinygrad_gpt.train import clip_factor, learning_rate, take_step

CURVES = ("loss", "train_loss", "val_loss", "lr")


def training_data(run_dir: Path) -> dict:
    """The curves of a run folder, and the step if its data can be found; else `missing` says why not."""
    records = read_metrics(run_dir)
    curves = {key: [[r["iter"], r[key]] for r in records if key in r] for key in CURVES}
    data: dict = {"name": run_dir.name, "curves": {key: points for key, points in curves.items() if points}}
    try:
        return data | {"step": one_step(run_dir)}
    except InputError as error:
        return data | {"missing": str(error)}


def one_step(run_dir: Path) -> dict:
    """The run's next training step: for each parameter the norms of weight, clipped gradient and update.

    Nothing is saved. A finished run takes its step at its last learning rate.
    """
    state, _ = load_newest([run_dir / LAST, run_dir / BEST], load_state)
    config = TrainConfig(**state.config)
    config = replace(config, out_dir=str(run_dir), init_from="resume", eval_only=True)  # a finished run opens too
    run = resumed_run(config)
    before = {name: p.detach().cpu().numpy().copy() for name, p in run.model.named_parameters() if p.requires_grad}
    loss, norm = take_step(run, learning_rate(run.config, min(run.iteration, run.config.max_iters - 1)))
    factor = float(clip_factor(run.config, norm))
    rows = []
    for name, parameter in run.model.named_parameters():
        if name in before and parameter.grad is not None:
            weight, update = np.linalg.norm(before[name]), parameter.detach().cpu().numpy() - before[name]
            rows.append(
                {
                    "name": name.removeprefix("transformer."),
                    "weight": float(weight),
                    "grad": factor * float(np.linalg.norm(parameter.grad.cpu().numpy())),
                    "ratio": float(np.linalg.norm(update) / weight) if weight else None,
                }
            )
    return {"iter": run.iteration, "loss": None if loss is None else loss.item(), "parameters": rows}
