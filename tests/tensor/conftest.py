"""What the tests of the engine share."""

import importlib.util

import pytest
from threadpoolctl import threadpool_limits

from tensor.kernels import threads


@pytest.fixture
def three_threads(monkeypatch):
    """Work that is worth it goes to three threads, BLAS's or Python's, where tests have one (tests/conftest.py)."""
    with threadpool_limits(3, "blas"):
        monkeypatch.setattr(threads, "THREADS", 3)
        if importlib.util.find_spec("numba"):
            from tensor.kernels import numba_threads

            monkeypatch.setattr(numba_threads, "BLAS_THREADS", numba_threads._blas_threads()[0])
        yield
