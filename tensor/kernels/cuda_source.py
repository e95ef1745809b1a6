"""The CUDA kernels' source, tensor/kernels/cuda/*.cu, and its compiling: when first needed, for one type at a time.

CuPy hands the source to NVRTC and keeps what comes out on disk (`CUPY_CACHE_DIR`), by the source and the options.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np

from tensor.devices import cupy_module

FOLDER = Path(__file__).with_name("cuda")
# dtype's letter -> the type in memory and the type to compute in, as cuda/types.cuh calls them
TYPES = {"e": ("__half", "float"), "f": ("float", "float"), "d": ("double", "double")}


def accum(dtype: np.dtype) -> np.dtype:
    """The dtype that the kernels for `dtype` compute in."""
    return np.dtype("float64" if dtype.char == "d" else "float32")


def blocks_for(elements: int, each: int) -> int:
    """How many blocks it takes if each does `each` elements."""
    return -(-elements // each)


def source(name: str) -> str:
    """The text of a source file with what it includes from this folder, each once, in the place of its `#include`.

    In one piece, as CuPy's cache would not notice a change in an included file.
    """
    included: set[str] = set()

    def include(match: re.Match) -> str:
        if match[1] in included:
            return ""
        included.add(match[1])
        return expand(match[1])

    def expand(file: str) -> str:
        return re.sub(r'#include "(\w+\.cuh)"\n', include, (FOLDER / file).read_text("utf-8"))

    return expand(name)


def options(letter: str, macros: dict[str, int]) -> tuple[str, ...]:
    """The compiler's options for the dtype with this letter and for the macros that a file wants set."""
    scalar, accum = TYPES[letter]
    defined = {"SCALAR": scalar, "ACCUM": accum, **macros}
    return ("-std=c++17", *[f"-D{name}={value}" for name, value in defined.items()])


@functools.cache
def kernel(name: str, letter: str, **macros: int):
    """The compiled function FILE:FUNCTION for the dtype with this letter."""
    file, _, function = name.partition(":")
    return _module(file, letter, **macros).get_function(function)


@functools.cache
def _module(file: str, letter: str, **macros: int):
    return cupy_module().RawModule(code=source(f"{file}.cu"), options=options(letter, macros))
