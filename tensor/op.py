"""An `Op` is one differentiable operation: its forward, and beside it its backward.

Running one (`Op.apply`) computes its result and, where an input requires grad, keeps the op as a node of the
graph: its *edges* point to where its inputs came from. `tensor/autograd.py` walks that graph. Everything
that all ops have in common on the way forward happens here, once: unwrapping, device checks, recording, and
noting what must not change until backward. An op is left with its mathematics.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tensor import anomaly
from tensor.checks import check_devices
from tensor.devices import beside, is_array_type, memory_owner, namespace
from tensor.modes import is_quiet, state
from tensor.tensor import Tensor, WriteCounter, wrap

_numbers = itertools.count()


def next_number() -> int:
    """The number of the next op: ops that are recorded from now on have larger ones."""
    return next(_numbers)


class Op:
    """One differentiable operation: subclass it, write `forward` and `backward`, call `apply`.

    `forward(self, *inputs, **params)` gets raw arrays (and Python scalars) and returns an array, or a tuple of
    arrays for several outputs. Whatever `backward` will need is stored on `self` (`self.x = x`): arrays stored
    there are watched, and if one is written in place before `backward` used it, `backward` raises.

    `backward(self, dy)` gets the gradient of each output and returns the gradient of each input, in
    order: one array if there is one input, else a tuple. A gradient may have the broadcast
    shape, it is summed back; it is None where the input does not want one (`self.needs[i]` tells).
    Neither method may write into its arguments.

    >>> class Square(Op):
    ...     vjp = "dx = 2 x ⊙ dy"
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * x
    ...     def backward(self, dy):
    ...         return 2 * self.x * dy
    >>> y = Square.apply(x)
    """

    # The engine's own fields are slots, so `vars(op)` holds just what `forward` saved.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "edges",
        "hooks",
        "needs",
        "number",
        "outputs",
        "retained",
        "saved",
        "step",
        "where",
    )

    vjp = ""  # the formula of `backward`, one line, for people: explain(), docs, the explorer

    needs: list[bool]  # for each input: does it want a gradient?
    number: int  # ops are numbered as they are recorded
    edges: list[tuple[Any, int, tuple[int, ...], np.dtype] | None] | None  # see `edge`; None once freed
    outputs: list[tuple[tuple[int, ...], np.dtype]]  # shape and dtype of each output
    saved: list[tuple[str, WriteCounter, int]]  # see `_watch`
    hooks: dict[int, list] | None  # output number -> tensor hooks
    retained: dict[int, weakref.ref[Tensor]] | None  # output number -> the Tensor that asked for retain_grad()
    where: str | None  # the call site, recorded under detect_anomaly()
    step: Any  # what a `record()` keeps of it (tensor/recording.py); not there without one

    def forward(self, *inputs, **params):
        """Compute the result from raw arrays."""
        raise TypeError(f"{type(self).__name__} has no forward: define `forward(self, *inputs, **params)`")

    backward: Callable | None = None  # an op without one has no gradient rule

    @classmethod
    def apply(cls, *inputs, **params):
        """Run the op on `inputs` (Tensors and Python scalars) and record it if an input requires grad."""
        op = cls()
        grad_enabled, forward = state.grad_enabled, op.forward
        arrays, needs, tensors = list(inputs), [False] * len(inputs), []
        on_gpu = False
        for i, x in enumerate(inputs):
            if isinstance(x, Tensor):
                tensors.append(x)
                arrays[i] = x.array
                # as the property requires_grad says, which a Tensor that is no view need not ask
                needs[i] = grad_enabled and (x._requires_grad if x._view is None else x.requires_grad)
                on_gpu = on_gpu or type(x.array) is not np.ndarray
        op.needs = needs
        if state.recorder is not None:
            forward = functools.partial(state.recorder.forward, op)
        if on_gpu:
            check_devices(cls.__name__, tensors)
            forward = beside(arrays, forward)
        result = forward(*arrays, **params) if is_quiet() else state.quiet.run(forward, *arrays, **params)

        several = isinstance(result, tuple)
        outputs = []
        for nr, array in enumerate(result if several else (result,)):
            y = wrap(array if is_array_type(type(array)) else namespace(*arrays).asarray(array))
            x = _first_beside(y.array, tensors)
            if x is not None:
                y._counter, y._seen = x._counter, x._counter.writes
                y._view = (x, cls, inputs, params, nr) if grad_enabled else (x, None)
            outputs.append(y)
        if state.anomaly:
            anomaly.check_forward(op, [*arrays, *params.values()], [y.array for y in outputs])
        if True in needs:
            _record(op, inputs, tensors, outputs)
        return tuple(outputs) if several else outputs[0]

    def __repr__(self):
        return f"<{type(self).__name__}>"

    @property
    def name(self) -> str:
        """The op's name, as error messages and `explain` show it."""
        return type(self).__name__


def _first_beside(array, tensors: Iterable[Tensor]) -> Tensor | None:
    """The first of `tensors` that looks at the same memory as `array`, whole or in part; None if none does."""
    for x in tensors:
        if x.array is array:  # so it is nearly always, and it is quickly found out
            return x
    owner = memory_owner(array)
    for x in tensors:
        if (x.array if x.array.base is None else memory_owner(x.array)) is owner:
            return x
    return None


def _record(op: Op, inputs: Sequence, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    """Make `op` a node of the graph: number it, point it at its inputs, note the versions of what it saved."""
    op.outputs = []
    floating = False
    for nr, y in enumerate(outputs):
        dtype = y.array.dtype
        op.outputs.append((y.array.shape, dtype))
        if dtype.kind == "f":
            y._op, y._nr, y._requires_grad = op, nr, True
            floating = True
    if not floating:
        return  # integers and bools have no gradient
    if op.backward is None:
        raise RuntimeError(
            f"{op.name} has no gradient rule, and an input of it requires grad: "
            f"call it on x.detach() or under no_grad()"
        )
    op.number = next(_numbers)
    op.edges = [  # `edge` of each; as `requires_grad` was asked, no view is out of date
        (x if x._op is None else x._op, x._nr, x.array.shape, x.array.dtype) if need else None
        for x, need in zip(inputs, op.needs, strict=True)
    ]
    op.hooks = op.retained = None
    op.where = anomaly.call_site() if state.anomaly else None
    op.saved = _watch(op, tensors + outputs)


def edge(x: Tensor):
    """Where the gradient of `x` goes: (source, output number, shape, dtype); the source is an Op, or the leaf `x`."""
    if x._view is not None:
        x.refresh_view()
    return (x if x._op is None else x._op), x._nr, x.array.shape, x.array.dtype


def _watch(op: Op, tensors: Sequence[Tensor]) -> list:
    """(name, counter, writes so far) of every array that `op` saved and that shares memory with one of `tensors`."""
    watched = []
    for name, value in op.__dict__.items():
        for array in value if isinstance(value, (tuple, list)) else (value,):
            if is_array_type(type(array)):
                x = _first_beside(array, tensors)
                if x is not None:
                    watched.append((name, x._counter, x._counter.writes))
    return watched
