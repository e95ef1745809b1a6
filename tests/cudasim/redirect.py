"""CuPy's copy of the CUDA runtime, redirected to the simulated one.

CuPy links the runtime (cudaMalloc, cudaMemcpy, …) statically, so no other library can stand in its place. Instead the
first bytes of each function that runtime.c and memory.c replace are overwritten with a jump to theirs.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

PAGE = 4096
READ_WRITE_EXECUTE = 7
JUMP = b"\x48\xb8%b\xff\xe0"  # mov rax, address; jmp rax


def redirect(library: Path, simulated: ctypes.CDLL) -> int:
    """Redirect every function cuda… of `library` that `simulated` has as sim_cuda…; returns how many there were."""
    ctypes.CDLL(str(library))  # now it is in memory
    base = _base_address(library)
    count = 0
    for line in subprocess.check_output(["nm", library], text=True).splitlines():
        address, kind, name = line.rjust(18).split(" ")[-3:] if line.count(" ") >= 2 else ("", "", "")
        replacement = getattr(simulated, f"sim_{name}", None) if kind in "tT" and name.startswith("cuda") else None
        if replacement is not None:
            target = ctypes.cast(replacement, ctypes.c_void_p).value
            _overwrite(base + int(address, 16), JUMP % target.to_bytes(8, "little"))
            count += 1
    return count


def _base_address(library: Path) -> int:
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, offset, *_, path = line.split()
        if Path(path) == library and int(offset, 16) == 0:
            return int(addresses.partition("-")[0], 16)
    raise RuntimeError(f"cudasim: {library} is not loaded")


def _overwrite(address: int, code: bytes) -> None:
    page = address // PAGE * PAGE
    size = address + len(code) - page
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), ctypes.c_size_t(size), READ_WRITE_EXECUTE):
        raise RuntimeError("cudasim: this system does not let a process change its own code")
    ctypes.memmove(address, code, len(code))
