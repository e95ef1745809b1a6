"""Where the time goes: each op's seconds and bytes, forward and backward, in PyTorch's spelling.

    with tensor.profiler.profile() as prof:
        with tensor.profiler.record_function("attention"):
            ...
    prof.by_op()["Matmul"].forward

The engine has one hook for all that wants to watch it at work: while `state.recorder` is set, the recorder runs each op
(`forward(op, *arrays, **params)`, `backward(op, *dys)`) in the engine's place, and is told of the modules that the ops
run in (`with module(m):`). Without one, an op or a module pays for one test. `tensor/recording.py` is another recorder.
"""

from __future__ import annotations

import contextlib
import re
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tensor.cuda import synchronize
from tensor.devices import is_array, memory_owner, namespace
from tensor.modes import state

OUTSIDE = "outside ops"  # Python between the ops, and work that is no op: an optimizer's step, reading data


class Cost:
    """What an op, or all ops of a scope, took. Time in ops that ran inside is theirs, not this one's."""

    calls = 0  # forward
    backward_calls = 0
    forward = 0.0  # seconds
    backward = 0.0  # seconds
    forward_bytes = 0  # of the arrays that were made and kept: results, and what backward will need
    backward_bytes = 0  # of the gradients that were made

    @property
    def seconds(self) -> float:
        return self.forward + self.backward

    def add(self, other: Cost) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class _Frame:
    """An op or a scope that is running."""

    inside = 0.0  # seconds of what ran inside

    def __init__(self, scope: str):
        self.scope, self.start = scope, time.perf_counter()


class profile:
    """Record every op of this thread while the block runs; then read `by_op()`, `by_scope()` and `seconds`.

    The times are of the ops' own `forward` and `backward`; all the rest (the engine's bookkeeping, Python, the
    optimizer) is `OUTSIDE`, so that the costs add up to `seconds`, the time of the whole block. What it takes to count
    bytes is in neither.

    What a module computes belongs to a scope of the module's name. The members of a list share theirs
    (`transformer.h.*.attn`), so that the costs of a model's blocks are summed.
    """

    seconds: float = 0.0

    def __init__(self) -> None:
        self.costs: dict[tuple[str, str], Cost] = {}  # (scope, op) -> cost
        self._frames: list[_Frame] = []
        self._scope_of: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # op -> the scope it was called in
        self._names: dict[int, tuple[str, Any]] = {}  # id of a module -> its name, and itself, so that it stays

    def __enter__(self) -> profile:
        self._before, state.recorder = state.recorder, self
        self.enter("")
        return self

    def __exit__(self, *exception) -> None:
        state.recorder = self._before
        while self._frames:  # more than one where an exception left a scope open
            self.leave()

    # ------------------------------------------------------------------ what the engine calls

    def forward(self, op, /, *arrays, **params):
        """Run and time `op.forward`."""
        scope = self._scope_of[op] = self._frames[-1].scope
        cost = self._cost(scope, op.name)
        result, seconds = self._timed(op.forward, arrays, params)
        cost.calls += 1
        cost.forward += seconds
        cost.forward_bytes += self._fresh_bytes([result, *vars(op).values()], known=arrays)
        return result

    def backward(self, op, *dys):
        """Run and time `op.backward`; it counts for the scope that the forward was called in."""
        cost = self._cost(self._scope_of.get(op, ""), op.name)
        saved = list(vars(op).values())  # before backward frees some
        grads, seconds = self._timed(op.backward, dys, {})
        cost.backward_calls += 1
        cost.backward += seconds
        cost.backward_bytes += self._fresh_bytes([grads], known=[*dys, *saved])
        return grads

    def _timed(self, function: Callable, arrays: Sequence, params: dict):
        """(the result, the seconds it took without the ops and scopes inside)."""
        self.enter(self._frames[-1].scope)
        try:
            result = function(*arrays, **params)
            if namespace(*arrays) is not np:
                synchronize()  # a GPU answers before it has computed
        finally:
            seconds = self._pop()
        return result, seconds

    def _fresh_bytes(self, values: Iterable, known: Sequence) -> int:
        """Bytes of the memory that the arrays among `values` look at and no array in `known` does; in no one's time."""
        start = time.perf_counter()
        before = {id(owner) for owner in _owners(known)}
        count = sum({id(owner): owner.nbytes for owner in _owners(values) if id(owner) not in before}.values())
        spent = time.perf_counter() - start
        self._frames[-1].inside += spent
        self.seconds -= spent
        return count

    # ------------------------------------------------------------------ scopes

    def enter(self, scope: str) -> None:
        """From here until `leave()`, ops belong to `scope`."""
        self._frames.append(_Frame(scope))

    @contextlib.contextmanager
    def module(self, module) -> Iterator[None]:
        """In the block, ops belong to the scope of `module`."""
        self.enter(re.sub(r"\.\d+(?=\.|$)", ".*", self._name(module)))
        try:
            yield
        finally:
            self.leave()

    def _name(self, module) -> str:
        """The name of `module` in the first module that was called and has it; that one itself goes by its class."""
        if id(module) not in self._names:
            for name, part in module.named_modules():
                self._names.setdefault(id(part), (name or type(part).__name__, part))
        return self._names[id(module)][0]

    def leave(self) -> None:
        scope = self._frames[-1].scope
        self._cost(scope, OUTSIDE).forward += self._pop()

    def _pop(self) -> float:
        """End the innermost frame; its seconds without those of what ran inside."""
        frame = self._frames.pop()
        seconds = time.perf_counter() - frame.start
        if self._frames:
            self._frames[-1].inside += seconds
        else:
            self.seconds += seconds
        return seconds - frame.inside

    # ------------------------------------------------------------------ reading

    def _cost(self, scope: str, name: str) -> Cost:
        return self.costs.setdefault((scope, name), Cost())

    def by_op(self) -> dict[str, Cost]:
        """The cost of each op by its name, most time first; the last is OUTSIDE."""
        return self._folded(lambda scope, name: name)

    def by_scope(self) -> dict[str, Cost]:
        """The cost of each scope by its name, most time first; "" is what ran in none."""
        return self._folded(lambda scope, name: scope)

    def _folded(self, key: Callable[[str, str], str]) -> dict[str, Cost]:
        folded: dict[str, Cost] = {}
        for (scope, name), cost in self.costs.items():
            folded.setdefault(key(scope, name), Cost()).add(cost)
        return dict(sorted(folded.items(), key=lambda item: (item[0] == OUTSIDE, -item[1].seconds)))


class record_function:
    """`with record_function("step"):` the ops of the block belong to the scope "step" where a `profile` is running."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> record_function:
        self._recorder = state.recorder
        if self._recorder is not None:
            self._recorder.enter(self.name)
        return self

    def __exit__(self, *exception) -> None:
        if self._recorder is not None:
            self._recorder.leave()


def _owners(values: Iterable) -> list:
    """The arrays that own the memory of those in `values`, tuples and lists of them included."""
    flat = [v for value in values for v in (value if isinstance(value, (tuple, list)) else (value,))]
    return [memory_owner(v) for v in flat if is_array(v)]
