"""autocast: which functions compute in float16 and which in float32 (see tensor/amp.py for why)."""

from __future__ import annotations

import contextlib

from tensor import dtypes
from tensor.devices import Device
from tensor.modes import state
from tensor.ops.cast import cast
from tensor.tensor import Tensor


class autocast(contextlib.ContextDecorator):
    """Inside, float32 Tensors on a device of this type enter matrix products (`linear`, `scaled_dot_product_attention`,
    `matmul`, `einsum` and what is made of them) as float16; and float16 ones enter softmax, log_softmax, the norms and
    cross-entropy as float32. Everything else computes in what it is given, by the usual rules of promotion.

    As in PyTorch, where "cpu" alone would mean bfloat16, which there is none of here.
    """

    def __init__(self, device_type: str, dtype=None, enabled: bool = True, cache_enabled: bool | None = None):
        self.device_type, self.enabled = Device(device_type).type, enabled
        if dtype is not None and dtype != dtypes.float16:
            raise TypeError(f"autocast: dtype must be float16, the only 16-bit type that Tensors have, got {dtype}")
        self._before: list = []

    def __enter__(self):
        self._before.append(state.autocast)
        state.autocast = self.device_type if self.enabled else None
        return self

    def __exit__(self, *exception):
        state.autocast = self._before.pop()


def in_low_precision(*tensors):
    """Under autocast, the float32 ones among `tensors` as float16, for a matrix product; else all as they are."""
    return tensors if state.autocast is None else _converted(tensors, dtypes.float32, dtypes.float16)


def in_full_precision(*tensors):
    """Under autocast, the float16 ones among `tensors` as float32, for what adds up; else all as they are."""
    return tensors if state.autocast is None else _converted(tensors, dtypes.float16, dtypes.float32)


def _converted(tensors: tuple, source, target) -> tuple:
    return tuple(
        cast(x, target) if isinstance(x, Tensor) and x.dtype == source and x.device.type == state.autocast else x
        for x in tensors
    )
