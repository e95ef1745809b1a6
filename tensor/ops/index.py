"""Reading and writing elements by position: x[...] in all its forms.

Basic indices (integers, slices, None, ...) give a view; integer and bool Tensors give a copy. Reading and writing
are each other's transpose: the gradient of a read is a write of dy into zeros, adding where a position was read twice.
"""

from __future__ import annotations

from tensor import dtypes
from tensor.checks import shape_text
from tensor.devices import is_array, namespace
from tensor.inplace import assign
from tensor.modes import state
from tensor.op import Op
from tensor.ops.cast import cast
from tensor.tensor import Tensor, as_array, wrap

__all__: list[str] = []  # x[index] and x[index] = value are reached as operators


def raw_index(index):
    """`index` with every Tensor and list in it replaced by its array."""
    if isinstance(index, tuple):
        return tuple(raw_index(i) for i in index)
    return index.array if isinstance(index, Tensor) else index


def is_advanced(index) -> bool:
    """Does `index` pick single positions (arrays, lists), so that one may be picked twice?"""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(i, list) or is_array(i) for i in parts)


class GetItem(Op):
    """y = x[index];  dx is zero but for dx[index] += dy."""

    vjp = "dx = 0;  dx[index] += dy"

    def forward(self, x, *, index):
        self.shape, self.index = x.shape, index
        return x[index]

    def backward(self, dy):
        xp = namespace(dy)
        dx = xp.zeros(self.shape, dy.dtype)
        if is_advanced(self.index):
            xp.add.at(dx, self.index, dy)
        else:
            dx[self.index] = dy
        return dx


class SetItem(Op):
    """y = x with y[index] = value;  what was overwritten gets no gradient."""

    vjp = "dx = dy with dx[index] = 0;  dvalue = dy[index]"

    def forward(self, x, value, *, index):
        self.index = index
        y = x.copy()
        y[index] = value
        return y

    def backward(self, dy):
        dx = dy.copy()
        dx[self.index] = 0
        return dx, dy[self.index]


def getitem(input: Tensor, index) -> Tensor:
    """input[index], for every index NumPy and PyTorch know."""
    return GetItem.apply(input, index=raw_index(index))


def setitem(input: Tensor, index, value) -> None:
    """input[index] = value, in place; value is broadcast to the shape of input[index]."""
    index = raw_index(index)
    if not isinstance(value, Tensor):
        value = wrap(as_array(value, input.dtype, input.device))
    if not dtypes.can_cast(value.dtype, input.dtype):
        raise RuntimeError(f"setitem: a {value.dtype} value cannot be written into {input.dtype}: convert with .to() first")
    value = cast(value, input.dtype)
    target = input.array[index].shape
    while value.ndim > len(target) and value.shape[0] == 1:  # PyTorch lets (1, 3) be written where (3,) fits
        value = value.squeeze(0)
    try:
        namespace(input.array).broadcast_shapes(value.shape, target)
    except ValueError:
        raise RuntimeError(
            f"setitem: a value of shape {shape_text(value.shape)} does not broadcast to the shape of x[index], "
            f"{shape_text(target)}"
        ) from None
    if state.grad_enabled and (input.requires_grad or value.requires_grad):
        assign(input, SetItem.apply(input, value, index=index), "setitem")
    else:
        input.array[index] = value.array
        input._counter.writes += 1
