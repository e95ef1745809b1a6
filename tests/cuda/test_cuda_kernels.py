"""What is special about the kernels in CUDA C; what they compute is checked in tests/tensor/test_kernels.py."""

import contextlib
import gc
import math
from functools import partial

import cudasim
import numpy as np
import pytest
from test_kernels import (
    CASES,
    TOLERANCE,
    OnGPU,
    assert_equals,
    attention,
    attention_backward,
    cross_entropy,
    draw,
    in_dtype,
    norm_case,
    random,
    rms_case,
    run,
    small_cases,
)

import nn
import tensor
from tensor.kernels import clip, cuda_attention, cuda_kernels, kernels, numpy_kernels, use_kernels

cupy = pytest.importorskip("cupy")

ours = OnGPU(cuda_kernels)
assert_equals = partial(assert_equals, ours)
BY_ROWS = ["softmax", "softmax_backward", "log_softmax", "log_softmax_backward", "layer_norm", "layer_norm_backward"]
BY_ROWS += [
    "add_layer_norm",
    "add_layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
    "cross_entropy",
    "cross_entropy_backward",
]


class TestAnyOrder:
    """A warp may run far ahead of another: only barriers order them."""

    @pytest.mark.skipif(not cudasim.started(), reason="a GPU orders its warps by itself")
    @pytest.mark.parametrize("name", CASES)
    def test_shuffled_warps_and_blocks(self, name):
        for seed in (1, 2, 3):
            with cudasim.shuffled(seed):
                for args in small_cases(name):
                    assert_equals(name, args)

    @pytest.mark.parametrize("threads", [1, 7, 33, 96, 257])
    def test_any_number_of_threads(self, threads, monkeypatch):
        monkeypatch.setattr(cuda_kernels, "row_threads", lambda C: threads)
        with cudasim.shuffled(threads) if cudasim.started() else contextlib.nullcontext():
            for name in BY_ROWS:
                assert_equals(name, small_cases(name)[0])
            assert_equals("softmax", (draw(3, 1000), 1))
            assert_equals("layer_norm_backward", norm_case(3, 1000, True))
            assert_equals("rms_norm_backward", rms_case(3, 1000, True))


class TestAttention:
    @pytest.mark.parametrize(
        ("D", "E", "dtype"),
        [(16, 16, "float32"), (33, 64, "float32"), (64, 20, "float16"), (128, 128, "float32"), (64, 64, "float64")],
    )
    def test_heads_of_any_size(self, D, E, dtype):
        q, k, v, dy = draw(1, 2, 37, D), draw(1, 2, 37, D), draw(1, 2, 37, E), draw(1, 2, 37, E)
        q, k, v, dy = in_dtype(in_dtype((q, k, v, dy), dtype), "float64")
        settings = D**-0.5, True, 0.1, 5
        assert_equals("attention", (q, k, v, *settings), attention, dtype)
        y, log_sum = attention(q, k, v, *settings)
        given = [*in_dtype((dy, q, k, v, y), dtype), log_sum.astype(cuda_kernels.accum(np.dtype(dtype)))]
        expected = attention_backward(*in_dtype(given, "float64"), *settings)
        for a, b in zip(ours.attention_backward(*given, *settings), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=TOLERANCE[dtype], atol=3 * TOLERANCE[dtype])

    def test_heads_too_wide_for_shared_memory_take_numpys_form(self, monkeypatch):
        assert cuda_attention.tile_macros(1000, np.dtype("float32")) is None
        monkeypatch.setattr(cuda_attention, "SHARED_BYTES", 1000)
        for name in ("attention", "attention_backward"):
            assert_equals(name, small_cases(name)[1])

    def test_views_of_one_projection_are_not_copied(self):
        qkv = cupy.asarray(draw(2, 9, 3, 4, 16).astype("float32"))  # (B, T, 3, H, D)
        q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))
        assert all(cuda_attention._with_dense_rows(x) is x for x in (q, k, v))
        y, _ = cuda_attention.attention(q, k, v, 0.25, True)
        assert y.strides == cupy.empty((2, 9, 4, 16), "float32").swapaxes(1, 2).strides
        expected, _ = attention(*(x.get().astype("float64") for x in (q, k, v)), 0.25, True)
        np.testing.assert_allclose(y.get(), expected, rtol=3e-5, atol=3e-5)


