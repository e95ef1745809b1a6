"""Keep freed memory in the process instead of handing it back to the system after each step.

A training step allocates the same few megabytes again and again. By default glibc returns such blocks to the system at
once, and every fresh page costs a fault when it is first touched: a fifth of the laptop preset's step.
"""

import ctypes
import sys

# mallopt(3): parameters of glibc's malloc
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # what glibc accepts on 64-bit machines
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask malloc to reuse freed memory for the rest of this process; False where it is not glibc's."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and mallopt(M_TRIM_THRESHOLD, NEVER))
