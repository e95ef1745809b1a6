"""Element by element: exp, log and tanh.

Such a function has a diagonal Jacobian: each y depends on its own x only, and the VJP is dy times the derivative, with
no sum anywhere. Two of these three derivatives are cheapest from the result y, which is why the engine saves y there
and not x.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def exp_log_tanh_vjp(dy, x):
    """For y = exp(x), for y = ln(x) and for y = tanh(x): returns the three dx as a tuple. All x are > 0.

    For tanh, from tanh = sinh / cosh with sinh′ = cosh, cosh′ = sinh: tanh′ = (cosh² − sinh²) / cosh² = 1 − tanh².

    >>> exp_log_tanh_vjp(np.array(4.0), np.array(2.0))[1]
    np.float64(2.0)
    """
    return dy * np.exp(x), dy / x, dy * (1 - np.tanh(x) ** 2)


HINTS = [
    "Three derivatives from school: exp is its own, that of ln x is 1/x, that of tanh stands in the task.",
    "Multiply each with dy, element by element.",
    "For tanh take the value at x first, then one minus its square; 1/cosh² is the same.",
]
READ = [
    Read("tensor/ops/maths.py", "Exp", "saves y: the derivative is there already"),
    Read("tensor/ops/maths.py", "Log", "saves x"),
    Read("tensor/ops/maths.py", "Tanh", "saves y again"),
]
MISTAKES = [
    Mistake("1 - np.tanh(x) ** 2", "1 - x**2", "For tanh it is 1 − y² with y = tanh x, not 1 − x²."),
    Mistake("dy * np.exp(x)", "np.exp(x)", "For exp dy is missing: it is the derivative, not yet the gradient."),
    Mistake("dy / x", "dy / np.log(x)", "For ln it is divided by y: the derivative of ln x is 1/x."),
]
RETURNS = ("dx through exp", "dx through log", "dx through tanh")


def specification(dy, x):
    return vjp(lambda x: x.exp(), dy, x), vjp(lambda x: x.log(), dy, x), vjp(lambda x: x.tanh(), dy, x)


def cases(draw):
    for shape in ((), (1,), (3,), draw.sizes(2, high=5)):
        yield draw.array(*shape), 0.2 + abs(draw.array(*shape))
