"""The sum of squares that clipping needs, on the CPU; on a GPU see tests/cuda."""

import numpy as np
import pytest

from tensor.kernels import clip, threads

random = np.random.default_rng(0)


def test_of_many_numbers_is_exact_to_the_last_digits():
    """BLAS alone, which sums float32 in float32, would be wrong in the fourth digit."""
    x = random.standard_normal(16_000_000, dtype="float32")
    assert clip.sum_of_squares([x]) == pytest.approx((x.astype("float64") ** 2).sum(), rel=1e-6)


@pytest.mark.usefixtures("three_threads")
def test_does_not_depend_on_the_threads(monkeypatch):
    monkeypatch.setattr(clip, "TILE", 1000)
    monkeypatch.setattr(clip, "QUICK", 0.1)
    arrays = [random.standard_normal(shape) for shape in [(70, 900), (3,), (0, 2), (), (150_000,)]]
    arrays.append(random.standard_normal((50, 40)).T)
    shared = clip.sum_of_squares(arrays)
    monkeypatch.setattr(threads, "THREADS", 1)
    assert shared == clip.sum_of_squares(arrays)
    assert shared == pytest.approx(sum((a**2).sum() for a in arrays), rel=1e-12)


def test_of_float16_does_not_overflow():
    assert clip.sum_of_squares([np.full(100, 100, "float16")]) == 1e6


def test_of_nothing():
    assert clip.sum_of_squares([np.zeros((0, 3), "float32")]) == 0
