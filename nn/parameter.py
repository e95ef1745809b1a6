"""Parameter: a Tensor that is learned."""

from __future__ import annotations

from tensor import Tensor
from tensor.tensor import as_array


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
