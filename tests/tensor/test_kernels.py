"""The contract of tensor/kernels: every implementation that can run here gives what the definition gives.

The expected values are written here in a few lines of NumPy in float64. Each case runs for every implementation and
dtype, on sizes that fall inside one tile, fill several, and leave a rest. With `pytest -m gpu` it is CUDA's.
"""

import inspect
import math
import os
import subprocess
import sys

import compare
import cudasim
import numpy as np
import pytest

import tensor
from tensor.devices import CPU, Device, is_array, move
from tensor.kernels import (
    CHOICES,
    UnusableKernels,
    cuda_kernels,
    float16,
    kernels,
    numpy_gelu,
    numpy_kernels,
    threads,
    tiles,
    use_kernels,
)
from tensor.kernels.random_bits import random_bits

RTOL = {"float32": 3e-5, "float64": 1e-10}
TOLERANCE = {"float16": 2e-3, **RTOL}
random = np.random.default_rng(0)


IMPLEMENTATIONS = CHOICES if compare.DEVICE == "cpu" else ("cuda",)
of_the_cpu = pytest.mark.skipif(compare.DEVICE != "cpu", reason="about what runs on the CPU")


def draw(*shape):
    return random.standard_normal(shape)


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request, three_threads, monkeypatch):
    if request.param == "cuda":
        yield OnGPU(cuda_kernels)
        return
    if request.param == "numba":
        pytest.importorskip("numba")
    for module in (numpy_kernels, numpy_gelu, tiles):
        monkeypatch.setattr(module, "TILE", 1 << 16)
    use_kernels(request.param)
    yield kernels(np.ones(1, "float32"))
    use_kernels(None)


class OnGPU:
    """Kernels of CuPy arrays, as functions of NumPy arrays: these go to the GPU and come back, changed or not."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        def run(*args, **settings):
            theirs = _mapped(lambda a: move(a, Device("cuda")), args)
            result = getattr(self.module, name)(*theirs, **settings)
            _mapped(lambda a, b: np.copyto(a, move(b, CPU)), args, theirs)
            return _mapped(lambda a: move(a, CPU), result)

        return run


def _mapped(function, value, *others):
    """`value` with `function` applied to each array in its tuples and lists, and to what stands there in `others`."""
    if isinstance(value, list | tuple):
        return type(value)(_mapped(function, *parts) for parts in zip(value, *others, strict=True))
    return function(value, *others) if is_array(value) else value


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def cdf(x):
    return np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))(x)


def density(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def sigmoid_2u(x):
    return 1 / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def layer_norm(x, weight, bias, eps):
    mean, variance = x.mean(1), x.var(1)
    rstd = 1 / np.sqrt(variance + eps)
    normal = (x - mean[:, None]) * rstd[:, None]
    return normal * (1 if weight is None else weight) + (0 if bias is None else bias), mean, rstd


def layer_norm_backward(dy, x, weight, mean, rstd, affine):
    normal = (x - mean[:, None]) * rstd[:, None]
    g = dy * (1 if weight is None else weight)
    dx = rstd[:, None] * (g - g.mean(1, keepdims=True) - normal * (g * normal).mean(1, keepdims=True))
    return (dx, (dy * normal).sum(0), dy.sum(0)) if affine else (dx, None, None)


def add_layer_norm(x, branch, weight, bias, eps):
    return x + branch, *layer_norm(x + branch, weight, bias, eps)


def add_layer_norm_backward(dtotal, dy, total, weight, mean, rstd, affine):
    dx, dweight, dbias = layer_norm_backward(dy, total, weight, mean, rstd, affine)
    return dtotal + dx, dweight, dbias


def linear(x, weight, bias):
    return x @ weight.T + (0 if bias is None else bias)


def gelu_tanh(x):
    return x * sigmoid_2u(x)


def gelu_tanh_slope(x):
    return sigmoid_2u(x) * (1 + x * (1 - sigmoid_2u(x)) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))


def linear_gelu_backward(dy, x, weight, bias):
    dz = dy * gelu_tanh_slope(linear(x, weight, bias))
    return dz, None if bias is None else dz.sum(0)


def rms_norm(x, weight, eps):
    rrms = 1 / np.sqrt((x * x).mean(1) + eps)
    return x * rrms[:, None] * (1 if weight is None else weight), rrms


def rms_norm_backward(dy, x, weight, rrms, affine):
    normal = x * rrms[:, None]
    g = dy * (1 if weight is None else weight)
    dx = rrms[:, None] * (g - normal * (g * normal).mean(1, keepdims=True))
    return dx, (dy * normal).sum(0) if affine else None


def bits(number, seed):
    """The hash of tensor/kernels/random_bits.py in Python's integers."""
    word = (seed + 0x9E3779B97F4A7C15) % 2**64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    word ^= word >> 31
    x = (number * 0x9E3779B9 + word % 2**32) % 2**32
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = (x + (word >> 32)) % 2**32
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def dropout(x, p, seed):
    keep = [bits(number, seed) >= p * 2**32 for number in range(x.size)]
    return np.where(np.array(keep, bool).reshape(x.shape), x / (1 - p), 0)


