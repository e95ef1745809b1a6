"""Random numbers.

All of them come from one stream, a NumPy PCG64 generator on the host, so that one seed and one small state
(`get_rng_state`, plain numbers that fit into JSON) give the same numbers on every device: a model starts with the same
weights, and a run that moves to another device goes on with the same draws. For CUDA they are drawn here and copied.
Dropout copies nothing: it takes one seed from the stream, its kernel makes the bits (tensor/kernels/random_bits.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tensor import dtypes
from tensor.checks import broadcast_shape, shape_args, shape_text
from tensor.create import leaf
from tensor.devices import CPU, Device, device_of, move, namespace, place_of
from tensor.inplace import assign
from tensor.tensor import Tensor, wrap

__all__ = [
    "Generator",
    "bernoulli",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "multinomial",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "seed",
    "set_rng_state",
]
METHODS = ["bernoulli", "bernoulli_", "exponential_", "multinomial", "normal_", "random_", "uniform_"]

DEFAULT_SEED = 67280421310721  # of a new Generator, as in PyTorch


class Generator:
    """A stream of random numbers; pass it as `generator=` to draw from it instead of from the global one."""

    def __init__(self, device="cpu"):
        self.device = Device(device)
        self._numpy: np.random.Generator | None = None
        self.manual_seed(DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream again at `seed`, any integer; returns self."""
        self._seed = int(seed)
        self._numpy = None
        return self

    @property
    def numpy(self) -> np.random.Generator:
        """The stream itself; made when first drawn from, as numpy.random takes a while to import."""
        if self._numpy is None:
            self._numpy = np.random.Generator(np.random.PCG64(self._seed % 2**64))
        return self._numpy

    def seed(self) -> int:
        """Start the stream again at a seed that the operating system makes up; returns it."""
        self.manual_seed(int.from_bytes(os.urandom(7), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed the stream started at."""
        return self._seed

    def get_state(self) -> dict:
        """Where the stream is, as a dict of numbers and strings that JSON can hold."""
        return {"seed": self._seed, **self.numpy.bit_generator.state}

    def set_state(self, new_state: dict) -> Generator:
        """Continue from where the stream was when `get_state` gave this dict; returns self."""
        state = dict(new_state)
        try:
            self._seed = int(state.pop("seed"))
            self.numpy.bit_generator.state = state
        except (KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"this is no state of a Generator: {problem!r}; use what get_state() returned") from None
        return self

    def uniform(self, shape, dtype, device: Device):
        """An array of numbers in [0, 1), drawn in float32 or float64 as `dtype` is."""
        wide = np.float64 if dtype == dtypes.float64 else np.float32
        return move(np.asarray(self.numpy.random(shape, wide), dtype), device)

    def normal(self, shape, dtype, device: Device):
        """An array of numbers with mean 0 and variance 1, drawn in float32 or float64 as `dtype` is."""
        wide = np.float64 if dtype == dtypes.float64 else np.float32
        return move(np.asarray(self.numpy.standard_normal(shape, wide), dtype), device)

    def integers(self, low: int, high: int, shape, dtype, device: Device):
        """An array of integers in [low, high)."""
        return move(np.asarray(self.numpy.integers(low, high, shape, np.int64)).astype(dtype, copy=False), device)


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Start the global stream at `seed`, for all devices; returns its Generator."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the global stream at a seed that the operating system makes up; returns it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the global stream started at."""
    return default_generator.initial_seed()


def get_rng_state() -> dict:
    """Where the global stream is, as a dict of numbers and strings that JSON can hold."""
    return default_generator.get_state()


def set_rng_state(new_state: dict) -> None:
    """Continue the global stream from where it was when `get_rng_state` gave this dict."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng() -> Iterator[None]:
    """After the block the global stream goes on from where it was, whatever the block has drawn or done to it."""
    before = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(before)


def uniform_like(array, generator: Generator | None = None):
    """A raw array of numbers in [0, 1) with the shape, dtype and device of a raw array: the raw material of dropout."""
    return (generator or default_generator).uniform(array.shape, array.dtype, device_of(array))


# ---------------------------------------------------------------------- new Tensors


def _float_dtype(name: str, dtype):
    dtype = dtypes.check_supported(dtype or dtypes.get_default_dtype())
    if not dtypes.is_floating(dtype):
        raise RuntimeError(f"{name}: the dtype must be a floating-point one, got {dtype}; randint makes integers")
    return dtype


def rand(*size, generator=None, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """Uniform numbers in [0, 1)."""
    g, dtype = generator or default_generator, _float_dtype("rand", dtype)
    return leaf(g.uniform(shape_args(size), dtype, place_of(device)), requires_grad)


def randn(*size, generator=None, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """Normally distributed numbers with mean 0 and variance 1."""
    g, dtype = generator or default_generator, _float_dtype("randn", dtype)
    return leaf(g.normal(shape_args(size), dtype, place_of(device)), requires_grad)


def _check_range(name: str, low: int, high: int) -> None:
    if low >= high:
        raise RuntimeError(f"{name}: there is no integer from {low} up to but without {high}: high must be larger")


def randint(low=0, high=None, size=None, *, generator=None, dtype=dtypes.int64, device=None) -> Tensor:
    """`randint(high, size)` or `randint(low, high, size)`: uniform integers from low (0) up to but without high."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    _check_range("randint", low, high)
    g = generator or default_generator
    return wrap(g.integers(low, high, shape_args((size,)), dtypes.check_supported(dtype), place_of(device)))


def randperm(n: int, *, generator=None, dtype=dtypes.int64, device=None) -> Tensor:
    """The numbers 0 … n − 1 in random order."""
    u = (generator or default_generator).uniform((n,), dtypes.float64, CPU)
    return wrap(move(u.argsort().astype(dtypes.check_supported(dtype)), place_of(device)))


def rand_like(input: Tensor, *, generator=None, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`rand` in the shape of input, and with its dtype and device unless given."""
    dtype, device = dtype or input.dtype, device or input.device
    return rand(input.shape, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


def randn_like(input: Tensor, *, generator=None, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`randn` in the shape of input, and with its dtype and device unless given."""
    dtype, device = dtype or input.dtype, device or input.device
    return randn(input.shape, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


def randint_like(
    input: Tensor, low: int, high: int | None = None, *, generator=None, dtype=None, device=None
) -> Tensor:
    """`randint` in the shape of input, and with its dtype and device unless given."""
    low, high = (0, low) if high is None else (low, high)
    dtype, device = dtype or input.dtype, device or input.device
    return randint(low, high, input.shape, generator=generator, dtype=dtype, device=device)


def normal(mean, std=1.0, size=None, *, generator=None, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """Normally distributed numbers; `mean` and `std` are numbers (then `size` says the shape) or Tensors, broadcast.

    No gradient flows to mean and std: for that, write mean + std * randn_like(mean).
    """
    like = next((x for x in (mean, std) if isinstance(x, Tensor)), None)
    if like is None:
        if size is None:
            raise TypeError("normal: with numbers for mean and std, the shape must be given: normal(0.0, 1.0, (2, 3))")
        z = randn(size, generator=generator, dtype=dtype, device=device)
    else:
        mean, std = (x.detach() if isinstance(x, Tensor) else x for x in (mean, std))
        shape = broadcast_shape("normal", *[x.shape for x in (mean, std) if isinstance(x, Tensor)])
        z = randn(shape, generator=generator, dtype=dtype or like.dtype, device=device or like.device)
    out = z * std + mean
    return out.requires_grad_() if requires_grad else out


def bernoulli(input: Tensor, p: float | None = None, *, generator=None) -> Tensor:
    """1 with the probability that each element of input (or p, for all) says, else 0; in input's dtype."""
    x = input.array
    return wrap(namespace(x).asarray(_uniform_for(x, generator) < (x if p is None else p), x.dtype))


def _uniform_for(array, generator):
    """Uniform numbers in the shape of an array of any dtype."""
    dtype = array.dtype if array.dtype.kind == "f" else dtypes.float32
    return (generator or default_generator).uniform(array.shape, dtype, device_of(array))


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator=None) -> Tensor:
    """Positions drawn with the weights in each row of input: (n) -> (num_samples), (m, n) -> (m, num_samples).

    The weights are at least 0, finite, not all 0 in a row, and need not sum to 1. Without `replacement` no position
    is drawn twice, and a row needs at least `num_samples` weights above 0.
    """
    xp, weights = namespace(input.array), input.array
    if weights.dtype.kind != "f" or weights.ndim not in (1, 2) or num_samples < 1:
        raise RuntimeError(
            f"multinomial: needs floating-point weights with 1 or 2 dims and num_samples ≥ 1, got {weights.dtype}, "
            f"shape {shape_text(weights.shape)} and num_samples={num_samples}"
        )
    rows = xp.atleast_2d(weights).astype(dtypes.float64)
    total = rows.sum(axis=1)
    if not bool(((rows >= 0).all(axis=1) & (total > 0) & xp.isfinite(total)).all()):
        raise RuntimeError("multinomial: the weights of a row must be ≥ 0, finite (no NaN or inf) and not all 0")
    if not replacement and num_samples > int((rows > 0).sum(axis=1).min()):
        raise RuntimeError(
            f"multinomial: {num_samples} samples without replacement, but a row has fewer weights above 0: "
            f"pass replacement=True, or draw fewer"
        )
    g = generator or default_generator
    place = device_of(weights)
    if replacement or num_samples == 1:
        # the position where the running sum of the weights passes a random height
        sums = rows.cumsum(axis=1)
        top = sums[:, -1:]
        heights = g.uniform((len(rows), num_samples), dtypes.float64, place) * top
        heights = xp.minimum(heights, xp.nextafter(top, xp.zeros_like(top)))  # rounding must not reach the top
        drawn = xp.stack([xp.searchsorted(s, h, side="right") for s, h in zip(sums, heights, strict=True)])
    else:
        # n clocks that ring at rates w: the order in which they ring is a draw without replacement
        possible = rows > 0
        waits = -xp.log1p(-g.uniform(rows.shape, dtypes.float64, place)) / xp.where(possible, rows, 1)
        drawn = xp.argsort(xp.where(possible, waits, xp.inf), axis=1)[:, :num_samples]
    drawn = drawn.astype(dtypes.int64)
    return wrap(drawn if weights.ndim == 2 else drawn[0])


# ---------------------------------------------------------------------- in place


def _fill(input: Tensor, values, name: str) -> Tensor:
    return assign(input, wrap(values.astype(input.dtype, copy=False)), name)


def uniform_(input: Tensor, a: float = 0.0, b: float = 1.0, *, generator=None) -> Tensor:
    """Fill with uniform numbers in [a, b)."""
    return _fill(input, _uniform_for(input.array, generator) * (b - a) + a, "uniform_")


def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator=None) -> Tensor:
    """Fill with normally distributed numbers of this mean and standard deviation."""
    z = (generator or default_generator).normal(input.shape, _float_dtype("normal_", input.dtype), input.device)
    return _fill(input, z * std + mean, "normal_")


def bernoulli_(input: Tensor, p=0.5, *, generator=None) -> Tensor:
    """Fill with 1 with probability p (a number or a Tensor, broadcast), else 0."""
    p = p.array if isinstance(p, Tensor) else p
    return _fill(input, _uniform_for(input.array, generator) < p, "bernoulli_")


def exponential_(input: Tensor, lambd: float = 1.0, *, generator=None) -> Tensor:
    """Fill with exponentially distributed numbers of mean 1 / lambd."""
    u = _uniform_for(input.array, generator)
    return _fill(input, namespace(u).log1p(-u) / -lambd, "exponential_")


def random_(input: Tensor, low: int = 0, high: int | None = None, *, generator=None) -> Tensor:
    """Fill with uniform integers: `random_(high)` below high, `random_(low, high)` from low up to but without high.

    `random_()` goes up to the dtype's largest integer, for a floating-point dtype to where its integers get gaps.
    """
    if high is None:
        low, high = 0, low
    if not high:
        digits = np.finfo(input.dtype).nmant + 1 if dtypes.is_floating(input.dtype) else np.iinfo(input.dtype).bits - 1
        high = 2**digits
    _check_range("random_", low, high)
    g = generator or default_generator
    return _fill(input, g.integers(low, high, input.shape, dtypes.int64, input.device), "random_")