class TestElements:
    def test_an_array_that_begins_anywhere(self):
        x = cupy.asarray(draw(30).astype("float32"))[1:28]  # 4 bytes after a multiple of 16
        y, expected = [cuda_kernels.gelu_tanh(a, False)[0].get() for a in (x, x.copy())]
        np.testing.assert_array_equal(y, expected)

    @pytest.mark.parametrize("n", [1, 3, 4, 5, 1023, 1024, 1025])
    def test_nothing_is_written_beyond_the_end(self, n):
        room = cupy.full(n + 8, 7, "float32")
        x, y = room[:n], cuda_kernels.gelu_erf(cupy.full(n, -100, "float32"), False)[0]
        assert (y.shape, float(abs(y).max()), float(x.sum())) == ((n,), 0.0, 7.0 * n)

    def test_dropout_drops_what_it_drops_on_the_cpu(self):
        x = draw(7, 333).astype("float32")
        for seed in (0, 2**40 + 5):
            np.testing.assert_array_equal(ours.dropout(x, 0.3, seed), numpy_kernels.dropout(x, 0.3, seed))


class TestCrossEntropy:
    def test_a_target_that_is_no_class_is_not_read(self):
        logits, targets = draw(4, 5).astype("float32"), np.array([5, -1, 2**40, 4])
        losses, _ = ours.cross_entropy(logits, targets, np.ones(4, "float32"))
        assert np.isnan(losses).tolist() == [True, True, True, False]

    def test_a_row_that_does_not_count_may_hold_anything(self):
        logits = np.array([[np.nan, 1], [np.inf, 0], [1, 2]], "float32")
        weight, targets = np.array([0, 0, 1], "float32"), np.array([-100, 7, 0])
        losses, log_sum = ours.cross_entropy(logits, targets, weight)
        d = ours.cross_entropy_backward(np.ones(3, "float32"), logits, targets, weight, log_sum)
        expected, _ = cross_entropy(logits[2:].astype("float64"), targets[2:], weight[2:])
        np.testing.assert_allclose(losses, [0, 0, *expected], rtol=1e-6)
        assert (d[:2] == 0).all() and np.isfinite(d).all()

    def test_a_large_vocabulary(self):
        logits, targets = 3 * draw(2, 50_257), random.integers(0, 50_257, 2)
        assert_equals("cross_entropy", (logits, targets, np.ones(2)))


class TestAdam:
    def test_more_parameters_than_a_launch_takes(self):
        settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "decay": 0.1, "l2": 0.0, "step": 1}
        sizes = [1, 5000, 3, 0] * 50
        parameters = [(*draw(4, n).astype("float32") ** 2, None) for n in sizes]
        expected = [tuple(a if a is None else a.copy() for a in arrays) for arrays in parameters]
        numpy_kernels.adam_step(expected, **settings)
        before = cudasim.launches() if cudasim.started() else 0
        ours.adam_step(parameters, **settings)
        if cudasim.started():
            assert cudasim.launches() - before == math.ceil(150 / cuda_kernels.ADAM_MACROS["TABLE_SIZE"])
        for a, b in zip(parameters, expected, strict=True):
            for x, y in zip(a[:4], b[:4], strict=True):
                np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6)

    @pytest.mark.parametrize("l2", [0.0, 0.3])
    @pytest.mark.parametrize(
        ("module", "letter"),
        [*((cuda_kernels, letter) for letter in "efd"), *((numpy_kernels, letter) for letter in "fd")],
    )
    def test_the_factor_may_lie_on_the_gpu(self, module, letter, l2):
        settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "decay": 0.1, "l2": l2, "step": 1}
        before = [a.astype(letter) for a in draw(4, 5000) ** 2]
        expected, parameters = ([where(a, copy=True) for a in before] for where in (np.array, cupy.array))
        kernels(before[0]).adam_step([(*expected, None)], **settings, factor=0.3)
        module.adam_step([(*parameters, None)], **settings, factor=cupy.asarray(0.3))
        for x, y in zip(parameters, expected, strict=True):
            assert x.dtype == letter
            np.testing.assert_allclose(x.get(), y, rtol=2e-3 if letter == "e" else 2e-5, atol=1e-6)


