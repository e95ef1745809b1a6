"""Keep freed memory in the process instead of handing it back to the system after each step.

A training step allocates the same memory again and again. By default glibc returns large blocks to the system at once,
and every fresh page costs a fault when it is first touched: a fifth of the laptop preset's step, and with GPT-2's
50,257 tokens nearly a second a step, for logits of 200 MB.
"""

import ctypes
import sys

# mallopt(3): parameters of glibc's malloc
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask malloc to reuse freed memory for the rest of this process; False where it is not glibc's."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))  # no block by itself, none given back