def cross_entropy(logits, targets, row_weight):
    log_sum = np.log(np.exp(logits).sum(1))
    rows = np.flatnonzero(row_weight)
    losses = np.zeros(len(logits))
    losses[rows] = row_weight[rows] * (log_sum[rows] - logits[rows, targets[rows]])
    return losses, log_sum


def cross_entropy_backward(dlosses, logits, targets, row_weight, log_sum):
    truth = np.zeros_like(logits)
    rows = np.flatnonzero(row_weight)
    truth[rows, targets[rows]] = 1
    return (dlosses * row_weight)[:, None] * (softmax(logits, 1) - truth)


def embedding_backward(dy, idx, num_embeddings):
    dweight = np.zeros((num_embeddings, dy.shape[1]))
    np.add.at(dweight, idx, dy)
    return dweight


def scores(q, k, scale, causal):
    s = scale * q @ k.swapaxes(-1, -2)
    return np.where(np.tril(np.ones(s.shape[-2:], bool)), s, -np.inf) if causal else s


def attention(q, k, v, scale, causal, dropout_p=0.0, seed=0):
    s = scores(q, k, scale, causal)
    return dropout(softmax(s, -1), dropout_p, seed) @ v, np.log(np.exp(s).sum(-1))


def attention_backward(dy, q, k, v, y, log_sum, scale, causal, dropout_p=0.0, seed=0):
    p = softmax(scores(q, k, scale, causal), -1)
    dp = dropout(dy @ v.swapaxes(-1, -2), dropout_p, seed)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    dv = dropout(p, dropout_p, seed).swapaxes(-1, -2) @ dy
    return scale * ds @ k, scale * ds.swapaxes(-1, -2) @ q, dv


def norm_case(N, C, affine):
    x, weight, bias = draw(N, C), draw(C) if affine else None, draw(C) if affine else None
    return (draw(N, C), x, weight, *layer_norm(x, weight, bias, 1e-5)[1:], affine)


def rms_case(N, C, affine):
    x, weight = draw(N, C), draw(C) if affine else None
    return draw(N, C), x, weight, rms_norm(x, weight, 1e-5)[1], affine


def linear_cases():
    return [
        (draw(5, 7), draw(3, 7), None),
        (draw(5, 7), draw(3, 7), draw(3)),
        (draw(7, 901).T, draw(170, 7), draw(170)),
    ]


def loss_case(N, V):
    logits, targets = 2 * draw(N, V), random.integers(0, V, N)
    row_weight = np.where(random.random(N) < 0.3, 0, random.random(N))
    targets[row_weight == 0] = -100  # what does not count need not be a class
    return logits, targets, row_weight


def loss_backward_case(N, V):
    case = loss_case(N, V)
    return (draw(N), *case, cross_entropy(*case)[1])


def attention_case(B, H, T, S, causal, dropout_p=0.0):
    q, k, v = draw(B, T, H, 8).swapaxes(1, 2), draw(B, H, 8, S).swapaxes(2, 3), draw(B, H, S, 6)
    return q, k, v, -0.3, causal, dropout_p, 0x123456789ABCDEF0


