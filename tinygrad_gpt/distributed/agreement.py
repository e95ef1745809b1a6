"""What all processes of a job must have in common: with other code, settings or data in one, the result is nobody's."""

import hashlib
import platform
from dataclasses import asdict
from importlib import resources

import numpy as np

from tensor.devices import CPU, move
from tinygrad_gpt.distributed.world import World
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.start import Run

PACKAGES = ("tensor", "nn", "tinygrad_gpt")


def require_agreement(world: World, run: Run) -> None:
    """Raise `InputError`, in all processes, where one of them is about to train something else than rank 0."""
    if world.size == 1:
        return
    first, *others = world.gather(facts(run))
    for rank, theirs in enumerate(others, start=1):
        different = [name for name in first if first[name] != theirs.get(name)]
        if different:
            listed = "; ".join(
                f"{name}: {theirs.get(name)} in process {rank}, {first[name]} in 0" for name in different
            )
            raise InputError(f"Process {rank} of {world.size} does not fit the others: {listed}.")


def facts(run: Run) -> dict[str, object]:
    """By name, what two processes must agree on."""
    settings = {f"--{name}": value for name, value in asdict(run.config).items() if name != "out_dir"}
    return settings | {
        "code (SHA-256)": code_sum(),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "data (fingerprint)": run.task.fingerprint,
        "iteration": run.iteration,
        "weights (SHA-256)": weights_sum(run),
    }


def code_sum() -> str:
    """Of all source files of the three packages."""
    total = hashlib.sha256()
    for package in PACKAGES:
        root = resources.files(package)
        with resources.as_file(root) as folder:
            for path in sorted(folder.rglob("*.py")):
                total.update(f"{package}/{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:12]


def weights_sum(run: Run) -> str:
    total = hashlib.sha256()
    for p in run.model.parameters():
        total.update(np.ascontiguousarray(move(p.array, CPU)).tobytes())
    return total.hexdigest()[:12]
