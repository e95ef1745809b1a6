"""Random numbers: distribution, shape, dtype; the same seed gives the same numbers; the state round-trips."""

import json
import math

import numpy as np
import pytest

import tensor
from tensor.random import uniform_like

N = 40_000  # a mean of N draws is off by more than 5 standard errors once in a million runs, and the seed is fixed
ERROR = 5 / math.sqrt(N)


@pytest.fixture(autouse=True)
def fixed_seed():
    tensor.manual_seed(1337)


# draw(), the mean and the standard deviation of the distribution, and its support
DISTRIBUTIONS = {
    "rand": (lambda: tensor.rand(N), 0.5, 12**-0.5, (0, 1)),
    "rand float64": (lambda: tensor.rand(N, dtype=tensor.float64), 0.5, 12**-0.5, (0, 1)),
    "rand_like": (lambda: tensor.rand_like(tensor.zeros(N)), 0.5, 12**-0.5, (0, 1)),
    "randn": (lambda: tensor.randn(N), 0, 1, (-6, 6)),
    "randn float64": (lambda: tensor.randn(N, dtype=tensor.float64), 0, 1, (-6, 6)),
    "randn_like": (lambda: tensor.randn_like(tensor.zeros(N)), 0, 1, (-6, 6)),
    "randint": (lambda: tensor.randint(-2, 3, (N,)), 0, 2**0.5, (-2, 2)),
    "randint from 0": (lambda: tensor.randint(5, (N,)), 2, 2**0.5, (0, 4)),
    "randint_like": (lambda: tensor.randint_like(tensor.zeros(N), 5), 2, 2**0.5, (0, 4)),
    "normal of numbers": (lambda: tensor.normal(3.0, 2.0, (N,)), 3, 2, (-9, 15)),
    "normal of Tensors": (lambda: tensor.normal(tensor.full((N,), 3.0), tensor.full((1,), 2.0)), 3, 2, (-9, 15)),
    "bernoulli": (lambda: tensor.bernoulli(tensor.full((N,), 0.3)), 0.3, 0.21**0.5, (0, 1)),
    "bernoulli with p": (lambda: tensor.zeros(N).bernoulli(0.3), 0.3, 0.21**0.5, (0, 1)),
    "uniform_": (lambda: tensor.zeros(N).uniform_(-1, 3), 1, 4 * 12**-0.5, (-1, 3)),
    "normal_": (lambda: tensor.zeros(N).normal_(1, 0.5), 1, 0.5, (-2, 4)),
    "bernoulli_": (lambda: tensor.zeros(N).bernoulli_(0.3), 0.3, 0.21**0.5, (0, 1)),
    "bernoulli_ of Tensor": (lambda: tensor.zeros(N).bernoulli_(tensor.full((N,), 0.3)), 0.3, 0.21**0.5, (0, 1)),
    "exponential_": (lambda: tensor.zeros(N).exponential_(2), 0.5, 0.5, (0, 8)),
    "random_": (lambda: tensor.zeros(N).random_(-2, 3), 0, 2**0.5, (-2, 2)),
    "random_ from 0": (lambda: tensor.zeros(N, dtype=tensor.int64).random_(5), 2, 2**0.5, (0, 4)),
    "multinomial": (
        lambda: tensor.multinomial(tensor.tensor([1.0, 0, 2, 1]), N, replacement=True),
        1.75,
        1.0897,
        (0, 3),
    ),
}


