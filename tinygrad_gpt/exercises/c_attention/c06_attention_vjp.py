"""One head from end to end.

The five steps in a row: values, softmax, mask, scores, scale. Whoever can write these lines from memory has understood
attention's backward. It keeps p from the forward pass, as the first implementations did; C11 will get rid of it.
"""

import math

import numpy as np

from tinygrad_gpt.exercises.gradients import causal_attention, vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def attention_vjp(dy, q, k, v, p):
    """The gradients of everything in these lines, in the order in which you meet them on the way back:

        s = q @ k.T / √D          (T, T)    for q, k and v (T, D)
        p = softmax(masked s)     (T, T)    column > row is hidden; p is what forward has kept
        y = p @ v                 (T, D)

    Returns (dv, dp, ds, dq, dk). s is taken before the mask. dp is wanted for hidden keys, too, where p is 0.

    >>> one = np.ones((1, 1))
    >>> attention_vjp(one, one, one, one, one)  # a single key: there is no choice, so nothing to learn for q and k
    (array([[1.]]), array([[1.]]), array([[0.]]), array([[0.]]), array([[0.]]))
    """
    scale = 1 / math.sqrt(q.shape[1])
    dv = p.T @ dy  # (T, D)
    dp = dy @ v.T  # (T, T)
    ds = p * (dp - (dp * p).sum(1, keepdims=True))  # (T, T)
    dq = scale * ds @ k  # (T, D)
    dk = scale * ds.T @ q  # (T, D)
    return dv, dp, ds, dq, dk


HINTS = [
    "You have written each of the five already: C01 gives dv and dp, C02 gives ds.",
    "The mask needs no line of its own (C03), since p is given. ds is the gradient behind the scale.",
    "dq and dk are those of C05, with scale = 1/√D, where D is the last dim of q.",
]
READ = [
    Read("nn/functional/attention.py", "Attention", "the derivation, whose first lines you can tick off now"),
    Read("examples/backprop_through_attention.py", "", "the same on Tensors, down to the weights"),
]
MISTAKES = [
    Mistake("p.T @ dy", "p @ dy", "p is not transposed in dv: a value hears from the queries that look at it."),
    Mistake("p * (dp - (dp * p).sum(1, keepdims=True))", "p * dp", "ds lacks the softmax's second term, −p Σ dp ⊙ p."),
    Mistake("scale * ds @ k", "ds @ k", "dq lacks the scale 1/√D."),
    Mistake("scale * ds.T @ q", "scale * ds @ q", "ds is not transposed in dk."),
    Mistake(
        "p * (dp - (dp * p).sum(1, keepdims=True))",
        "scale * p * (dp - (dp * p).sum(1, keepdims=True))",
        "The scale is applied twice: ds is the gradient of the scaled scores, and dq and dk have the factor.",
    ),
    Mistake("math.sqrt(q.shape[1])", "math.sqrt(q.shape[0])", "The scale is 1/√D, D being the size of a query, not T."),
    Mistake("scale * ds @ k", "scale * dp @ k", "dq is made of dp: between p and q there is the softmax."),
]
RETURNS = ("dv", "dp", "ds", "dq", "dk")


def specification(dy, q, k, v, p):
    found = vjp_of_steps(causal_attention, dy, q, k, v)
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    for T, D in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 4), draw.sizes(2, high=5)):
        q, k, v = draw.array(T, D), draw.array(T, D), draw.array(T, D)
        e = np.exp(np.where(np.tri(T, dtype=bool), q @ k.T / math.sqrt(D), -np.inf))
        yield draw.array(T, D), q, k, v, e / e.sum(1, keepdims=True)
