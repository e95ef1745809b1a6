"""CuPy's compiler, then g++: NVRTC must accept every kernel, then the same source is built for this processor."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from cudasim import build

BARRIERS = [b"cudasim_barrier_", b"cudasim_exchange", b"cudasim_ballot"]
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+([^;]*?)(\w+)\s*\[\s*\]\s*;")
LINK = ["-shared", "-nostdlib", "-pipe"]
LIBRARIES = ["-lm", "-lgcc"]  # of the standard ones only these: linking takes a tenth of a kernel's time
SIXTEEN_BITS = re.compile(r"half|fp16|bf16|float16")
KERNEL_IN_CUBIN = re.compile(rb"\.nv\.constant0\.(\w+)\0")


def install() -> None:
    """Make CuPy compile in this way from here on. Import CuPy's compiler only when CUDA is simulated already."""
    from cupy.cuda import compiler

    nvrtc = compiler._compile_using_nvrtc_no_warning
    precompiled = build.directory() / "pch"  # NVRTC's own headers, compiled once
    precompiled.mkdir(exist_ok=True)

    def compile_for_both(source, options=(), *args, **kwargs):
        cubin, mapping = nvrtc(source, (*options, "--pch", f"--pch-dir={precompiled}"), *args, **kwargs)
        if not source.strip():  # CuPy asks for NVRTC's version in this way
            return cubin, mapping
        return image(source, options, cubin, mapping or {}), mapping

    compiler._compile_using_nvrtc_no_warning = compile_for_both


def image(source: str, options: tuple[str, ...], cubin: bytes, mapping: dict[str, str]) -> bytes:
    """What the simulated driver loads as a module: "CUDASIM <threads wait for one another?> <path>"."""
    library = shared_library(source, options, kernel_names(cubin), mapping)
    code = library.read_bytes()
    return f"CUDASIM {int(any(name in code for name in BARRIERS))} {library}\n\0".encode()


def kernel_names(cubin: bytes) -> list[str]:
    """The kernels in what NVRTC made: each has a section for its arguments."""
    return sorted({name.decode() for name in KERNEL_IN_CUBIN.findall(cubin)})


def shared_library(source: str, options: tuple[str, ...], names: list[str], mapping: dict[str, str]) -> Path:
    """The kernels as functions of this processor, each wrapped by one that takes its arguments as CUDA does."""
    expressions = {mangled: expression for expression, mangled in mapping.items()}  # of templates
    wrappers = [
        f'extern "C" void cudasim_thread_{name}(void** a) {{ cudasim::call({expressions.get(name, name)}, a); }}'
        for name in names
    ]
    text = DYNAMIC_SHARED.sub(_pointer_to_shared, source) + "\n" + "\n".join(wrappers) + "\n"
    flags = [o for o in options if o.startswith(("-D", "-I"))]
    kernels = build.directory() / "kernels"
    kernels.mkdir(exist_ok=True)
    name = hashlib.sha256("\0".join([text, *flags]).encode()).hexdigest()[:24]
    library = kernels / f"{name}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=kernels) as temporary:
            file = Path(temporary) / "kernel.cpp"
            file.write_text(text)
            header = build.PRELUDES[SIXTEEN_BITS.search(text + " ".join(flags)) is not None]
            prelude = ["-include", build.directory() / header]
            made = Path(temporary) / "kernel.so"
            build.run([*build.GXX, *LINK, *prelude, *flags, *build.includes(), file, "-o", made, *LIBRARIES])
            os.replace(made, library)
    return library


def _pointer_to_shared(match: re.Match) -> str:
    """`extern __shared__ float x[];` as a pointer to the block's one piece of memory."""
    kind = re.sub(r"__align__\s*\(\s*\d+\s*\)|alignas\s*\(\s*\d+\s*\)", "", match[1]).strip()
    return f"{kind}* {match[2]} = reinterpret_cast<{kind}*>(cudasim_shared);"
