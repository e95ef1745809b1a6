"""The scale, a constant factor, or one that is learned.

Dot products of long vectors are large, and a softmax of large scores is nearly one-hot, where its gradient is nearly 0.
So the scores are multiplied by 1/√D. On the way back the same factor stands once in dq and once in dk. Some newer
models learn it: then it has a gradient of its own.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def scale_vjp(ds, q, k, scale):
    """For s = scale · (q @ k.T) with q (T, D), k (S, D), a single number as scale: returns (dscale, dq, dk).

    dscale is a single number as well.

    >>> scale_vjp(np.array([[1.0]]), np.array([[3.0]]), np.array([[4.0]]), 0.5)
    (np.float64(12.0), array([[2.]]), array([[1.5]]))
    """
    return (ds * (q @ k.T)).sum(), scale * ds @ k, scale * ds.T @ q


HINTS = [
    "Give the product a name: r = q @ k.T, s = scale · r. What is dr?",
    "dr = scale · ds. From there it is C04, with dr for ds: the factor reaches dq once and dk once.",
    "scale is one number that was broadcast over all of r: dscale is the sum of ds ⊙ r over everything.",
]
READ = [
    Read("nn/functional/attention.py", "scaled_dot_product_attention", "scale: 1/√D if None"),
    Read("tensor/kernels/numpy_attention.py", "attention_backward", "`dp *= scale`: once, for both"),
]
MISTAKES = [
    Mistake("scale * ds @ k, scale * ds.T @ q", "ds @ k, ds.T @ q", "The scale is forgotten in dq and dk."),
    Mistake("scale * ds.T @ q", "ds.T @ q", "The scale is forgotten in dk: it belongs to both."),
    Mistake(
        "scale * ds @ k, scale * ds.T @ q",
        "scale**2 * ds @ k, scale**2 * ds.T @ q",
        "The scale is applied twice: it stands once in s, so once in each gradient.",
    ),
    Mistake(
        "scale * ds @ k, scale * ds.T @ q",
        "ds @ k / scale, ds.T @ q / scale",
        "It is divided by the scale: a factor stays a factor on the way back.",
    ),
    Mistake("(ds * (q @ k.T))", "(ds * scale * (q @ k.T))", "dscale is multiplied by the scale: ∂s/∂scale is q kᵀ."),
    Mistake("(ds * (q @ k.T)).sum()", "(ds * (q @ k.T)).mean()", "dscale is a mean: the shares of all scores add up."),
]
RETURNS = ("dscale", "dq", "dk")


def specification(ds, q, k, scale):
    return vjp(lambda scale, q, k: q @ k.mT * scale, ds, np.array(scale), q, k)


def cases(draw):
    for T, S, D in ((1, 2, 1), (2, 2, 2), (3, 3, 2), (2, 3, 4), draw.sizes(3, high=5)):
        yield draw.array(T, S), draw.array(T, D), draw.array(S, D), draw.uniform(0.3, 0.8)
