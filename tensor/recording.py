"""`with record():` keeps what happens in a forward and a backward pass, so that `loss.explain()` can show it.

    with tensor.record():
        loss = F.cross_entropy(model(x), y)
        loss.backward()
    print(loss.explain())

A `Step` is one call of an op. Of each array that went in or came out, and of each gradient, it keeps a `Snapshot`: a
few numbers about it, and its values if it is small. So the graph may be freed by backward as always, in-place writes
do not reach what was kept, and a large model can be recorded. The graph itself (where each input came from) is
taken over from the ops' edges. Outside the block nothing is kept, and nothing costs time.
"""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from tensor.autograd import broadcast_axes, unbroadcast
from tensor.devices import CPU, is_array, move
from tensor.op import Op
from tensor.profiler import profile
from tensor.tensor import Tensor

_ROOT = pathlib.Path(__file__).parents[1]
_NOT_THE_USERS = (f"{_ROOT / 'tensor'}{os.sep}", f"{_ROOT / 'nn'}{os.sep}", contextlib.__file__)


class Snapshot:
    """What is kept of an array: shape, dtype, Euclidean norm, mean, least and largest element, and `values`.

    `values` is a copy of the whole array if it has at most `limit` elements; else of a corner of it, with as many
    dims: the first √limit along each of the last two, and the first of all dims before.
    """

    __slots__ = ("dtype", "high", "low", "mean", "norm", "shape", "values")

    def __init__(self, value, limit: int):
        array = move(value, CPU) if is_array(value) else np.asarray(value)
        self.shape, self.dtype = array.shape, array.dtype
        numbers = array.reshape(-1) if array.dtype.kind == "f" else array.reshape(-1).astype(np.float64)
        with np.errstate(all="ignore"):
            self.norm = float(np.linalg.norm(numbers))
            self.mean, self.low, self.high = (
                (float(numbers.mean(dtype=np.float64)), float(numbers.min()), float(numbers.max()))
                if numbers.size
                else (math.nan, math.nan, math.nan)
            )
        self.values = _corner(array, limit).copy()

    @property
    def is_whole(self) -> bool:
        return self.values.shape == self.shape


def _corner(array, limit: int):
    if array.size <= limit:
        return array
    side = math.isqrt(limit)
    last = (slice(side),) * 2 if array.ndim > 1 else (slice(limit),)
    return array[(slice(1),) * (array.ndim - 2) + last]


class ModuleCall:
    """One call of a module. `name` is its dotted name in the first module that was called and has it."""

    __slots__ = ("kind", "name", "outer")

    def __init__(self, name: str, kind: str, outer: ModuleCall | None):
        self.name, self.kind, self.outer = name, kind, outer

    @property
    def path(self) -> list[ModuleCall]:
        """The calls around this one, outermost first, and itself."""
        return [*(self.outer.path if self.outer else ()), self]


class Leaf:
    """Where the graph begins: a parameter, an input that requires grad. `grad` is what the recorded backward gave."""

    __slots__ = ("grad", "name", "total", "value")

    def __init__(self, name: str, value: Snapshot):
        self.name, self.value = name, value  # the value that the first op to use it saw
        self.total = None  # the gradient as an array, while the block runs
        self.grad: Snapshot | None = None


class Step:
    """One call of an op: where it was called, what went in and came out, and the gradients of both.

    Attributes:
        op: the Op class, with `vjp`, `forward` and `backward`.
        settings: the keyword arguments that are plain numbers, strings or tuples, like `dim`.
        file, line: the innermost line of the call outside `tensor/` and `nn/`.
        module: the innermost module that was running; None outside any.
        inputs, outputs: Snapshots, of Python scalars as well; None for an input that is None.
        sources: for each input (Step or Leaf, number of the output); None where no gradient goes.
        output_grads, input_grads: Snapshots or None, alike in order; empty before backward.
        summed: for each input the axes of the arriving gradient over which it was summed, because the input
            was broadcast along them.
        inside: the steps that ran within this one's backward (a checkpointed segment, computed again).
    """

    def __init__(self, op: type[Op], number: int, module: ModuleCall | None, recorder: record):
        self.op, self.number, self.module = op, number, module
        self.file, self.line = _users_line()
        self.settings: dict = {}
        self.inputs: list[Snapshot | None] = []
        self.outputs: list[Snapshot] = []
        self.output_grads: list[Snapshot | None] = []
        self.input_grads: list[Snapshot | None] = []
        self.summed: list[tuple[int, ...]] = []
        self.inside: list[Step] = []
        self.forward_seconds = self.backward_seconds = 0.0
        self._sources: list | None = None
        self._recorder = recorder
        self._op: weakref.ref[Op] | None = None

    @property
    def name(self) -> str:
        return self.op.__name__

    @property
    def sources(self) -> list[tuple[Step | Leaf, int] | None]:
        if self._sources is None:  # backward has not come here (yet)
            op = self._op() if self._op else None
            if op is None or op.edges is None:
                raise RuntimeError("explain: a backward outside the `with tensor.record():` block has freed the graph")
            self._sources = self._recorder._sources(op, self)
        return self._sources


