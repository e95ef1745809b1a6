"""A residual block: the stream goes on, and a branch adds to it.

y = x + f(x). Here x is used twice, and gradients from all uses add up. The first way is the famous one: dy arrives
at x unchanged, whatever f does. Through a hundred blocks the loss still reaches the embeddings along this path,
which is why deep networks can be trained at all.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def residual_vjp(dy, x, w1, w2):
    """For h = tanh(x @ w1) and y = x + h @ w2, with x and y (N, C), w1 (C, H), w2 (H, C): returns (dw2, dh, dw1, dx).

    >>> residual_vjp(np.array([[1.0]]), np.array([[2.0]]), np.array([[0.0]]), np.array([[3.0]]))[-1]
    array([[1.]])
    """
    h = np.tanh(x @ w1)  # (N, H)
    dw2 = h.T @ dy  # (H, C)
    dh = dy @ w2.T  # (N, H)
    dz = dh * (1 - h**2)  # (N, H) in z = x @ w1
    dw1 = x.T @ dz  # (C, H)
    return dw2, dh, dw1, dy + dz @ w1.T


HINTS = [
    "A sum hands its gradient on to both of its terms: dy goes to the branch, and dy goes to x as well.",
    "The branch is two matrix products (B07) with a tanh between (B06). Go through it from its end.",
    "dx is the sum of two shares: dy itself, and what comes out of the branch at its other end.",
]
READ = [
    Read(
        "tinygrad_gpt/model.py", "Block.forward", "two residual additions: every block of a GPT is this exercise twice"
    ),
    Read("tensor/autograd.py", "_add_part", "where the engine adds up what arrives on several ways"),
]
MISTAKES = [
    Mistake("dy + dz @ w1.T", "dz @ w1.T", "dx lacks the direct way: x itself is a term of y."),
    Mistake("dy + dz @ w1.T", "dy", "dx lacks the way through the branch."),
    Mistake("dy + dz @ w1.T", "dy * (dz @ w1.T)", "The two ways are multiplied: what arrives on several ways adds up."),
    Mistake("dy + dz @ w1.T", "(dy + dz @ w1.T) / 2", "It is the mean of the two ways: they add up."),
    Mistake("dh * (1 - h**2)", "dh", "The tanh is left out on the way back."),
    Mistake("x.T @ dz", "x.T @ dh", "dw1 uses the gradient behind the tanh: it has to go through it first."),
]
RETURNS = ("dw2", "dh", "dw1", "dx")


def specification(dy, x, w1, w2):
    def forward(see, x, w1, w2):
        x, w1, w2 = see("dx", x), see("dw1", w1), see("dw2", w2)
        return x + see("dh", (x @ w1).tanh()) @ w2

    found = vjp_of_steps(forward, dy, x, w1, w2)
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    for N, C, H in ((1, 1, 1), (1, 2, 3), (2, 2, 2), (3, 2, 4), draw.sizes(3, high=5)):
        yield draw.array(N, C), draw.array(N, C), draw.array(C, H), draw.array(H, C)
