"""Checks of values that lie on a GPU, made without waiting for it.

An index that is out of range must be an error. On the CPU it is one at once. On a GPU the answer is there only when
the GPU gets to it, and to wait for it in every step would cost more than the check itself. It is looked at when
something is read from the GPU, which waits anyway: `loss.item()` raises for an index of the forward pass before it.
The asserts inside PyTorch's CUDA kernels come as late.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST = 1000  # answers outstanding: those of a hundred steps or more

_outstanding: list[tuple] = []  # (0-d bool array of CuPy, what makes the error)


def require_all(fine, error: Callable[[], Exception]) -> None:
    """Raise error() unless every element of the bool array `fine` holds; on a GPU when something is read from it."""
    answer = fine.all()
    if isinstance(answer, np.bool_):
        if not answer:
            raise error()
        return
    _outstanding.append((answer, error))
    if len(_outstanding) == MOST:
        raise_if_any_failed()


def raise_if_any_failed() -> None:
    """Wait for all answers; raise the first error there is. Whatever reads from a GPU calls this."""
    if not _outstanding:
        return
    looked_at = list(_outstanding)
    _outstanding.clear()
    for answer, error in looked_at:
        if not answer:
            raise error()
