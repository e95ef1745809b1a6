"""The contract of tensor/kernels: every implementation that can run here gives what the definition gives.

The expected values are written here in a few lines of NumPy in float64. Each case runs for every implementation and
dtype, on sizes that fall inside one tile, fill several, and leave a rest.
"""

import inspect
import math

import numpy as np
import pytest

import tensor
from tensor.kernels import CHOICES, kernels, numpy_kernels, threads, use_kernels

RTOL = {"float32": 3e-5, "float64": 1e-10}
random = np.random.default_rng(0)


def draw(*shape):
    return random.standard_normal(shape)


@pytest.fixture(params=CHOICES)
def implementation(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    use_kernels(request.param)
    yield kernels(np.ones(1, "float32"))
    use_kernels(None)


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


def attention(q, k, v, scale, causal):
    s = scores(q, k, scale, causal)
    return softmax(s, -1) @ v, np.log(np.exp(s).sum(-1))


def attention_backward(dy, q, k, v, y, log_sum, scale, causal):
    p = softmax(scores(q, k, scale, causal), -1)
    dp = dy @ v.swapaxes(-1, -2)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    return scale * ds @ k, scale * ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dy


def norm_case(N, C, affine):
    x, weight, bias = draw(N, C), draw(C) if affine else None, draw(C) if affine else None
    return (draw(N, C), x, weight, *layer_norm(x, weight, bias, 1e-5)[1:], affine)


def loss_case(N, V):
    logits, targets = 2 * draw(N, V), random.integers(0, V, N)
    row_weight = np.where(random.random(N) < 0.3, 0, random.random(N))
    targets[row_weight == 0] = -100  # what does not count need not be a class
    return logits, targets, row_weight


def loss_backward_case(N, V):
    case = loss_case(N, V)
    return (draw(N), *case, cross_entropy(*case)[1])


def attention_case(B, H, T, S, causal):
    q, k, v = draw(B, T, H, 8).swapaxes(1, 2), draw(B, H, S, 8), draw(B, H, S, 6)
    return q, k, v, 0.3, causal


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
        [(draw(3, 5), draw(5), draw(5), 1e-5), (draw(3, 5), None, None, 0.1), (draw(901, 100), draw(100), None, 1e-5)],
    ),
    "layer_norm_backward": (
        layer_norm_backward,
        [norm_case(3, 5, True), norm_case(3, 5, False), norm_case(901, 100, True)],
    ),
    "gelu_tanh": (lambda x: x * sigmoid_2u(x), [(3 * draw(7),), (3 * draw(3, 30_001),), (3 * draw(6, 4).T,)]),
    "gelu_tanh_backward": (
        lambda dy, x: (
            dy * sigmoid_2u(x) * (1 + x * (1 - sigmoid_2u(x)) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))
        ),
        [(draw(7), 2 * draw(7)), (draw(3, 30_001), 2 * draw(3, 30_001))],
    ),
    "gelu_erf": (lambda x: x * cdf(x), [(3 * draw(7),), (3 * draw(3, 30_001),), (3 * draw(6, 4).T,)]),
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
        ],
    ),
    "attention_backward": (
        attention_backward,
        [
            attention_backward_case(2, 3, 5, 6, False),
            attention_backward_case(2, 3, 5, 6, True),
            attention_backward_case(1, 2, 7, 4, True),
            attention_backward_case(2, 2, 300, 300, True),
        ],
    ),
}


def in_dtype(args, dtype):
    return [a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]


def listed(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_definition(name, dtype, implementation):
    definition, cases = CASES[name]
    for args in cases:
        given = in_dtype(args, dtype)
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
        with np.errstate(over="ignore"):  # as the engine does around every op
            results = listed(getattr(implementation, name)(*given))
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
@pytest.mark.parametrize("size", [5, 70_001])
def test_adam_step(dtype, amsgrad, size, implementation):
    p, g, m = draw(size), draw(size), draw(size)
    v, v_max = draw(size) ** 2, draw(size) ** 2
    settings = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "decay": 0.2, "l2": 0.3, "step": 4}
    arrays = [a.astype(dtype) for a in (p, g, m, v, v_max)]
    implementation.adam_step(*arrays[:4], arrays[4] if amsgrad else None, **settings)
    gradient = g + 0.3 * p
    m, v = 0.8 * m + 0.2 * gradient, 0.9 * v + 0.1 * gradient**2
    v_max = np.maximum(v_max, v) if amsgrad else v
    p = p * (1 - 0.1 * 0.2) - 0.1 * (m / (1 - 0.8**4)) / (np.sqrt(v_max / (1 - 0.9**4)) + 1e-3)
    for ours, expected in zip(arrays, (p, g, m, v, v_max if amsgrad else arrays[4]), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, expected, rtol=10 * RTOL[dtype], atol=RTOL[dtype])


