"""When two training runs count as one: what the tests of resuming compare."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tinygrad_gpt.metrics import read_metrics


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors") | {
        f"optimizer {name}": array for name, array in load_file(folder / "optimizer.safetensors").items()
    }


def without_speed(folder: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k not in ("tokens_per_s", "mfu")} for line in read_metrics(folder)]


def assert_same_run(one: Path, other: Path) -> None:
    """Bit for bit: metrics, weights, optimizer and random states."""
    assert without_speed(one) == without_speed(other)
    for name in ("last", "best"):
        ours, theirs = weights(one / name), weights(other / name)
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{name} {key}")
        states = [json.loads((folder / name / "state.json").read_text()) for folder in (one, other)]
        for state in states:
            state["config"].pop("out_dir")
            state["config"].pop("max_iters")
            state["sha256"].pop("state.json")  # of these settings too
        assert states[0] == states[1]


def assert_skips_its_first_step(train, folder: Path) -> None:
    """`train(*options)`, which returns what is printed, leaves the weights as they are where the gradient overflows.

    With two tokens in a batch the first loss scale, 65536, is too large for the gradient of the head.
    """
    options = ("--dtype=float16", "--batch_size=1", "--block_size=2", "--max_iters=1", "--eval_interval=1")
    printed = train(f"--out_dir={folder}", *options)
    assert "iter 0: a gradient overflowed float16, the step is skipped; loss scale 32768 from here" in printed
    before, after = (load_file(folder / name / "model.safetensors") for name in ("best", "last"))
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    states = [json.loads((folder / name / "state.json").read_text()) for name in ("best", "last")]
    assert [state["iteration"] for state in states] == [0, 1]
    assert [state["grad_scaler"]["scale"] for state in states] == [65536, 32768]
