"""Switches that hold for a block of code: is the graph recorded, and are NaNs hunted?

Each works as `with no_grad():`, as `@no_grad()` and as `@no_grad`. They are per thread, as in PyTorch.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from typing import Any

import numpy as np

_is_quiet = contextvars.ContextVar("_is_quiet", default=False)
is_quiet = _is_quiet.get  # does this run in `state.quiet`?


class _State(threading.local):
    grad_enabled = True
    anomaly = False
    autocast: str | None = None  # the device type whose products are float16 (tensor/ops/autocast.py)
    recorder: Any = None  # while one is at work (tensor/profiler.py), it runs each op's forward and backward

    # `state.quiet.run(function, *args)` runs it without NumPy's warnings: log(0) is -inf, quietly, as in PyTorch. NumPy
    # keeps what to warn about in the context (contextvars). Running in one where that was set up once costs a tenth of
    # `with np.errstate(...)`, which takes longer than a small op itself. It cannot be entered twice: ask is_quiet().
    quiet: contextvars.Context

    def __init__(self):  # once in each thread
        self.quiet = contextvars.copy_context()
        self.quiet.run(_is_quiet.set, True)
        self.quiet.run(np.seterr, all="ignore")


state = _State()


class _Switch(contextlib.ContextDecorator):
    """Set one field of `state` on entry, and what it was before on exit."""

    field = "grad_enabled"
    value = True

    def __new__(cls, function=None):
        switch = super().__new__(cls)
        switch._before = []  # a stack, since a decorated function may call itself
        return switch if function is None else switch(function)

    def __enter__(self):
        self._before.append(getattr(state, self.field))
        setattr(state, self.field, self.value)
        return self

    def __exit__(self, *exception):
        setattr(state, self.field, self._before.pop())


class no_grad(_Switch):
    """Record no graph: results do not require grad, and in-place writes to leaves are allowed."""

    value = False


class enable_grad(_Switch):
    """Record the graph again inside a `no_grad` block."""


class inference_mode(no_grad):
    """PyTorch's name for "only evaluating". Here the very same as `no_grad`."""


class set_grad_enabled(_Switch):
    """`set_grad_enabled(flag)`: as a call it holds from here on, as a `with` for the block."""

    def __new__(cls, mode: bool):
        switch = super().__new__(cls)
        switch.value = mode
        switch._outer = state.grad_enabled
        state.grad_enabled = mode
        return switch

    def __enter__(self):
        self._before.append(self._outer)
        state.grad_enabled = self.value
        return self

    def __call__(self, function):
        state.grad_enabled = self._outer  # as a decorator it holds inside `function` alone
        return (enable_grad if self.value else no_grad)(function)


class detect_anomaly(_Switch):
    """Find the op that first makes a NaN or an inf, forward or backward, and say where it was called.

    An inf that the code wrote on purpose (the `-inf` of an attention mask) is no anomaly: reported is
    the op that turns finite inputs into an inf, or inputs without NaN into a NaN. Slow: for debugging.
    """

    field = "anomaly"


def is_grad_enabled() -> bool:
    """Are graphs recorded at the moment?"""
    return state.grad_enabled