def attention_backward_case(*sizes):
    case = attention_case(*sizes)
    y, log_sum = attention(*case)
    return (draw(*y.shape), *case[:3], y, log_sum, *case[3:])


CASES = {
    "softmax": (softmax, [(draw(5, 7), 1), (draw(5, 7), 0), (draw(2, 3, 4), -2), (20 * draw(900, 100), 1)]),
    "softmax_backward": (
        lambda dy, y, axis: y * (dy - (dy * y).sum(axis, keepdims=True)),
        [(draw(5, 7), softmax(draw(5, 7), 1), 1), (draw(3, 900, 40), softmax(draw(3, 900, 40), 0), 0)],
    ),
    "log_softmax": (lambda x, axis: np.log(softmax(x, axis)), [(draw(5, 7), 1), (draw(900, 100), 0)]),
    "log_softmax_backward": (
        lambda dy, y, axis: dy - np.exp(y) * dy.sum(axis, keepdims=True),
        [(draw(5, 7), np.log(softmax(draw(5, 7), 1)), 1), (draw(900, 100), np.log(softmax(draw(900, 100), 0)), 0)],
    ),
    "layer_norm": (
        layer_norm,
        [(draw(3, 5), draw(5), draw(5), 1e-5), (draw(3, 5), None, None, 0.1), (draw(2001, 100), draw(100), None, 1e-5)],
    ),
    "layer_norm_backward": (
        layer_norm_backward,
        [norm_case(3, 5, True), norm_case(3, 5, False), norm_case(2001, 100, True)],
    ),
    "add_layer_norm": (
        add_layer_norm,
        [
            (draw(3, 5), draw(3, 5), draw(5), draw(5), 1e-5),
            (draw(3, 5), draw(5, 3).T, None, None, 0.1),
            (draw(2001, 100), draw(2001, 100), draw(100), None, 1e-5),
        ],
    ),
    "add_layer_norm_backward": (
        add_layer_norm_backward,
        [(draw(N, C), *norm_case(N, C, affine)) for N, C, affine in [(3, 5, True), (3, 5, False), (2001, 100, True)]],
    ),
    "rms_norm": (
        rms_norm,
        [(draw(3, 5), draw(5), 1e-5), (draw(3, 5), None, 0.1), (draw(2001, 100), draw(100), 1e-5)],
    ),
    "rms_norm_backward": (
        rms_norm_backward,
        [rms_case(3, 5, True), rms_case(3, 5, False), rms_case(2001, 100, True)],
    ),
    "dropout": (
        dropout,
        [(draw(7), 0.5, 3), (draw(3, 50_001), 0.2, 2**64 - 1), (draw(6, 4).T, 0.9, 2**40), (draw(5), 0.0, 1)],
    ),
    "linear": (
        linear,
        linear_cases(),
    ),
    "linear_gelu": (
        lambda x, weight, bias, backward: (gelu_tanh(linear(x, weight, bias)), None),
        [(*case, False) for case in linear_cases()],
    ),
    "linear_gelu_backward": (
        linear_gelu_backward,
        [(draw(len(x), len(weight)), x, weight, bias) for x, weight, bias in linear_cases()],
    ),
    "gelu_tanh": (
        lambda x, backward: (gelu_tanh(x), None),
        [(3 * draw(7), False), (3 * draw(3, 30_001), False), (3 * draw(6, 4).T, False)],
    ),
    "gelu_tanh_backward": (
        lambda dy, x: dy * gelu_tanh_slope(x),
        [(draw(7), 2 * draw(7)), (draw(3, 30_001), 2 * draw(3, 30_001))],
    ),
    "gelu_erf": (
        lambda x, backward: (x * cdf(x), None),
        [(3 * draw(7), False), (3 * draw(3, 30_001), False), (3 * draw(6, 4).T, False)],
    ),
    "gelu_erf_backward": (
        lambda dy, x: dy * (cdf(x) + x * density(x)),
        [(draw(7), 3 * draw(7)), (draw(3, 30_001), 3 * draw(3, 30_001))],
    ),
    "cross_entropy": (cross_entropy, [loss_case(5, 7), loss_case(901, 100)]),
    "cross_entropy_backward": (cross_entropy_backward, [loss_backward_case(5, 7), loss_backward_case(901, 100)]),
    "embedding_backward": (
        embedding_backward,
        [
            (draw(6, 3), np.array([1, 4, 1, 1, 0, 4]), 5),
            (draw(6, 3), np.array([2] * 6, "int32"), 3),
            (draw(900, 100), random.integers(0, 50, 900), 60),
            (draw(0, 3), np.zeros(0, "int64"), 4),
        ],
    ),
    "attention": (
        attention,
        [
            attention_case(2, 3, 5, 6, False),
            attention_case(2, 3, 5, 6, True),
            attention_case(1, 2, 7, 4, True),
            attention_case(2, 2, 300, 300, True),
            attention_case(4, 3, 200, 170, False),
            attention_case(2, 3, 70, 70, True, 0.2),
            attention_case(2, 2, 7, 30, False, 0.9),
        ],
    ),
    "attention_backward": (
        attention_backward,
        [
            attention_backward_case(2, 3, 5, 6, False),
            attention_backward_case(2, 3, 5, 6, True),
            attention_backward_case(1, 2, 7, 4, True),
            attention_backward_case(2, 2, 300, 300, True),
            attention_backward_case(2, 3, 70, 70, True, 0.2),
            attention_backward_case(2, 2, 7, 30, False, 0.9),
        ],
    ),
}


