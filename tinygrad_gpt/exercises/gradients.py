"""The right gradients for sets B and C, found twice: by the engine's backward, and by central differences.

Both start from the same function of float64 Tensors, but know nothing of each other: the one applies the VJPs of the
engine, the other only ever evaluates the function. An answer is compared with what both of them say.
"""

from collections.abc import Callable

import numpy as np

import tensor
from tensor import Tensor

STEP = 1e-5  # the ε of the differences
AGREE = (
    1e-6  # how far the two may be apart, relative to 1 and to the value: the differences are good to about nine digits
)


def vjp(forward: Callable, dy, *inputs: np.ndarray):
    """The gradient of each input, given `dy` for the result of `forward(*inputs)`: a tuple, or one array for one input.

    A forward with several results has a tuple as dy.
    """

    def forward_in_steps(see, *xs):
        return forward(*(see(str(i), x) for i, x in enumerate(xs)))

    found = vjp_of_steps(forward_in_steps, dy, *inputs)
    gradients = tuple(found[str(i)] for i in range(len(inputs)))
    return gradients if len(gradients) > 1 else gradients[0]


def vjp_of_steps(forward: Callable, dy, *inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient of everything that `forward(see, *inputs)` lets see: `h = see("dh", x @ w)`, by that name."""
    seen: dict[str, Tensor] = {}

    def see(name: str, x: Tensor) -> Tensor:
        x.retain_grad()
        seen[name] = x
        return x

    _loss(forward, see, dy, [Tensor(x.copy(), requires_grad=True) for x in inputs]).backward()
    gradients = {name: np.zeros(x.shape) if x.grad is None else x.grad.array for name, x in seen.items()}
    for name, gradient in gradients.items():
        numeric = _differences(forward, dy, inputs, name, gradient.shape)
        if not np.allclose(gradient, numeric, rtol=AGREE, atol=AGREE):
            raise ArithmeticError(f"{name}: the engine's backward and central differences disagree")
    return gradients


def _differences(forward: Callable, dy, inputs, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """(L(t + ε) − L(t − ε)) / 2ε for every element of t, the value that is seen as `name`."""

    def loss(nudge: np.ndarray) -> float:
        def see(other: str, x: Tensor) -> Tensor:
            return x + Tensor(nudge) if other == name else x

        return _loss(forward, see, dy, [Tensor(x) for x in inputs]).item()

    gradient, nudge = np.zeros(shape), np.zeros(shape)
    with tensor.no_grad():
        for index in np.ndindex(shape):
            nudge[index] = STEP
            gradient[index] = (loss(nudge) - loss(-nudge)) / (2 * STEP)
            nudge[index] = 0
    return gradient


def _loss(forward: Callable, see: Callable, dy, xs: list[Tensor]) -> Tensor:
    """L = Σ dy ⊙ y, whose gradient in y is dy."""
    y = forward(see, *xs)
    ys, dys = (y, dy) if isinstance(y, tuple) else ((y,), (dy,))
    terms = [(y * Tensor(np.asarray(dy))).sum() for y, dy in zip(ys, dys, strict=True)]
    return sum(terms[1:], terms[0])


def causal_attention(see: Callable, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention in steps, for q, k and v (…, T, hs), one head or many: all that set C asks for is to be seen."""
    q, k, v = see("dq", q), see("dk", k), see("dv", v)
    T, hs = q.shape[-2:]
    s = see("ds", q @ k.mT * hs**-0.5)  # (…, T, T)
    future = tensor.ones(T, T, dtype=tensor.bool).triu(1)
    p = see("dp", s.masked_fill(future, -tensor.inf).softmax(-1))  # (…, T, T)
    return p @ v