@pytest.mark.parametrize("dtype", RTOL)
class TestEdges:
    def test_infinite_and_nan(self, dtype, implementation):
        with np.errstate(all="ignore"):
            masked = implementation.softmax(np.array([[0.0, -np.inf, 0.0], [np.nan, 0, 0], [0, 0, np.nan]], dtype), 1)
            np.testing.assert_array_equal(masked[0], [0.5, 0, 0.5])
            assert np.isnan(masked[1:]).all()
            for name in ("gelu_tanh", "gelu_erf"):
                y = getattr(implementation, name)(np.array([np.nan, -200.0, 200.0, 0.0], dtype))
                np.testing.assert_array_equal(y, [np.nan, 0.0, 200.0, 0.0])

    def test_large_values_do_not_overflow(self, dtype, implementation):
        logits = np.array([[1e4, 0.0, -1e4]], dtype)
        losses, _ = implementation.cross_entropy(logits, np.array([2]), np.ones(1, dtype))
        assert losses[0] == 2e4
        np.testing.assert_array_equal(implementation.log_softmax(logits, 1), [[0, -1e4, -2e4]])

    def test_nothing(self, dtype, implementation):
        assert implementation.softmax(np.ones((0, 3), dtype), 1).shape == (0, 3)
        assert implementation.log_softmax(np.ones((3, 0), dtype), 1).shape == (3, 0)
        assert implementation.gelu_erf(np.ones((2, 0), dtype)).shape == (2, 0)

    def test_repeats_bit_for_bit(self, dtype, implementation):
        for name in ("softmax", "layer_norm_backward", "attention_backward", "embedding_backward"):
            args = in_dtype(CASES[name][1][-1], dtype)
            first, again = [listed(getattr(implementation, name)(*args)) for _ in range(2)]
            assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def public(module):
    """The kernels in `module`: its public functions and their argument names."""
    functions = inspect.getmembers(module, lambda f: inspect.isfunction(f) and f.__module__ == module.__name__)
    return {name: list(inspect.signature(f).parameters) for name, f in functions if not name.startswith("_")}


def test_the_same_functions_everywhere():
    numba_kernels = pytest.importorskip("tensor.kernels.numba_kernels")
    tested = {*CASES, "adam_step"}
    ours, reference = public(numba_kernels), public(numpy_kernels)
    for name in tested:
        assert ours[name] == reference[name], name
    assert set(ours) == tested
    assert set(reference) - tested == {"tiles", "row_tiles", "score_tiles", "heads_side_by_side"}


class TestThreads:
    def test_split_covers_everything_once(self, monkeypatch):
        monkeypatch.setattr(threads, "THREADS", 3)
        assert threads.split(10, 10**6) == [(0, 3), (3, 6), (6, 10)]
        assert threads.split(2, 10**6) == [(0, 1), (1, 2)]
        assert threads.split(10, 10) == [(0, 10)]
        assert threads.split(0, 0) == [(0, 0)]

    def test_results_do_not_depend_on_the_number(self, monkeypatch, implementation):
        args = in_dtype(CASES["attention_backward"][1][-1], "float64")
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


class TestChoice:
    def test_float16_and_integers_take_numpy(self, implementation):
        assert kernels(np.ones(1, "float16")) is numpy_kernels
        assert kernels(np.ones(1, "float64")) is implementation

    def test_environment_variable(self, monkeypatch):
        monkeypatch.setenv("TENSOR_KERNELS", "numpy")
        use_kernels(None)
        assert kernels(np.ones(1)) is numpy_kernels
        monkeypatch.setenv("TENSOR_KERNELS", "fortran")
        with pytest.raises(
            ValueError, match="there are no kernels called 'fortran': TENSOR_KERNELS must be numpy or numba"
        ):
            use_kernels(None)
        monkeypatch.delenv("TENSOR_KERNELS")
        use_kernels(None)

    def test_without_numba(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        monkeypatch.delenv("TENSOR_KERNELS", raising=False)
        use_kernels(None)
        assert kernels(np.ones(1)) is numpy_kernels
        with pytest.raises(RuntimeError, match=r"Numba is not installed: run `pip install tinygrad-gpt\[fast\]`"):
            use_kernels("numba")
        monkeypatch.undo()
        use_kernels(None)

    def test_the_engine_uses_them(self, implementation, monkeypatch):
        calls = []
        original = implementation.softmax
        monkeypatch.setattr(implementation, "softmax", lambda x, axis: calls.append(1) or original(x, axis))
        tensor.softmax(tensor.ones(2, 3), dim=1)
        assert calls == [1]