def in_dtype(args, dtype):
    return [a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]


def listed(result):
    return result if isinstance(result, tuple) else (result,)


def run(implementation, name, args):
    """What a kernel returns, as a tuple. A GELU's backward is given its forward's arguments here, and gets what that
    keeps for it.
    """
    if "gelu" in name and name.endswith("_backward"):
        dy, *inputs = args
        gelu = getattr(implementation, name.removesuffix("_backward"))
        (y, kept), (alone, nothing) = gelu(*inputs, True), gelu(*inputs, False)
        np.testing.assert_allclose(y, alone, rtol=TOLERANCE[str(y.dtype)], atol=1e-6)
        assert nothing is None
        args = (dy, kept, inputs[-1] is not None) if name == "linear_gelu_backward" else (dy, kept)
    return listed(getattr(implementation, name)(*args))


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name, dtype, implementation):
    definition, cases = CASES[name]
    for args in small_cases(name) if cudasim.started() and dtype != "float32" else cases:  # on a real GPU all
        given = in_dtype(args, dtype)
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
        with np.errstate(over="ignore"):  # as the engine does around every op
            results = run(implementation, name, given)
        for ours, expected in zip(results, listed(definition(*args)), strict=True):
            if expected is None:
                assert ours is None
                continue
            assert ours.dtype == dtype
            assert ours.shape == expected.shape
            scale = np.abs(expected).max(initial=1)
            np.testing.assert_allclose(ours, expected, rtol=RTOL[dtype], atol=RTOL[dtype] * scale)
        for a, b in zip(given, before, strict=True):
            assert np.array_equal(a, b), "a kernel wrote into its argument"


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize(("l2", "factor"), [(0.3, 1.0), (0.0, 0.37), (0.3, -0.37)])
@pytest.mark.parametrize("shapes", [[(5,)], [(70_001,)], [(3,), (0, 4), (200, 200), (), (3, 50_000)]])
def test_adam_step(dtype, amsgrad, shapes, l2, factor, implementation):
    before = adam_arrays(shapes, amsgrad)
    parameters = [tuple(in_dtype(arrays, dtype)) for arrays in before]
    implementation.adam_step(parameters, **ADAM, l2=l2, factor=factor)
    for arrays, ours in zip(before, parameters, strict=True):
        for a, expected in zip(ours, adam_step(*arrays, l2, factor), strict=True):
            if expected is not None:
                assert a.dtype == dtype
                np.testing.assert_allclose(a, expected, rtol=10 * RTOL[dtype], atol=RTOL[dtype])