def _is_plain(value) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | float | str)


def _users_line() -> tuple[str, int]:
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame = frame.f_back
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


class record(profile):
    """Keep every step of this thread's forward and backward passes while the block runs, for `explain()`.

    Args:
        limit: arrays of up to so many elements are kept whole, of larger ones a corner and a few numbers.
        axes: the sizes of axes by their names, {"B": 4, "T": 8}, by which shapes are shown. A size that two names
            have stays a number: name also those that could be taken for others.
        names: leaves by the names they should go by; a module's parameters have theirs.
    """

    def __init__(self, limit: int = 4096, axes: dict[str, int] | None = None, names: dict[str, Tensor] | None = None):
        super().__init__()
        self.limit, self.axes = limit, axes or {}
        self._count = 0
        self._module: ModuleCall | None = None  # the innermost that is running
        self._inside: list[list[Step]] = []  # of each backward that is running, the steps that ran within
        self._leaves: dict[int, tuple[Leaf, object]] = {}  # by id; the object itself, so that the id stays its own
        self._leaf_names = {id(leaf): name for name, leaf in (names or {}).items()}

    def __exit__(self, *exception) -> None:
        super().__exit__(*exception)
        for leaf, _ in self._leaves.values():
            self._settle(leaf)

    def _settle(self, leaf: Leaf) -> None:
        if leaf.total is not None:
            leaf.grad = Snapshot(leaf.total, self.limit)

    @contextlib.contextmanager
    def module(self, module) -> Iterator[None]:
        """In the block, ops belong to this call of `module`."""
        if id(module) not in self._names:
            for name, parameter in module.named_parameters():
                self._leaf_names.setdefault(id(parameter), name)
        outer = self._module
        self._module = ModuleCall(self._name(module), type(module).__name__, outer)
        try:
            yield
        finally:
            self._module = outer

    def forward(self, op, /, *arrays, **params):
        """Run `op.forward` as a new step."""
        step = op.step = Step(type(op), self._count, self._module, self)
        self._count += 1
        step._op = weakref.ref(op)
        step.settings = {name: value for name, value in params.items() if _is_plain(value)}
        step.inputs = self._snapshots(arrays)
        result, step.forward_seconds = self._timed(op.forward, arrays, params)
        step.outputs = self._snapshots(result if isinstance(result, tuple) else (result,))
        return result

    def backward(self, op, *dys):
        """Run `op.backward`, and add to its step where the inputs came from and all gradients."""
        step = getattr(op, "step", None)
        if step is None:  # its forward ran outside the block
            return op.backward(*dys)
        step._sources = self._sources(op, step)
        step.output_grads = self._snapshots(dys)
        if self._inside:
            self._inside[-1].append(step)
        outer, self._module = self._module, step.module  # a segment that runs again does so where it first ran
        self._inside.append(step.inside)
        step.inside.clear()
        try:
            grads, step.backward_seconds = self._timed(op.backward, dys, {})
        finally:
            self._inside.pop()
            self._module = outer
        gradients: list = []
        step.summed = []
        parts = grads if isinstance(grads, tuple | list) else [grads]
        for target, source, g in zip(op.edges, step._sources, parts, strict=False):  # the engine checks their number
            axes: tuple[int, ...] = ()
            if target is None or g is None:
                g = None
            else:
                g, shape = g if is_array(g) else np.asarray(g), target[2]
                axes = broadcast_axes(g.shape, shape)
                g = g if g.shape == shape else unbroadcast(g, shape, op)
                leaf = source[0]
                if isinstance(leaf, Leaf) and not self._inside:  # what ran inside arrives again, as this op's gradient
                    leaf.total = g if leaf.total is None else leaf.total + g
            gradients.append(g)
            step.summed.append(axes)
        step.input_grads = self._snapshots(gradients)
        return grads

    def _snapshots(self, values) -> list[Any]:
        self.enter("")  # time that no op must be charged with
        kept = [None if value is None else Snapshot(value, self.limit) for value in values]
        self._pop()
        return kept

    def _sources(self, op, step: Step) -> list:
        found: list = []
        inputs: list[Any] = step.inputs
        for target, value in zip(op.edges, inputs, strict=True):
            if target is None:
                found.append(None)
                continue
            source, nr = target[:2]
            came_from = None if isinstance(source, Tensor) else getattr(source, "step", None)
            found.append((came_from or self._leaf(source, value), nr))
        return found

    def _leaf(self, source, value: Snapshot) -> Leaf:
        if id(source) not in self._leaves:
            name = self._leaf_names.get(id(source), "" if isinstance(source, Tensor) else f"{source.name}, earlier")
            self._leaves[id(source)] = Leaf(name, value), source
        return self._leaves[id(source)][0]
