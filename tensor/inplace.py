"""Writing into a Tensor: `x += 1`, `x[0] = 2`, `x.masked_fill_(...)`, and what that means for the graph.

Every in-place operation is its out-of-place twin followed by `assign`: the result's values are copied into
x's memory, and x takes over the result's history. If x is a view, its parent has changed as well: the
parent's new history is "what it was, with this view of it overwritten" (`Overwrite`), and so on up to the
Tensor that owns the memory. Other views notice by the write counter and take themselves again when they
are next used (`Tensor.refresh_view`).
"""

from __future__ import annotations

from tensor import dtypes
from tensor.modes import state
from tensor.op import Op, _record
from tensor.tensor import Tensor


class Clone(Op):
    """y = x in memory of its own;  dx = dy."""

    vjp = "dx = dy"

    def forward(self, x):
        return x.copy()

    def backward(self, dy):
        return dy


class Overwrite(Op):
    """y = x with its view v(x) replaced by `value`.

    The overwritten elements of x no longer matter, so dx = dy with v(dx) = 0, and dvalue = v(dy).
    """

    vjp = "dx = dy with v(dx) = 0;  dvalue = v(dy)"

    def __init__(self, view: type[Op], inputs, params, nr: int):
        self.view, self.params, self.nr = view, params, nr
        self.scalars = [x for x in inputs if not isinstance(x, Tensor)]

    def forward(self, x, value):
        """x as it is: the write has been done. Called only to show it to a recorder."""
        return x

    def take(self, array):
        """The view of `array`, as the view op takes it."""
        viewed = self.view().forward(array, *self.scalars, **self.params)
        return viewed[self.nr] if isinstance(viewed, tuple) else viewed

    def backward(self, dy):
        dx = dy.copy(order="C")
        self.take(dx)[...] = 0
        return dx, self.take(dy)


def assign(x: Tensor, result: Tensor, name: str, since: int | None = None) -> Tensor:
    """Write `result` into the memory of `x` and give x its history; returns x.

    `since` is a `next_number()` drawn before `result` was computed: the ops that came after it belong to the
    in-place operation itself, and what they saved of x is copied before it is overwritten. Without it only the
    op that computed `result` is taken to belong.

    Raises RuntimeError where PyTorch does: x is a leaf that requires grad (or a view of one), the shape or the
    kind of number does not fit, or x is an expanded view, whose elements share memory.
    """
    recording = state.grad_enabled and (x.requires_grad or result.requires_grad)
    if recording:
        _check_writable(x, name)
    if result.shape != x.shape:
        raise RuntimeError(f"{name}: the result has shape {result.shape}, and cannot be written into {x.shape}")
    if not dtypes.can_cast(result.dtype, x.dtype):
        raise RuntimeError(
            f"{name}: the result is {result.dtype} and cannot be written into {x.dtype}: convert x with .to() first"
        )
    if x.array.size and not _owns_its_elements(x.array):
        raise RuntimeError(f"{name}: this is an expanded view, its elements share places in memory: clone() it first")
    if recording and result.is_leaf and result.requires_grad:
        result = Clone.apply(result)  # x must not pose as the leaf itself
    history = (result._op, result._nr, result.requires_grad)
    if result._op is not None:
        _rescue_saved(x, result._op, result._op.number if since is None else since)
    x.array[...] = result.array
    x.mark_written()
    if recording:
        _take_history(x, *history)
    return x


def _owns_its_elements(array) -> bool:
    """May `array` be written? Not if expanded dims share memory, nor a part of such (NumPy marks that read-only)."""
    shared = any(step == 0 and n > 1 for step, n in zip(array.strides, array.shape, strict=True))
    return not shared and getattr(array.flags, "writeable", True)


def _rescue_saved(x: Tensor, last: Op, since: int) -> None:
    """Copy what the ops from `since` to `last` saved of x's memory: `x *= b` needs the old x for b's gradient."""
    ops = [last]
    while ops:
        op = ops.pop()
        if not isinstance(op, Op) or op.number < since or op.edges is None:
            continue
        kept = []
        for name, counter, writes in op.saved:
            if counter is x._counter and writes == counter.writes:
                value = getattr(op, name)
                setattr(op, name, [a.copy() for a in value] if isinstance(value, (tuple, list)) else value.copy())
            else:  # another memory; or an older version of x, which is lost: backward must find that and raise
                kept.append((name, counter, writes))
        op.saved = kept
        ops.extend(target[0] for target in op.edges if target is not None)


def _check_writable(x: Tensor, name: str) -> None:
    t = x
    while True:
        if t.is_leaf and t.requires_grad:
            which = "a leaf" if t.shape == x.shape else "a view of a leaf"  # x[...] is as good as x
            raise RuntimeError(
                f"{name}: {which} that requires grad cannot be written in place, its gradient would be lost. "
                f"Do it under no_grad(), or out of place"
            )
        if t._view is None:
            return
        parent, cls = t._view[:2]
        if cls is None:
            raise RuntimeError(
                f"{name}: this view was taken under no_grad(), so its parent would not learn of the write. "
                f"Take the view with gradients on, or clone() it"
            )
        t = parent


def _take_history(x: Tensor, op: Op | None, nr: int, requires_grad: bool) -> None:
    """x was just computed by output `nr` of `op`; tell the Tensors it is a view of."""
    if x._view is not None:
        parent, cls, inputs, params, view_nr = x._view
        before = _with_history(parent, parent._op, parent._nr, parent._requires_grad)
        value = _with_history(x, op, nr, requires_grad)
        overwrite = Overwrite(cls, inputs, params, view_nr)
        overwrite.needs = [before._requires_grad, requires_grad]
        if any(overwrite.needs):
            after = _with_history(parent, None, 0, False)
            if state.recorder is not None:
                state.recorder.forward(overwrite, before.array, value.array)
            _record(overwrite, [before, value], [before, value], [after])
            _take_history(parent, after._op, after._nr, True)
        else:
            _take_history(parent, None, 0, False)
    x._op, x._nr, x._requires_grad, x._seen = op, nr, requires_grad, x._counter.writes


def _with_history(x: Tensor, op: Op | None, nr: int, requires_grad: bool) -> Tensor:
    """A Tensor of x's values with the given place in the graph."""
    t = x.detach()
    t._op, t._nr, t._requires_grad = op, nr, requires_grad
    return t