ADAM = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "decay": 0.2, "step": 4}


def adam_arrays(shapes, amsgrad):
    """(p, g, m, v, v_max) of each shape, in float64."""
    drawn = [[np.array(draw(*shape)) for _ in range(3)] for shape in shapes]
    squares = [[np.array(draw(*shape) ** 2) for _ in range(2)] for shape in shapes]
    return [(*pgm, v, v_max if amsgrad else None) for pgm, (v, v_max) in zip(drawn, squares, strict=True)]


def adam_step(p, g, m, v, v_max, l2, factor):
    """The definition, with the settings ADAM."""
    gradient = factor * g + l2 * p
    m, v = 0.8 * m + 0.2 * gradient, 0.9 * v + 0.1 * gradient**2
    v_max = None if v_max is None else np.maximum(v_max, v)
    root = np.sqrt((v if v_max is None else v_max) / (1 - 0.9**4))
    p = p * (1 - 0.1 * 0.2) - 0.1 * (m / (1 - 0.8**4)) / (root + 1e-3)
    return p, g, m, v, v_max


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_adam_steps_of_all_parameters_at_once_are_those_of_each(l2, implementation):
    """To the last bit, wherever the flat range is cut."""
    shapes = [(7,)] * 40 + [(100_003,), (0,), (1,)] + [(16, 33)] * 40
    together = [tuple(in_dtype(arrays, "float32")) for arrays in adam_arrays(shapes, amsgrad=True)]
    alone = [tuple(a.copy() for a in arrays) for arrays in together]
    implementation.adam_step(together, **ADAM, l2=l2, factor=0.3)
    for arrays in alone:
        implementation.adam_step([arrays], **ADAM, l2=l2, factor=0.3)
    for ours, expected in zip(together, alone, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, expected, strict=True))


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize(
    ("factor", "gradient"),
    [
        (0.0, [3.0, 1e30, np.inf, np.nan]),  # finite ones count nothing, however large; an inf by 0 is NaN
        (1e-30, [1e30, -1e30, 1e38, 1.0]),  # their squares would overflow
        (1e25, [1e-25, 0.0, -3e-25, 1e-38]),  # and theirs underflow
        (np.nan, [1.0, 0.0, np.inf, np.nan]),
    ],
)
def test_adam_step_takes_the_factor_before_the_square(factor, gradient, l2, implementation):
    g, one = np.array(gradient, "float32"), np.ones(4, "float32")
    ours = [one.copy(), g.copy(), one.copy(), one.copy(), None]
    with np.errstate(all="ignore"):  # as `Optimizer.step` does
        implementation.adam_step([tuple(ours)], **ADAM, l2=l2, factor=factor)
        expected = adam_step(*(a.astype("float64") for a in (one, g, one, one)), None, l2, factor)
    for a, b in zip(ours[:4], expected[:4], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("dtype", RTOL)
class TestEdges:
    def test_infinite_and_nan(self, dtype, implementation):
        with np.errstate(all="ignore"):
            masked = implementation.softmax(np.array([[0.0, -np.inf, 0.0], [np.nan, 0, 0], [0, 0, np.nan]], dtype), 1)
            np.testing.assert_array_equal(masked[0], [0.5, 0, 0.5])
            assert np.isnan(masked[1:]).all()
            for name in ("gelu_tanh", "gelu_erf"):
                for backward in (False, True):
                    y, kept = getattr(implementation, name)(np.array([np.nan, -200.0, 200.0, 0.0], dtype), backward)
                    np.testing.assert_array_equal(y, [np.nan, 0.0, 200.0, 0.0])
                slope = getattr(implementation, f"{name}_backward")(np.ones(4, dtype), kept)
                np.testing.assert_allclose(slope, [np.nan, 0.0, 1.0, 0.5], atol=1e-6)

    def test_large_values_do_not_overflow(self, dtype, implementation):
        logits = np.array([[1e4, 0.0, -1e4]], dtype)
        losses, _ = implementation.cross_entropy(logits, np.array([2]), np.ones(1, dtype))
        assert losses[0] == 2e4
        np.testing.assert_array_equal(implementation.log_softmax(logits, 1), [[0, -1e4, -2e4]])

    def test_nothing(self, dtype, implementation):
        assert implementation.softmax(np.ones((0, 3), dtype), 1).shape == (0, 3)
        assert implementation.log_softmax(np.ones((3, 0), dtype), 1).shape == (3, 0)
        assert implementation.gelu_erf(np.ones((2, 0), dtype), True)[0].shape == (2, 0)

    def test_repeats_bit_for_bit(self, dtype, implementation):
        for name in ("softmax", "layer_norm_backward", "attention_backward", "embedding_backward"):
            args = in_dtype(CASES[name][1][-1], dtype)
            first, again = [listed(getattr(implementation, name)(*args)) for _ in range(2)]
            assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def assert_equals(implementation, name, args, definition=None, dtype="float32"):
    """The kernel's results are those of the definition for the same arguments, rounded to `dtype`."""
    given = in_dtype(args, dtype)
    exact = in_dtype(given, "float64")
    results = run(implementation, name, given)
    for result, expected in zip(results, listed((definition or CASES[name][0])(*exact)), strict=True):
        if expected is not None:
            rtol = TOLERANCE[dtype]
            np.testing.assert_allclose(result, expected, rtol=rtol, atol=rtol * np.abs(expected).max(initial=1))
    return results


def small_cases(name):
    def elements(args):
        return max(a.size for a in args if isinstance(a, np.ndarray))

    return [args for args in CASES[name][1] if elements(args) < 5000]


class TestFloat16:
    """On the CPU these are float32's kernels with rounded results, on a GPU kernels of their own."""

    half = float16 if compare.DEVICE == "cpu" else OnGPU(cuda_kernels)

    @pytest.mark.parametrize("name", CASES)
    def test_is_computed_in_float32(self, name):
        for args in small_cases(name):
            results = assert_equals(self.half, name, args, dtype="float16")
            assert results[0].dtype == "float16"

    def test_an_adam_step_is_computed_in_float32(self):
        (before,) = adam_arrays([(6, 5)], amsgrad=True)
        ours = [a.astype("float16") for a in before]
        ours[1] *= 1000  # with a square that float16 does not hold
        expected = adam_step(*(a.astype("float64") for a in ours), 0.0, 1e-3)
        self.half.adam_step([tuple(ours)], **ADAM, l2=0.0, factor=1e-3)
        for a, b in zip(ours, expected, strict=True):
            assert a.dtype == "float16"
            np.testing.assert_allclose(a, b, rtol=TOLERANCE["float16"], atol=1e-3)

    def test_what_backward_needs_of_a_row_is_kept_in_float32(self):
        x = draw(4, 50).astype("float16")
        assert [a.dtype for a in self.half.layer_norm(x, None, None, 1e-5)] == ["float16", "float32", "float32"]
        _, log_sum = self.half.cross_entropy(x, np.zeros(4, int), np.ones(4, "float16"))
        assert log_sum.dtype == "float32"

    def test_sums_do_not_overflow(self):
        x = np.full((2, 3000), 100, "float16")  # Σ x² is 3e7, and float16 ends at 65504
        y, _ = self.half.rms_norm(x, None, 0.0)
        np.testing.assert_array_equal(y, np.ones_like(x))


def signatures(module):
    return {name: list(inspect.signature(getattr(module, name)).parameters) for name in module.__all__}


@of_the_cpu
def test_the_same_functions_everywhere():
    numba_kernels = pytest.importorskip("tensor.kernels.numba_kernels")
    for module in (numba_kernels, cuda_kernels, float16):
        assert signatures(module) == signatures(numpy_kernels)
    assert set(numpy_kernels.__all__) == {*CASES, "adam_step"}


@of_the_cpu
class TestRandomBits:
    """What dropout needs: every element is kept with the right probability, whatever happens to its neighbours."""

    N = 1 << 18

    def keep(self, seed):
        return random_bits(np, np.arange(self.N, dtype=np.uint32), seed) >= 0.2 * 2**32

    @pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1, 0x0123456789ABCDEF])
    def test_looks_independent(self, seed):
        z = (self.keep(seed) - 0.8) / 0.4  # mean 0 and variance 1, so sums of N terms have standard deviation √N
        assert abs(z.sum()) < 4 * math.sqrt(self.N)
        for lag in (1, 2, 3, 4, 8, 16, 64, 256, 1024):
            assert abs((z[lag:] * z[:-lag]).sum()) < 4 * math.sqrt(self.N), lag
        for other in (seed + 1, seed + 2**32, seed ^ 2**31):
            assert abs((z * (self.keep(other % 2**64) - 0.8) / 0.4).sum()) < 4 * math.sqrt(self.N), other

    def test_rows_and_columns_of_a_mask_have_no_pattern(self):
        z = ((self.keep(7) - 0.8) / 0.4).reshape(512, 512)
        for dim in (0, 1):
            assert 0.75 < (z.sum(dim) / math.sqrt(512)).var() < 1.25


