"""One array split into three parts.

GPT makes queries, keys and values in one product and then splits it. Here an operation has several results, so several
gradients arrive at once; the parts do not overlap, so nothing is added.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def split_vjp(dq, dk, dv):
    """For q, k, v = x[..., :A], x[..., A : A + B], x[..., A + B :]: returns dx. Only the last dim differs between them.

    >>> split_vjp(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[4.0]]))
    array([[1., 2., 3., 4.]])
    """
    return np.concatenate((dq, dk, dv), axis=-1)


HINTS = [
    "Where did the first element of k come from? There its gradient goes.",
    "So dx consists of dq, dk and dv side by side, in the order in which they were cut.",
    "np.concatenate joins along an existing dim; here it is the last one.",
]
READ = [
    Read("tensor/ops/split.py", "Split", "a part that nobody used sends zeros"),
    Read("tensor/ops/join.py", "Cat", "the opposite: its backward is a split"),
]
MISTAKES = [
    Mistake(", axis=-1", "", "They are joined along dim 0: it was the last dim that was cut."),
    Mistake(
        "concatenate((dq, dk, dv)", "concatenate((dk, dq, dv)", "The parts are in another order than they were cut in."
    ),
    Mistake(
        "np.concatenate((dq, dk, dv), axis=-1)",
        "dq + dk + dv",
        "The parts are added: each has a place of its own in x.",
    ),
]


def specification(dq, dk, dv):
    sizes = [g.shape[-1] for g in (dq, dk, dv)]
    return vjp(lambda x: x.split(sizes, -1), (dq, dk, dv), np.zeros((*dq.shape[:-1], sum(sizes))))


def cases(draw):
    for front, sizes in (
        ((), (1, 1, 1)),
        ((1,), (2, 2, 2)),
        ((2,), (1, 3, 2)),
        ((2, 3), (2, 2, 2)),
        ((3, 2), (2, 1, 4)),
    ):
        yield tuple(draw.array(*front, size) for size in sizes)