@pytest.mark.parametrize("draw,mean,deviation,support", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_distribution(draw, mean, deviation, support):
    x = draw().array.astype(float)
    assert x.shape == (N,)
    assert abs(x.mean() - mean) < ERROR * deviation
    assert abs(x.std() - deviation) < 2 * ERROR * deviation
    assert support[0] <= x.min() < x.max() <= support[1]


@pytest.mark.parametrize("draw", [row[0] for row in DISTRIBUTIONS.values()], ids=DISTRIBUTIONS)
def test_same_seed_same_numbers(draw):
    first, second = draw(), draw()
    tensor.manual_seed(1337)
    assert tensor.equal(draw(), first)
    assert not tensor.equal(second, first)


SHAPES_AND_DTYPES = [
    (lambda: tensor.rand(2, 3), (2, 3), "float32"),
    (lambda: tensor.rand((2, 3), dtype=tensor.float64), (2, 3), "float64"),
    (lambda: tensor.rand(()), (), "float32"),
    (lambda: tensor.randn(0, 3), (0, 3), "float32"),
    (lambda: tensor.randn(2, dtype=tensor.float16), (2,), "float16"),
    (lambda: tensor.randint(3, (2, 3)), (2, 3), "int64"),
    (lambda: tensor.randint(0, 3, size=(2,), dtype=tensor.float32), (2,), "float32"),
    (lambda: tensor.randint(high=3, size=(2,)), (2,), "int64"),
    (lambda: tensor.randint(3, size=(2,)), (2,), "int64"),
    (lambda: tensor.randint_like(tensor.zeros(2), 1, 3), (2,), "float32"),
    (lambda: tensor.randperm(4), (4,), "int64"),
    (lambda: tensor.randperm(0), (0,), "int64"),
    (lambda: tensor.randn_like(tensor.zeros(2), dtype=tensor.float64), (2,), "float64"),
    (lambda: tensor.normal(tensor.zeros(2, 1), tensor.ones(3)), (2, 3), "float32"),
    (lambda: tensor.normal(0.0, tensor.ones(3, dtype=tensor.float64)), (3,), "float64"),
    (lambda: tensor.bernoulli(tensor.zeros(2, dtype=tensor.float64)), (2,), "float64"),
    (lambda: tensor.zeros(2, dtype=tensor.bool).bernoulli_(), (2,), "bool"),
    (lambda: tensor.zeros(2, dtype=tensor.uint8).random_(), (2,), "uint8"),
    (lambda: tensor.multinomial(tensor.ones(5), 3), (3,), "int64"),
    (lambda: tensor.multinomial(tensor.ones(2, 5), 3), (2, 3), "int64"),
    (lambda: tensor.ones(2, 5).multinomial(1), (2, 1), "int64"),
]


@pytest.mark.parametrize(("draw", "shape", "dtype"), SHAPES_AND_DTYPES)
def test_shape_and_dtype(draw, shape, dtype):
    x = draw()
    assert x.shape == shape
    assert x.dtype == dtype
    assert not x.requires_grad


def test_leaf_that_requires_grad():
    x = tensor.randn(3, requires_grad=True)
    assert x.requires_grad and x.is_leaf


def test_randperm_is_a_permutation():
    assert sorted(tensor.randperm(100).tolist()) == list(range(100))


def test_multinomial_frequencies_of_every_row():
    weights = tensor.tensor([[0.0, 1.0, 3.0], [5.0, 5.0, 0.0]])
    drawn = tensor.multinomial(weights, N, replacement=True).array
    for row, expected in zip(drawn, [[0, 0.25, 0.75], [0.5, 0.5, 0]], strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / N, expected, atol=ERROR)


def test_multinomial_without_replacement_draws_each_once_and_heavy_ones_first():
    weights = tensor.tensor([[1.0, 0, 8, 1]] * 4000)
    drawn = tensor.multinomial(weights, 3).array
    assert (np.sort(drawn, axis=1) == [0, 2, 3]).all()
    np.testing.assert_allclose((drawn[:, 0] == 2).mean(), 0.8, atol=0.04)
    # given the first, the second is drawn from what is left: P(2, 0) = 0.8 · 1/2
    np.testing.assert_allclose(((drawn[:, 0] == 2) & (drawn[:, 1] == 0)).mean(), 0.4, atol=0.04)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform_like_is_raw_material_for_dropout(dtype):
    u = uniform_like(np.zeros((200, 50), dtype))
    assert u.dtype == dtype and u.shape == (200, 50)
    assert u.min() >= 0 and u.max() <= 1 and abs(u.mean() - 0.5) < 0.02


def test_state_of_the_global_stream_survives_json():
    tensor.rand(7)
    state = json.loads(json.dumps(tensor.get_rng_state()))
    expected = [tensor.rand(3), tensor.randn(3), tensor.randperm(9), tensor.randint(9, (9,))]
    tensor.set_rng_state(state)
    again = [tensor.rand(3), tensor.randn(3), tensor.randperm(9), tensor.randint(9, (9,))]
    assert all(map(tensor.equal, expected, again))
    assert tensor.initial_seed() == 1337


def test_generator_is_a_stream_of_its_own():
    g = tensor.Generator().manual_seed(5)
    before = tensor.get_rng_state()
    draws = [
        tensor.rand(2, generator=g),
        tensor.randn(2, generator=g),
        tensor.randint(9, (2,), generator=g),
        tensor.randperm(5, generator=g),
        tensor.multinomial(tensor.ones(5), 2, generator=g),
        tensor.zeros(2).normal_(generator=g),
    ]
    assert tensor.get_rng_state() == before
    assert g.initial_seed() == 5
    again = tensor.Generator().manual_seed(5)
    assert tensor.equal(tensor.rand(2, generator=again), draws[0])
    state = g.get_state()
    expected = tensor.rand(3, generator=g)
    assert tensor.equal(tensor.rand(3, generator=tensor.Generator().set_state(state)), expected)


def test_seed_makes_up_a_new_one():
    assert tensor.seed() != tensor.seed()
    g = tensor.Generator()
    assert g.seed() == g.initial_seed()


def test_in_place_on_a_leaf_needs_no_grad():
    w = tensor.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="normal_: a leaf that requires grad cannot be written in place"):
        w.normal_()
    with tensor.no_grad():
        assert w.normal_() is w
    assert w.requires_grad and w.is_leaf and w.array.any()


ERRORS = [
    (lambda: tensor.rand(2, dtype=tensor.int64), "rand: the dtype must be a floating-point one, got int64; randint"),
    (lambda: tensor.randint(3, 3, (2,)), "randint: there is no integer from 3 up to but without 3: high must be"),
    (lambda: tensor.zeros(2).random_(3, 1), "random_: there is no integer from 3 up to but without 1"),
    (lambda: tensor.zeros(2, dtype=tensor.int64).normal_(), "normal_: the dtype must be a floating-point one, got"),
    (lambda: tensor.normal(0.0, 1.0), "normal: with numbers for mean and std, the shape must be given"),
    (lambda: tensor.multinomial(tensor.tensor([1, 2]), 1), "multinomial: needs floating-point weights with 1 or 2"),
    (lambda: tensor.multinomial(tensor.ones(2), 0), "and num_samples ≥ 1, got float32, shape (2,) and num_samples=0"),
    (lambda: tensor.multinomial(tensor.tensor([1.0, -1.0]), 1), "multinomial: the weights of a row must be ≥ 0"),
    (lambda: tensor.multinomial(tensor.tensor([math.nan, 1.0]), 1), "multinomial: the weights of a row must be"),
    (lambda: tensor.multinomial(tensor.zeros(3), 1), "must be ≥ 0, finite (no NaN or inf) and not all 0"),
    (lambda: tensor.multinomial(tensor.tensor([1.0, 0.0]), 2), "multinomial: 2 samples without replacement, but a"),
    (lambda: tensor.set_rng_state({"seed": 1}), "this is no state of a Generator"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text[:40] for _, text in ERRORS])
def test_error_says_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises((RuntimeError, TypeError, ValueError)) as error:
        call()
    assert text in str(error.value)
