"""A sum in which a row was broadcast.

Backward walks through a network from its end. Each operation y = f(x) is handed dy, the gradient of the loss in its
result, and hands on dx, the gradient in its input: its vector-Jacobian product, VJP for short. A gradient always has
the shape of what it is the gradient of; that alone finds many a mistake.
"""

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def add_vjp(dy, x, b):
    """For y = x + b with x (N, C) and b (C,): returns (dx, db).

    y[n, c] = x[n, c] + b[c]. An element of x reaches one element of y, with derivative 1. An element of b reaches N of
    them, one in each row: what comes back along all these ways adds up.

    >>> dx, db = add_vjp(np.array([[1.0, 2.0], [3.0, 5.0]]), np.zeros((2, 2)), np.zeros(2))
    >>> db
    array([4., 7.])
    """
    return dy, dy.sum(0)


HINTS = [
    "Look at the shapes first: dx must be (N, C), db must be (C,), and dy is (N, C).",
    "The derivative of y[n, c] in x[n, c] is 1: nothing happens to dy on its way to x.",
    "db[c] is the sum of dy[n, c] over all n: which dim of dy is that?",
]
READ = [
    Read("tensor/ops/arithmetic.py", "Add", "its backward returns dy twice: the sum is not in there"),
    Read("tensor/autograd.py", "unbroadcast", "the sum is here, once for all operations"),
]
MISTAKES = [
    Mistake(
        "dy.sum(0)", "dy", "db has the shape of the broadcast result: sum over dim 0, along which b was stretched."
    ),
    Mistake("dy.sum(0)", "dy.mean(0)", "db is a mean: the rows' shares add up, they are not averaged."),
    Mistake("dy.sum(0)", "dy[0]", "db is the share of the first row only: sum over all N rows."),
]
RETURNS = ("dx", "db")


def specification(dy, x, b):
    return vjp(lambda x, b: x + b, dy, x, b)


def cases(draw):
    for N, C in ((1, 1), (1, 2), (2, 1), (2, 3), draw.sizes(2)):
        yield draw.array(N, C), draw.array(N, C), draw.array(C)
