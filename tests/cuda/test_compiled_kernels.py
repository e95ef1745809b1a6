"""Every kernel in tensor/kernels/cuda, compiled by NVRTC for two generations of GPUs, as it is launched: what it takes.

That needs no GPU. A kernel that spills has more values at hand than registers, and goes to memory for them in its
innermost loop: slow, and easily not noticed.
"""

import re

import cudasim
import numpy as np
import pytest
from cudasim.build import includes

from tensor.kernels import clip, cuda_kernels
from tensor.kernels.cuda_attention import SHARED_BYTES, tile_macros
from tensor.kernels.cuda_source import FOLDER, options, source

pytestmark = pytest.mark.skipif(cudasim.why_not() is not None, reason=str(cudasim.why_not()))

MOST_SPILLED = 0  # bytes
MOST_REGISTERS = 128  # of a thread: then 512 threads fit on a multiprocessor, two blocks of 256
FILES = sorted(path.stem for path in FOLDER.glob("*.cu"))
TABLES = {"adam": cuda_kernels.ADAM_MACROS, "clip": clip.MACROS}
HEADS = {"e": [64], "f": [16, 64, 128], "d": [64]}  # channels of attention's heads, by dtype

KERNEL = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stored>\d+) bytes spill stores, (?P<loaded>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers[^\n]*",
    re.DOTALL,
)


def variants(file: str, letter: str) -> list[dict[str, int]]:
    """The macros that a file is compiled with, as the Python beside it does."""
    if file == "attention":
        return [tile_macros(channels, np.dtype(letter)) for channels in HEADS[letter]]
    return [TABLES.get(file, {})]


def compiled(file: str, letter: str, macros: dict[str, int], architecture: str) -> list[re.Match]:
    """What the compiler reports of each kernel in a file."""
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc")
    program = nvrtc.createProgram(source(f"{file}.cu"), f"{file}.cu", (), ())
    arguments = (*options(letter, macros), *includes(), f"-arch={architecture}", "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, arguments)
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    return list(KERNEL.finditer(nvrtc.getProgramLog(program)))


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("letter", HEADS)
@pytest.mark.parametrize("file", FILES)
def test_fits_into_registers_and_shared_memory(file, letter, architecture):
    names = set(re.findall(r'extern "C" __global__ void (\w+)\(', source(f"{file}.cu")))
    assert names
    for macros in variants(file, letter):
        report = compiled(file, letter, macros, architecture)
        assert {match["name"] for match in report} == names
        for match in report:
            where = f"{match['name']} {macros} {architecture}: {match[0]}"
            assert int(match["stored"]) + int(match["loaded"]) <= MOST_SPILLED, where
            assert int(match["stack"]) == 0, where
            assert int(match["registers"]) <= MOST_REGISTERS, where
            shared = re.search(r"(\d+) bytes smem", match[0])
            assert shared is None or int(shared[1]) <= SHARED_BYTES, where


def test_a_spill_would_show(monkeypatch):
    """A hundred values in the hands of a thread that may have 64 registers: else the test above shows nothing."""
    code = """
    extern "C" __global__ void __launch_bounds__(1024) spills(float* x, int n) {
        float v[100];
        for (int i = 0; i < 100; i++) v[i] = x[i * n];
        for (int j = 0; j < n; j++) for (int i = 0; i < 100; i++) v[i] = v[i] * v[(i + 1) % 100] + x[j];
        for (int i = 0; i < 100; i++) x[i * n] = v[i];
    }"""
    monkeypatch.setitem(globals(), "source", lambda name: code)
    (match,) = compiled("spills", "f", {}, "sm_80")
    assert int(match["stored"]) > 0