class TestClipping:
    def gradients(self):
        shapes = [(1,), (5000,), (0,), (3, 7), (70, 90)] * 40
        arrays = [draw(*shape).astype("float32") for shape in shapes]
        return [*arrays, draw(6, 4).astype("float32").T, draw(5), draw(9, 9).astype("float16")]

    def test_equals_numpys(self):
        expected = self.gradients()
        ours = [cupy.asarray(a) for a in expected]
        squares = clip.sum_of_squares(expected[:-1])
        with cudasim.shuffled(1) if cudasim.started() else contextlib.nullcontext():
            assert float(clip.sum_of_squares(ours[:-1])) == pytest.approx(squares, rel=1e-5)
            clip.scale_all(ours, cupy.asarray(0.3))
        clip.scale_all(expected, 0.3)
        for a, b in zip(ours, expected, strict=True):
            assert (a.dtype, a.strides) == (b.dtype, b.strides)
            np.testing.assert_allclose(a.get(), b, rtol=2e-3 if a.dtype == "float16" else 1e-6)

    @pytest.mark.skipif(not cudasim.started(), reason="a real GPU does not count launches")
    @pytest.mark.parametrize("count", [3, 150])
    def test_takes_a_handful_of_launches_however_many_there_are(self, count):
        parameters = [nn.Parameter(tensor.ones(2, 3, device="cuda")) for _ in range(count)]
        for p in parameters:
            p.grad = tensor.ones(2, 3, device="cuda")
        before, copies = cudasim.launches(), cudasim.copies()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        assert cudasim.launches() - before <= 12
        assert cudasim.copies() == copies
        assert norm.item() == pytest.approx(math.sqrt(6 * count), rel=1e-6)

    def test_nothing_but_empty_gradients(self):
        assert float(clip.sum_of_squares([cupy.zeros(0)])) == 0
        clip.scale_all([cupy.zeros(0)], cupy.asarray(0.5))


class TestChoice:
    def test_arrays_on_a_gpu_take_cuda(self):
        for letter in "efd":
            assert kernels(cupy.ones(1, letter)) is cuda_kernels
        assert kernels(cupy.ones(1, int)) is numpy_kernels

    def test_numpy_means_on_a_gpu_too(self):
        use_kernels("numpy")
        assert kernels(cupy.ones(1)) is numpy_kernels
        use_kernels(None)
        assert kernels(cupy.ones(1)) is cuda_kernels

    def test_a_kernel_without_a_cuda_form_takes_numpys(self, monkeypatch):
        monkeypatch.delattr(cuda_kernels, "dropout")
        assert cuda_kernels.dropout is numpy_kernels.dropout
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            cuda_kernels.nonsense  # noqa: B018

    def test_the_engine_uses_them(self, monkeypatch):
        calls = []
        original = cuda_kernels.softmax
        monkeypatch.setattr(cuda_kernels, "softmax", lambda x, axis: calls.append(1) or original(x, axis))
        tensor.softmax(tensor.ones(2, 3, device="cuda"), dim=1)
        assert calls == [1]


def test_nothing_stays_in_memory():
    pool = cupy.get_default_memory_pool()
    for _ in range(2):  # the first time compiles
        gc.collect()
        before = pool.used_bytes()
        for name in CASES:
            run(ours, name, in_dtype(small_cases(name)[0], "float32"))
    assert pool.used_bytes() == before