@of_the_cpu
class TestThreads:
    def test_split_covers_everything_once(self, monkeypatch):
        monkeypatch.setattr(threads, "THREADS", 3)
        assert threads.split(10, 10**6) == [(0, 3), (3, 6), (6, 10)]
        assert threads.split(2, 10**6) == [(0, 1), (1, 2)]
        assert threads.split(10, 10) == [(0, 10)]
        assert threads.split(0, 0) == [(0, 0)]

    def test_results_do_not_depend_on_the_number(self, monkeypatch, implementation):
        args = in_dtype(CASES["attention_backward"][1][3], "float64")
        monkeypatch.setattr(threads, "THREADS", 1)
        alone = implementation.attention_backward(*args)
        monkeypatch.setattr(threads, "THREADS", 2)
        for a, b in zip(alone, implementation.attention_backward(*args), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)

    def test_an_error_in_a_thread_arrives(self, monkeypatch):
        monkeypatch.setattr(threads, "THREADS", 2)

        def fail(part):
            if part == 1:
                raise ValueError("in the second part")

        with pytest.raises(ValueError, match="in the second part"):
            threads.run(fail, [(0,), (1,)])

    def test_the_threads_go_on_after_an_error(self, monkeypatch):
        monkeypatch.setattr(threads, "THREADS", 3)
        done = []
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                threads.run(lambda part: done.append(1 / part), [(1,), (0,), (1,)])
        assert done == [1] * 6

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX's")
    def test_a_forked_process_starts_its_own(self):
        code = """
import os
from tensor.kernels import threads
done = []
threads.run(done.append, [(1,), (2,)])
child = os.fork()
if child == 0:
    threads.run(done.append, [(3,), (4,)])
    os._exit(len(done))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
        assert result.stdout.split() == ["4"]

    @pytest.mark.parametrize(
        ("environment", "count"),
        [
            ({"OMP_NUM_THREADS": "3"}, 3),
            ({"OMP_NUM_THREADS": "3,2"}, 3),
            ({"OPENBLAS_NUM_THREADS": "5"}, 5),
            ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "5"}, 1),
        ],
    )
    def test_as_many_as_the_environment_says(self, environment, count, monkeypatch):
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert threads._count() == count


WHEN_NUMPY_IS_LOADED = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"))

sys.meta_path.insert(0, Watch())
import tinygrad_gpt.cli
"""


