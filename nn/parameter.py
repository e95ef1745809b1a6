"""Parameter: a Tensor that is learned; and what all of them forget before the next step."""

from __future__ import annotations

from collections.abc import Iterable

from tensor import Tensor
from tensor.devices import namespace
from tensor.tensor import as_array, wrap


class Parameter(Tensor):
    """A Tensor that a Module learns: it requires grad, and assigning it to a Module registers it.

    Shares the memory of `data` where that is a Tensor or an array.
    """

    __slots__ = ()

    def __init__(self, data, requires_grad: bool = True):
        self._init(as_array(data))
        if isinstance(data, Tensor):
            self._counter = data._counter  # same memory: a write to one is a write to the other
        self.requires_grad_(requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


def clear_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Forget the gradients of `parameters`, or fill those there are with zeros."""
    for parameter in parameters:
        if set_to_none or parameter.grad is None:
            parameter.grad = None
        else:
            grad = parameter.grad.array
            parameter.grad = wrap(namespace(grad).zeros_like(grad))
