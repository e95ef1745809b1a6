"""Compiled loops on BLAS's threads: all turns are done, once, however many threads there are and whoever asks."""

import concurrent.futures
import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from tensor.kernels import threads

pytest.importorskip("numba")
from tensor.kernels import numba_gelu, numba_threads

N = 3 * numba_threads.WORTH + 1  # worth three parts
BLAS = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]


def gelu(x):
    y = np.empty_like(x)
    numba_gelu._gelu_tanh(x.size, x.size, x, y)
    return y


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal(N).astype(np.float32)


@pytest.mark.skipif(BLAS != "scipy-openblas", reason="NumPy's own wheels bring this BLAS")
def test_the_blas_of_numpys_wheels_lends_its_threads():
    assert numba_threads.BLAS_THREADS >= threads.THREADS


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("lent", [True, False], ids=["BLAS's threads", "Python's threads"])
def test_the_result_does_not_depend_on_the_threads(x, count, lent, monkeypatch):
    alone = np.empty_like(x)
    numba_gelu._gelu_tanh.loop(0, 1, x, alone, 0, x.size)
    monkeypatch.setattr(threads, "THREADS", count)
    if not lent:
        monkeypatch.setattr(numba_threads, "BLAS_THREADS", 0)
    assert np.array_equal(gelu(x), alone)


def test_small_work_is_not_shared(monkeypatch):
    monkeypatch.setattr(threads, "THREADS", 3)
    monkeypatch.setattr(numba_threads, "BLAS_THREADS", 3)
    parts = numba_gelu._gelu_tanh.parts
    assert [parts(N, N), parts(2, N), parts(N, N // 2), parts(N, 5), parts(0, 0)] == [3, 2, 1, 1, 1]


@pytest.mark.usefixtures("three_threads")
def test_several_python_threads_may_ask_at_once(x):
    """With products between, as two models in two threads would."""
    square = x[: 120 * 120].reshape(120, 120)
    expected = gelu(x), square @ square

    def ask(_):
        return all(np.array_equal(a, b) for a, b in zip((gelu(x), square @ square), expected, strict=True))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(40)))


IN_A_CHILD = """
import os
import numpy as np
from tensor.kernels import numba_gelu

def gelu():
    x, y = np.ones(100_000, np.float32), np.empty(100_000, np.float32)
    numba_gelu._gelu_tanh(x.size, x.size, x, y)
    return y

before = gelu()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(gelu(), before) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
def test_a_forked_process_may_ask(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    command = [sys.executable, "-W", "ignore", "-c", IN_A_CHILD]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == ["0"]


ADD_ONE = """
from tensor.kernels.numba_threads import SharedLoop

@SharedLoop
def add_one(x, start, stop):
    for i in range(start, stop):
        x[i] += 1
"""


@pytest.fixture
def found_in_the_cache(tmp_path, monkeypatch):
    """Was a loop, in a process that begins now, found in the cache? It works in any case."""
    (tmp_path / "add_one.py").write_text(ADD_ONE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))

    def found():
        monkeypatch.delitem(sys.modules, "add_one", raising=False)
        loop, x = importlib.import_module("add_one").add_one, np.zeros(3)
        loop(3, 3, x)
        assert x.tolist() == [1, 1, 1]
        return bool(loop.loop.stats.cache_hits)

    return found


@pytest.mark.parametrize("kept", [0, 50], ids=["empty", "cut short"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"], ids=["index", "machine code"])
def test_what_is_broken_in_the_cache_is_compiled_anew(kind, kept, tmp_path, found_in_the_cache):
    assert [found_in_the_cache(), found_in_the_cache()] == [False, True]
    [file] = tmp_path.rglob(f"*.{kind}")
    file.write_bytes(file.read_bytes()[:kept])
    assert [found_in_the_cache(), found_in_the_cache()] == [False, True]


def test_a_change_in_any_file_of_kernels_compiles_all_anew(monkeypatch, found_in_the_cache):
    """A loop holds the machine code of what it calls, which may be in another file."""
    assert [found_in_the_cache(), found_in_the_cache()] == [False, True]
    monkeypatch.setattr(numba_threads, "SOURCES", [*numba_threads.SOURCES[:-1], (0, 0)])
    assert [found_in_the_cache(), found_in_the_cache()] == [False, True]
