"""The device that a command computes on: whether this machine has it, and how fast it is."""

import functools
import time

import tensor
from tinygrad_gpt.errors import InputError

MATRIX_SIZE = 512  # large enough for the BLAS to reach its full rate, small enough for many tries
MEASURED_SECONDS = 0.3


def check_device(device: str) -> None:
    """Raise `InputError` with the engine's own reason where this machine has no such device."""
    try:
        tensor.zeros(1).to(device)
    except RuntimeError as error:
        raise InputError(f"--device={device} cannot be used: {error}") from None


@functools.cache
def matmul_rate(device: str, dtype: str) -> float:
    """Floating-point operations a second of a matrix product on this device, as the engine computes it: the fastest
    of all that fit into a fraction of a second, since other work on the machine only slows them.
    """
    n = MATRIX_SIZE
    a = tensor.ones((n, n), dtype=getattr(tensor, dtype), device=device)
    best, end = float("inf"), time.perf_counter() + MEASURED_SECONDS
    while (start := time.perf_counter()) < end:
        (a @ a)[0, 0].item()  # reading an element waits for a device that works on its own
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best  # each of n² elements: n products, n sums
