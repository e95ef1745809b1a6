"""Checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a folder:

    model.safetensors       the parameters, by name; a tied lm_head is not repeated
    optimizer.safetensors   AdamW's state, "NAME.KEY" for each trainable parameter: step, exp_avg, exp_avg_sq
    state.json              settings, iteration, best loss, random states, tokenizer, format version, and the
                            SHA-256 of the two other files and of its own values

A new one is written beside the old one and takes its place by two renames, so that a crash at any moment
leaves a complete one: `NAME`, or, between the two renames, `NAME.old`. The run's `last` keeps its `NAME.old` from then
on, in case that the disk itself damages the newer one: loading checks every byte.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

import nn
import tensor
from tensor.devices import CPU, move
from tinygrad_gpt.errors import InputError, RunError
from tinygrad_gpt.model import GPT, GPTConfig
from tinygrad_gpt.paths import sync
from tinygrad_gpt.tokenizer import Tokenizer, tokenizer_from_dict

FORMAT_VERSION = 2
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
DTYPES: dict[str, np.dtype] = {"F32": np.dtype(np.float32), "F64": np.dtype(np.float64)}  # by safetensors' names
SOME = 3  # names that a sentence lists before it says how many more there are

Loaded = TypeVar("Loaded")


class DamagedCheckpoint(InputError):
    """A checkpoint is not there, or not as it was saved: an older one may do."""

    def __init__(self, folder: Path, sentence: str):
        super().__init__(sentence)
        self.folder = folder


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
    grad_scaler: dict[str, Any] = dataclasses.field(default_factory=dict)  # of --dtype=float16
    sha256: dict[str, str] = dataclasses.field(default_factory=dict, compare=False)  # of the files; saving fills it in
    format_version: int = FORMAT_VERSION


# ---------------------------------------------------------------------- saving


def save_checkpoint(
    folder: Path, state: State, model: GPT, optimizer: nn.optim.Optimizer, *, keep_previous: bool = False
) -> None:
    """Write the checkpoint `folder` in place of the one that may be there, which stays as NAME.old if
    `keep_previous`. Raises `RunError` where the disk refuses; what was there before is then as it was.
    """
    new, old = _new(folder), _old(folder)
    try:
        if find(folder) == old:  # a crash between the two renames
            os.rename(old, folder)
        shutil.rmtree(new, ignore_errors=True)  # a crash's unfinished one
        new.mkdir()
        _write(new, state, model, optimizer)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(folder, old)
        os.rename(new, folder)
        sync(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(new, ignore_errors=True)  # gives its room back
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(
            f"The checkpoint {folder} cannot be written: {reason}. What was saved before is as it was; "
            "--init_from=resume goes on from there when the disk lets it."
        ) from error
    if not keep_previous:
        shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path, state: State, model: GPT, optimizer: nn.optim.Optimizer) -> None:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    save_file({name: _on_cpu(p.array) for name, p in model.named_parameters()}, folder / MODEL)
    moments: dict[str, np.ndarray] = {}
    for p, entries in optimizer.state.items():
        moments |= {f"{names[id(p)]}.{key}": _on_cpu(value) for key, value in entries.items()}
    save_file(moments, folder / OPTIMIZER)
    values = dataclasses.asdict(state)
    values["sha256"] = {name: _sha256(folder / name) for name in (MODEL, OPTIMIZER)}
    values["sha256"][STATE] = _sha256_of_values(values)
    (folder / STATE).write_text(json.dumps(values, indent=1, allow_nan=False), "utf-8")
    for path in (*folder.iterdir(), folder):
        sync(path)


def _on_cpu(value) -> np.ndarray:
    """An array of any device, or a count of steps, as safetensors takes it: in row-major order on the CPU."""
    return np.asarray(value) if isinstance(value, int) else np.ascontiguousarray(move(value, CPU))


def remove_checkpoint(folder: Path) -> None:
    for path in (folder, _new(folder), _old(folder), _damaged(folder), _damaged(_old(folder))):
        shutil.rmtree(path, ignore_errors=True)


# ---------------------------------------------------------------------- finding


def find(folder: Path) -> Path:
    """Where the checkpoint `folder` is: there, or at NAME.old, if its last save has come no further than that."""
    return _old(folder) if not folder.exists() and _old(folder).exists() else folder


def load_newest(folders: Iterable[Path], load: Callable[[Path], Loaded]) -> tuple[Loaded, list[DamagedCheckpoint]]:
    """What `load` returns for the first of `folders` that is whole, or for its NAME.old, and what is wrong with those
    before it. Raises the `InputError` of all where none is.
    """
    folders = list(folders)
    damaged: list[DamagedCheckpoint] = []
    for folder in [path for name in folders for path in (name, _old(name)) if path.exists()] or folders[:1]:
        try:
            return load(folder), damaged
        except DamagedCheckpoint as error:
            damaged.append(error)
    raise InputError(" ".join(map(str, damaged)))


def set_aside(damaged: Iterable[DamagedCheckpoint]) -> None:
    """Rename damaged checkpoints to NAME.damaged, so that no later save takes one of them for the good old one."""
    for error in damaged:
        shutil.rmtree(_damaged(error.folder), ignore_errors=True)
        os.rename(error.folder, _damaged(error.folder))


def _new(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.new")


def _old(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.old")


def _damaged(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.damaged")


# ---------------------------------------------------------------------- loading


def load_state(folder: Path) -> State:
    """Read state.json. Raises `DamagedCheckpoint` where there is no checkpoint, or one that was changed, and
    `InputError` for the format of another version of this program.
    """
    path = find(folder) / STATE
    try:
        values = json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise DamagedCheckpoint(folder, f"There is no checkpoint in {folder} (no {STATE}).") from None
    except OSError as error:
        raise DamagedCheckpoint(folder, f"The checkpoint {folder} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise _damage(path, "it is not JSON") from None
    if not isinstance(values, dict) or "format_version" not in values:
        raise _damage(path, "it was not written by this program")
    if values["format_version"] != FORMAT_VERSION:
        raise InputError(
            f"The checkpoint {folder} has format version {values['format_version']}; "
            f"this program reads version {FORMAT_VERSION}."
        )
    sums = values.get("sha256")
    if not isinstance(sums, dict) or sums.get(STATE) != _sha256_of_values(values):
        raise _damage(path, "it is not as it was saved (its SHA-256 differs)")
    try:
        return State(**values)
    except TypeError:
        raise _damage(path, "it lacks or adds a value") from None


def load_model(folder: Path, state: State) -> GPT:
    """The checkpoint's model, in training mode on the CPU, in the precision that it was saved in."""
    path = find(folder) / MODEL
    _check(path, state)
    try:
        with nn.init.skip_init():  # the file has them all
            model = GPT(GPTConfig(**state.model))
    except (TypeError, ValueError) as error:
        raise _damage(path.with_name(STATE), f"it describes no model: {error}") from None
    with _open(path) as file:
        model.to(dtype=_common_dtype(path, file))
        parameters = dict(model.named_parameters())
        _require_shapes(path, file, {name: p.shape for name, p in parameters.items()})
        for name, parameter in parameters.items():
            parameter.data = tensor.from_numpy(file.get_tensor(name))
    return model


