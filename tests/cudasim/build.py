"""The simulated libraries and the precompiled header, built on demand into a cache directory.

The directory's name holds a hash of everything that is compiled and of what compiles it, so that a change of either
builds anew, and a run that finds it builds nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

HERE = Path(__file__).parent
SOURCES = ["memory.c", "runtime.c", "driver.c", "threads.c"]
GCC = ["gcc", "-std=gnu17", "-O2", "-w", "-shared", "-fPIC", "-U_FORTIFY_SOURCE"]  # fortified longjmp forbids fibers
GXX = ["g++", "-std=c++17", "-O1", "-w", "-fPIC", "-fpermissive"]
PRELUDES = ["prelude.h", "half.h"]  # what is included before every kernel, and before one with 16-bit numbers
NEEDED = ["cupy", "nvidia.cuda_nvrtc", "nvidia.cuda_runtime", "nvidia.cuda_nvcc"]


def why_not() -> str | None:
    """The reason, as a sentence, why CUDA cannot be simulated here; None if it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "CUDA is simulated on x86-64 Linux only"
    missing = [name for name in NEEDED if folder(name) is None]
    if missing:
        return f"simulating CUDA needs {', '.join(missing)}: run `pip install tinygrad-gpt[test-cuda]`"
    tools = [name for name in ("gcc", "g++", "nm") if shutil.which(name) is None]
    if tools:
        return f"simulating CUDA needs {', '.join(tools)}: install gcc, g++ and binutils"
    return None


def folder(package: str) -> Path | None:
    """Where a package is installed; None if it is not. Imports nothing but parents without code."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return None
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


@functools.cache
def directory() -> Path:
    """The cache directory, with the libraries built in it. CUDASIM_CACHE names another place for it."""
    parts = [path.read_bytes() for path in sorted(HERE.iterdir()) if path.suffix in (".c", ".h", ".py")]
    parts += [" ".join([*GCC, *GXX]).encode(), subprocess.check_output(["g++", "--version"])]
    parts += [importlib.metadata.version("numpy").encode(), str(folder("cupy")).encode()]
    parts += [(folder("nvidia.cuda_runtime") / "include" / "cuda.h").read_bytes()]
    name = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    root = Path(os.environ.get("CUDASIM_CACHE") or Path(platformdirs.user_cache_dir("tinygrad-gpt")) / "cudasim")
    if not (root / name).exists():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True) as temporary:
            _build(Path(temporary))
            with contextlib.suppress(OSError):  # another process was faster
                os.rename(temporary, root / name)
    return root / name


def _build(out: Path) -> None:
    command = [*GCC, "-Wl,-soname,libcuda.so.1", "-o", out / "libcuda.so.1", *[HERE / name for name in SOURCES]]
    run([*command, "-pthread", "-ldl"])
    # what blas.c does not have, CuPy must find nevertheless; 15 is CUBLAS_STATUS_NOT_SUPPORTED
    stubs = [f"__attribute__((weak)) int {name}(void) {{ return 15; }}" for name in _functions_cupy_needs()]
    (out / "stubs.c").write_text("\n".join(stubs) + "\n")
    (out / "versions.map").write_text("libcublas.so.12 { global: *; };\n")
    script = f"-Wl,--version-script={out / 'versions.map'}"
    run([*GCC, "-Wl,-soname,libcublas.so.12", script, "-o", out / "libcublas.so.12", HERE / "blas.c", out / "stubs.c"])
    (out / "lt.c").write_text("int cublasLtCreate(void *handle) { return 15; }\n")
    run([*GCC, "-Wl,-soname,libcublasLt.so.12", "-o", out / "libcublasLt.so.12", out / "lt.c"])
    for name in PRELUDES:
        run([*GXX, *includes(), "-x", "c++-header", HERE / name, "-o", out / f"{name}.gch"])


def _functions_cupy_needs() -> Iterator[str]:
    """The functions of cuBLAS that CuPy is linked with."""
    (library,) = (folder("cupy").parent / "cupy_backends" / "cuda" / "libs").glob("cublas.*.so")
    for line in subprocess.check_output(["nm", "-D", "--undefined-only", library], text=True).splitlines():
        name = line.split()[-1].partition("@")[0]
        if name.startswith("cublas"):
            yield name


def includes() -> list[str]:
    """The compiler options that find the headers of CUDA and CuPy."""
    own = folder("cupy") / "_core" / "include"
    bundled = own / "cupy" / "_cccl"
    cuda = [folder("nvidia.cuda_runtime") / "include", folder("nvidia.cuda_nvcc") / "include"]
    folders = [own, *(bundled / name for name in ("thrust", "libcudacxx", "cub")), *cuda]
    return [f"-I{path}" for path in folders]


def run(command: list) -> None:
    """Run a compiler; RuntimeError with what it says if it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cudasim: {' '.join(map(str, command))} failed:\n{done.stderr}")
