"""An `Op` is one differentiable operation: its forward, and beside it its backward.

Running one (`Op.apply`) computes its result and, where an input requires grad, keeps the op as a node of the
graph: its *edges* point to where its inputs came from. `tensor/autograd.py` walks that graph. Everything
that all ops have in common on the way forward happens here, once: unwrapping, device checks, recording, and
noting what must not change until backward. An op is left with its mathematics.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tensor import anomaly
from tensor.devices import device_of, is_array, memory_owner, namespace
from tensor.modes import state
from tensor.tensor import Tensor, wrap

_numbers = itertools.count()


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
    __slots__ = ("__dict__", "__weakref__", "edges", "hooks", "needs", "number", "outputs", "retained", "saved", "where")

    vjp = ""  # the formula of `backward`, one line, for people: explain(), docs, the explorer

    def forward(self, *inputs, **params):
        """Compute the result from raw arrays."""
        raise TypeError(f"{type(self).__name__} has no forward: define `forward(self, *inputs, **params)`")

    backward = None  # an op without one has no gradient rule

    @classmethod
    def apply(cls, *inputs, **params):
        """Run the op on `inputs` (Tensors and Python scalars) and record it if an input requires grad."""
        op = cls()
        grad_enabled = state.grad_enabled
        op.needs = [isinstance(x, Tensor) and grad_enabled and x.requires_grad for x in inputs]
        arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
        if len(arrays) > 1:
            _check_devices(cls, arrays)
        result = op.forward(*arrays, **params)
        several = isinstance(result, tuple)
        xp = namespace(*arrays)
        results = [xp.asarray(r) for r in (result if several else (result,))]
        if state.anomaly:
            anomaly.check_forward(op, [*arrays, *params.values()], results)
        outputs = tuple([_wrap_output(r, cls, inputs, params, nr) for nr, r in enumerate(results)])
        if True in op.needs and any(r.dtype.kind == "f" for r in results):
            if cls.backward is None:
                raise RuntimeError(
                    f"{cls.__name__} has no gradient rule, and an input of it requires grad: "
                    f"call it on x.detach() or under no_grad()"
                )
            _record(op, inputs, outputs)
        return outputs if several else outputs[0]

    def __repr__(self):
        return f"<{type(self).__name__}>"

    @property
    def name(self) -> str:
        """The op's name, as error messages and `explain` show it."""
        return type(self).__name__


def _check_devices(cls, arrays) -> None:
    kinds = {type(a) for a in arrays if is_array(a)}
    if len(kinds) > 1:
        places = " and ".join(str(device_of(a)) for a in arrays if is_array(a))
        raise RuntimeError(
            f"{cls.__name__}: the inputs are on different devices ({places}); move one with .to('cuda') or .to('cpu')"
        )


def _wrap_output(array, cls, inputs, params, nr) -> Tensor:
    """A Tensor around `array`; if it looks at the memory of an input, it shares that input's version counter."""
    output = wrap(array)
    owner = array if array.base is None else memory_owner(array)
    for x in inputs:
        if isinstance(x, Tensor) and memory_owner(x.array) is owner:
            output._counter = x._counter
            output._view = (x, cls, inputs, params, nr) if state.grad_enabled else (x, None)
            output._seen = x._counter.writes
            break
    return output


def _record(op: Op, inputs: Sequence, outputs: Sequence[Tensor]) -> None:
    """Make `op` a node of the graph: number it, point it at its inputs, note the versions of what it saved."""
    op.number = next(_numbers)
    op.edges = tuple([edge(x) if need else None for x, need in zip(inputs, op.needs, strict=True)])
    op.outputs = [(y.array.shape, y.array.dtype) for y in outputs]
    op.hooks = op.retained = None
    op.where = anomaly.call_site() if state.anomaly else None
    op.saved = _watch(op, [x for x in inputs if isinstance(x, Tensor)] + list(outputs))
    for nr, y in enumerate(outputs):
        if y.array.dtype.kind == "f":
            y._op, y._nr, y._requires_grad = op, nr, True


def edge(x: Tensor):
    """Where the gradient of `x` goes: (source, output number, shape, dtype); the source is an Op, or the leaf `x`."""
    x.refresh_view()
    if x._op is not None:
        return x._op, x._nr, x.array.shape, x.array.dtype
    return x, 0, x.array.shape, x.array.dtype


def _watch(op: Op, tensors: Sequence[Tensor]) -> list:
    """(name, counter, version) of every array that `op` saved and that shares memory with one of `tensors`."""
    watched = []
    for name, value in vars(op).items():
        for array in value if isinstance(value, tuple | list) else (value,):
            if is_array(array):
                owner = memory_owner(array)
                for t in tensors:
                    if memory_owner(t.array) is owner:
                        watched.append((name, t._counter, t._counter.writes))
                        break
    return watched
