"""What `detect_anomaly()` looks for: the op that first makes a NaN or an inf, and where it was called."""

from __future__ import annotations

import pathlib
import traceback

import numpy as np

from tensor.devices import is_array, namespace

_ENGINE = str(pathlib.Path(__file__).parent)


def call_site() -> str:
    """The stack outside the engine, innermost call last, as a traceback shows it."""
    frames = [f for f in traceback.extract_stack() if not f.filename.startswith(_ENGINE)]
    return "".join(traceback.format_list(frames[-4:])).rstrip()


def _bad(values, test) -> bool:
    """Does any floating value among arrays, numbers and None fail `test` (isnan or isinf)?"""
    for v in values:
        if is_array(v) and v.dtype.kind == "f":
            if getattr(namespace(v), test)(v).any():
                return True
        elif isinstance(v, float) and getattr(np, test)(v):
            return True
    return False


def _first_made(inputs, results) -> str | None:
    """'NaN' or 'inf' if `results` hold one that `inputs` do not explain, else None."""
    if _bad(results, "isnan") and not _bad(inputs, "isnan"):
        return "NaN"
    if _bad(results, "isinf") and not _bad(inputs, "isinf") and not _bad(inputs, "isnan"):
        return "inf"
    return None


def check_forward(op, inputs, results) -> None:
    """Raise if the forward of `op` made a NaN or inf out of inputs that had none."""
    found = _first_made(inputs, results)
    if found:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs if is_array(x))
        raise RuntimeError(f"{op.name} made the first {found} (inputs of shape {shapes}); called at\n{call_site()}")


def check_backward(op, dys, grads) -> None:
    """Raise if the backward of `op` made a NaN or inf out of gradients that had none."""
    found = _first_made(dys, grads)
    if found:
        where = f"its forward was called at\n{op.where}" if op.where else "run the forward in detect_anomaly() too"
        raise RuntimeError(f"the backward of {op.name} made the first {found}; {where}")
