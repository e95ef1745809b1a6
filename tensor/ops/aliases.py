"""NumPy's names for PyTorch's arguments."""

from __future__ import annotations

import functools

NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}


def numpy_names(function):
    """Let `axis` and `keepdims` stand for `dim` and `keepdim` in calls of `function`, as PyTorch does."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        for name, ours in NUMPY_NAMES.items():
            if name in kwargs:
                kwargs[ours] = kwargs.pop(name)
        return function(*args, **kwargs)

    return call
