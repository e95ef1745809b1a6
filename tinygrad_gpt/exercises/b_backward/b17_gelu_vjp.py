"""GELU in the form of GPT-2: the product rule and the chain rule.

Where x stands in several places of a formula, its gradient is the sum over all of them: here the product rule, once
for the x in front and once through the tanh, and within that the chain rule.
"""

import math

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read

C = math.sqrt(2 / math.pi)


def gelu_vjp(dy, x):
    """For y = ½ x (1 + tanh u) with u = C (x + 0.044715 x³) and C = √(2/π), element by element: returns dx.

    >>> gelu_vjp(np.array([2.0, 2.0]), np.array([0.0, 100.0]))
    array([1., 2.])
    """
    t = np.tanh(C * (x + 0.044715 * x**3))
    du = C * (1 + 3 * 0.044715 * x**2)  # du/dx
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)


HINTS = [
    "The product rule for ½ x · (1 + tanh u): one term with the derivative of ½ x, one with that of (1 + tanh u).",
    "The second is (1 − tanh² u) · du/dx by the chain rule (exercise B06), with du/dx = C (1 + 3 · 0.044715 x²).",
    "Compute t = tanh u and du/dx on lines of their own, then add ½ (1 + t) and ½ x (1 − t²) du/dx, and think of dy.",
]
READ = [
    Read("nn/functional/gelu.py", "GeluTanh", "the same by the logistic function: one exponential less"),
    Read("nn/functional/gelu.py", "GeluErf", "the exact GELU, of which this is an approximation"),
]
MISTAKES = [
    Mistake(
        " + 0.5 * x * (1 - t**2) * du",
        "",
        "Only the x in front has been differentiated: x stands in the tanh as well (product rule).",
    ),
    Mistake(
        "0.5 * (1 + t) + 0.5", "0.5", "Only the x inside the tanh has been differentiated: the first term is missing."
    ),
    Mistake(" * (1 - t**2) * du", " * (1 - t**2)", "du/dx is missing: the chain rule goes on through u."),
    Mistake("3 * 0.044715 * x**2", "0.044715 * x**2", "The derivative of x³ is 3 x²: a factor 3 is missing in du/dx."),
    Mistake("(1 - t**2)", "(1 - x**2)", "It is 1 − tanh² u, not 1 − x²."),
]


def specification(dy, x):
    return vjp(lambda x: 0.5 * x * (1 + (C * (x + 0.044715 * x**3)).tanh()), dy, x)


def cases(draw):
    yield draw.array(1), np.array([0.0])
    for shape in ((1,), (3,), draw.sizes(2, high=5)):
        yield draw.array(*shape), draw.array(*shape) * 2