@of_the_cpu
@pytest.mark.parametrize(
    ("names", "asked", "found"), [("numpy", None, "16"), ("numpy", "20", "20"), ("numba", None, "None")]
)
def test_openblas_learns_how_to_wait_before_it_is_loaded(names, asked, found, monkeypatch):
    """NumPy's kernels have threads of their own; Numba's run on those of OpenBLAS, which may stay awake."""
    if names == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("TENSOR_KERNELS", names)
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    if asked:
        monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", asked)
    assert run_python(WHEN_NUMPY_IS_LOADED).stdout.split() == [found]


FIRST_KERNEL = """
import numpy as np
from tensor.kernels import kernels
print(kernels(np.ones(1)).__name__.rpartition(".")[2])
"""


BROKEN = """
import numba
def fail(*a, **k): raise TypeError("no such Python")
numba.njit = fail
"""
WITHOUT_VECTORS = """
from llvmlite import ir
def fail(*a, **k): raise NotImplementedError("vectors")
ir.VectorType.__init__ = fail
"""
WITHOUT_A_CACHE = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
"""


@of_the_cpu
class TestCompiling:
    def test_happens_once_and_is_announced(self, tmp_path, monkeypatch):
        pytest.importorskip("numba")
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
        monkeypatch.delenv("TENSOR_KERNELS", raising=False)
        first, again = run_python(FIRST_KERNEL), run_python(FIRST_KERNEL)
        assert first.stdout.split() == again.stdout.split() == ["numba_kernels"]
        assert first.stderr == "tensor: compiling the fast kernels; this takes some seconds, once\n"
        assert again.stderr == "", "the second process did not find the cache of the first"

    @pytest.mark.parametrize(
        ("state", "problem"),
        [
            (BROKEN, "Numba does not work here (TypeError: no such Python)"),
            (WITHOUT_VECTORS, "Numba does not work here (NotImplementedError: vectors)"),
            (WITHOUT_A_CACHE, "Numba finds no folder that it may keep compiled code in: set NUMBA_CACHE_DIR to one"),
        ],
        ids=["broken", "without vectors", "without a cache"],
    )
    def test_what_cannot_be_compiled_gives_way_to_numpy(self, state, problem, tmp_path, monkeypatch):
        pytest.importorskip("numba")
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
        monkeypatch.delenv("TENSOR_KERNELS", raising=False)
        result = run_python(state + FIRST_KERNEL)
        assert result.stdout.split() == ["numpy_kernels"]
        assert result.stderr.splitlines()[-1] == f"tensor: NumPy's kernels, the slower ones, as {problem}"
        assert "Traceback" not in result.stderr


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


@of_the_cpu
def test_pieces_of_arrays_end_to_end():
    lists = [(np.arange(4), None), (np.arange(0), None), (np.arange(3), np.arange(10, 13))]
    whole = [[None if a is None else a.tolist() for a in arrays] for arrays in tiles.pieces(lists, 0, 7)]
    assert whole == [[[0, 1, 2, 3], None], [[0, 1, 2], [10, 11, 12]]]
    parts = [[None if a is None else a.tolist() for a in arrays] for arrays in tiles.pieces(lists, 3, 6)]
    assert parts == [[[3], None], [[0, 1], [10, 11]]]
    assert list(tiles.pieces(lists, 7, 9)) == []


@of_the_cpu
class TestChoice:
    def test_other_dtypes(self, implementation):
        assert kernels(np.ones(1, "float16")) is float16
        assert kernels(np.ones(1, int)) is numpy_kernels
        assert kernels(np.ones(1, "float64")) is implementation

    def test_environment_variable(self, monkeypatch):
        monkeypatch.setenv("TENSOR_KERNELS", "numpy")
        use_kernels(None)
        assert kernels(np.ones(1)) is numpy_kernels
        monkeypatch.setenv("TENSOR_KERNELS", "fortran")
        with pytest.raises(
            UnusableKernels, match="there are no kernels called 'fortran': TENSOR_KERNELS must be numpy or numba"
        ):
            use_kernels(None)
        monkeypatch.delenv("TENSOR_KERNELS")
        use_kernels(None)

    def test_without_numba(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        monkeypatch.delenv("TENSOR_KERNELS", raising=False)
        use_kernels(None)
        assert kernels(np.ones(1)) is numpy_kernels
        with pytest.raises(UnusableKernels, match=r"Numba is not installed: run `pip install tinygrad-gpt\[fast\]`"):
            use_kernels("numba")
        monkeypatch.undo()
        use_kernels(None)

    def test_the_engine_uses_them(self, implementation, monkeypatch):
        calls = []
        original = implementation.softmax
        monkeypatch.setattr(implementation, "softmax", lambda x, axis: calls.append(1) or original(x, axis))
        tensor.softmax(tensor.ones(2, 3), dim=1)
        assert calls == [1]
