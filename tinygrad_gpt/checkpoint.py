"""Checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a folder:

    model.safetensors       the parameters, by name; the tied lm_head is not repeated
    optimizer.safetensors   AdamW's state, "INDEX.KEY" for parameter INDEX: step, exp_avg, exp_avg_sq
    state.json              settings, iteration, best loss, random states, tokenizer, format version

A new one is written beside the old one and takes its place by two renames, so that a crash at any moment
leaves a complete one: `NAME`, or, between the two renames, `NAME.old`.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import nn
import tensor
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.model import GPT, GPTConfig
from tinygrad_gpt.paths import sync
from tinygrad_gpt.tokenizer import Tokenizer, tokenizer_from_dict

FORMAT_VERSION = 1


@dataclass(frozen=True)
class State:
    """state.json: all of a checkpoint but the arrays."""

    config: dict[str, Any]  # TrainConfig's fields
    model: dict[str, Any]  # GPTConfig's fields
    tokenizer: dict[str, Any]
    iteration: int  # steps done; the next one has this number
    best_val_loss: float | None  # nats a token; None before the first validation
    corpus_sha256: str
    rng: dict[str, Any]  # "engine": weights and dropout, "data": batches
    format_version: int = FORMAT_VERSION


def save_checkpoint(folder: Path, state: State, model: GPT, optimizer: nn.optim.Optimizer) -> None:
    """Write the checkpoint `folder`, in place of the one that may be there."""
    recover(folder)
    new, old = _new(folder), _old(folder)
    shutil.rmtree(new, ignore_errors=True)  # a crash's unfinished one
    new.mkdir(parents=True)
    save_file({name: _numpy(p) for name, p in model.named_parameters()}, new / "model.safetensors")
    save_file(_flat(optimizer.state_dict()["state"]), new / "optimizer.safetensors")
    (new / "state.json").write_text(json.dumps(asdict(state), indent=1), "utf-8")
    for path in (*new.iterdir(), new):
        sync(path)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
    os.rename(new, folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Undo the first rename of a save that crashed before the second one."""
    if not folder.exists() and _old(folder).exists():
        os.rename(_old(folder), folder)


def remove_checkpoint(folder: Path) -> None:
    for path in (folder, _new(folder), _old(folder)):
        shutil.rmtree(path, ignore_errors=True)


def load_state(folder: Path) -> State:
    """Read state.json. Raises `InputError` where there is no checkpoint, or one that cannot be read."""
    recover(folder)
    path = folder / "state.json"
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError:
        raise InputError(f"There is no checkpoint in {folder} (no readable {path.name}).") from None
    except ValueError:
        raise InputError(f"The checkpoint {folder} is damaged: {path.name} is not JSON.") from None
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            f"The checkpoint {folder} has format version {version}; this program reads version {FORMAT_VERSION}."
        )
    try:
        return State(**values)
    except TypeError:
        raise InputError(f"The checkpoint {folder} is damaged: {path.name} lacks or adds a value.") from None


def load_model(folder: Path, state: State) -> GPT:
    """The checkpoint's model, in training mode on the CPU, in the precision that it was saved in."""
    weights = _load_arrays(folder / "model.safetensors")
    model = GPT(GPTConfig(**state.model))
    model.to(dtype=next(iter(weights.values())).dtype)
    try:
        model.load_state_dict(weights | {"lm_head.weight": weights["transformer.wte.weight"]})
    except (KeyError, RuntimeError) as error:
        raise InputError(f"The checkpoint {folder} does not fit its own settings: {error}") from None
    return model


def load_optimizer(folder: Path, optimizer: nn.optim.Optimizer) -> None:
    """Give the optimizer the checkpoint's state; its hyper-parameters stay those it was made with."""
    state: dict[int, dict[str, Any]] = {}
    for name, array in _load_arrays(folder / "optimizer.safetensors").items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor.from_numpy(array)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def load_tokenizer(state: State) -> Tokenizer:
    return tokenizer_from_dict(state.tokenizer)


def _new(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.new")


def _old(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.old")


def _numpy(value: tensor.Tensor) -> np.ndarray:
    return np.ascontiguousarray(value.detach().cpu().numpy())


def _flat(state: dict[int, dict[str, Any]]) -> dict[str, np.ndarray]:
    return {f"{index}.{key}": _numpy(value) for index, values in state.items() for key, value in values.items()}


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"The checkpoint {path.parent} lacks {path.name}.") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"The checkpoint {path.parent} is damaged: {path.name}: {error}") from None