def load_optimizer(folder: Path, state: State, model: GPT, optimizer: nn.optim.Optimizer) -> None:
    """Give the optimizer of `model` the checkpoint's state; its hyper-parameters stay those it was made with.

    Raises `InputError` where other parameters of the model are trainable than when it was saved.
    """
    path = find(folder) / OPTIMIZER
    _check(path, state)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    trainable = {names[id(p)]: p for group in optimizer.param_groups for p in group["params"]}
    with _open(path) as file:
        saved = {key.rpartition(".")[0] for key in file.keys()}  # noqa: SIM118 (a file, not a dict)
        if not saved:
            return  # before the first step
        if differing := saved ^ trainable.keys():
            raise InputError(
                f"The checkpoint {folder} was saved with other trainable parameters; of only one of both: "
                f"{_some(differing)}. Freeze the same ones again."
            )
        shapes: dict[str, tuple[int, ...]] = {f"{name}.step": () for name in trainable}
        shapes |= {f"{name}.{key}": p.shape for name, p in trainable.items() for key in ("exp_avg", "exp_avg_sq")}
        _require_shapes(path, file, shapes)
        for name, p in trainable.items():
            optimizer.state[p] = {"step": int(file.get_tensor(f"{name}.step"))} | {
                key: move(file.get_tensor(f"{name}.{key}"), p.device) for key in ("exp_avg", "exp_avg_sq")
            }


def load_tokenizer(state: State) -> Tokenizer:
    return tokenizer_from_dict(state.tokenizer)


# ---------------------------------------------------------------------- checks


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of_values(values: dict[str, Any]) -> str:
    """Of state.json's values, however they are laid out in the file, but for this very sum."""
    sums = {name: text for name, text in values["sha256"].items() if name != STATE}
    return hashlib.sha256(json.dumps(values | {"sha256": sums}, sort_keys=True).encode()).hexdigest()


def _refuse_constant(name: str):
    raise ValueError(f"{name} is not JSON")


def _damage(path: Path, what: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(path.parent, f"The checkpoint {path.parent} is damaged: {path.name}: {what}.")


def _check(path: Path, state: State) -> None:
    try:
        same = _sha256(path) == state.sha256.get(path.name)
    except FileNotFoundError:
        raise _damage(path, "it is missing") from None
    except OSError as error:
        raise _damage(path, f"it cannot be read ({error.strerror})") from None
    if not same:
        raise _damage(path, "it is not as it was saved (its SHA-256 differs)")


def _open(path: Path):
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise _damage(path, str(error)) from None


def _common_dtype(path: Path, file) -> np.dtype:
    found = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    if len(found) != 1 or not found <= DTYPES.keys():
        raise _damage(path, f"its arrays should be all F32 or all F64, they are {', '.join(sorted(found)) or 'none'}")
    return DTYPES[found.pop()]


def _require_shapes(path: Path, file, expected: dict[str, tuple[int, ...]]) -> None:
    names = set(file.keys())
    problems = []
    if missing := expected.keys() - names:
        problems.append(f"it lacks {_some(missing)}")
    if extra := names - expected.keys():
        problems.append(f"it adds {_some(extra)}")
    for name in sorted(expected.keys() & names):
        shape = tuple(file.get_slice(name).get_shape())
        if shape != tuple(expected[name]):
            problems.append(f"{name} has the shape {shape} instead of {tuple(expected[name])}")
    if problems:
        raise _damage(path, "it does not fit state.json: " + "; ".join(problems[:SOME]))


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - SOME} more" if len(listed) > SOME else ""
    return ", ".join(listed[:SOME]) + more
