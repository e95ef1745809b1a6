"""Memory in a long run of equal steps: freed blocks stay with the process, and garbage is looked for rarely.

A training step allocates the same memory again and again. By default glibc returns large blocks to the system at once,
and every fresh page costs a fault when it is first touched: a fifth of the laptop preset's step, and with GPT-2's
50,257 tokens nearly a second a step, for logits of 200 MB.
"""

import ctypes
import gc
import sys

# mallopt(3): parameters of glibc's malloc
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1

SELDOM = 50_000  # objects made and not yet freed, before Python's collector looks for cycles among them


def keep_freed_memory() -> bool:
    """Ask malloc to reuse freed memory for the rest of this process; False where it is not glibc's."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))  # no block by itself, none given back


def collect_garbage_rarely() -> None:
    """Let Python's collector of cycles run seldom, and not look at what is there already.

    A step makes thousands of objects and frees them by itself, as a graph has no cycles; by default the collector goes
    through those alive at the moment again and again, a fiftieth of the laptop preset's step.
    """
    gc.freeze()
    gc.set_threshold(SELDOM)
