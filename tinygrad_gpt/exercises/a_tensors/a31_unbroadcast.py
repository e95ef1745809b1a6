"""Undo a broadcast: the step from this set to gradients.

Where a small Tensor was stretched to fit a large one, each of its elements was used many times, and its gradient is the
sum over all uses. Every autograd engine needs this function; yours (D02) will. Several lines are fine here.
"""

import numpy as np

from tinygrad_gpt.exercises.parts import Mistake, Read


def unbroadcast(g, shape):
    """Sum g, float32, over all dims along which a Tensor of `shape`, a tuple, was stretched to g.shape.

    Two kinds of dims are summed: those that `shape` lacks, which are the first ones of g, and those that have size 1 in
    `shape`. The result has exactly that shape.

    >>> unbroadcast(tensor.ones(4, 2, 3), (2, 1))
    tensor([[12.],
            [12.]])
    """
    while g.ndim > len(shape):
        g = g.sum(0)
    for dim, size in enumerate(shape):
        if size == 1:
            g = g.sum(dim, keepdim=True)
    return g


HINTS = [
    "Shapes are aligned at the right: g (4, 2, 3) beside (2, 1) means that the 4 is new, and the 1 became 3.",
    "First get rid of the dims in front: as long as g has more dims than shape, sum over dim 0.",
    "Then, for each dim with size 1 in shape, sum over it and keep it as a dim of size 1: keepdim=True.",
]
READ = [
    Read("tensor/autograd.py", "unbroadcast", "the engine's own: all dims in one sum"),
    Read("tensor/op.py", "Op", "because of it, no op has to think of broadcasting"),
]
MISTAKES = [
    Mistake("keepdim=True", "keepdim=False", "A dim of size 1 has vanished: keepdim=True keeps it."),
    Mistake("g.sum(0)", "g[0]", "Only the first of the copies is taken: every copy has its own gradient, add them up."),
    Mistake(
        "g.sum(dim, keepdim=True)",
        "g.mean(dim, keepdim=True)",
        "It averages: the uses of an element add up, they are not averaged.",
    ),
]


def specification(g, shape):
    out = np.zeros(shape, g.dtype)
    for index in np.ndindex(g.shape):
        kept = index[len(index) - len(shape) :]  # aligned at the right
        out[tuple(0 if size == 1 else i for i, size in zip(kept, shape, strict=True))] += g[index]
    return out


def cases(draw):
    N, M = draw.sizes(2)
    for large, small in (
        ((1,), (1,)),
        ((2, 3), (2, 3)),
        ((2, 3), (3,)),
        ((2, 3), (2, 1)),
        ((2, 3), ()),
        ((3, 2), (1, 1)),
        ((2, 3, 2), (3, 1)),
        ((4, N, M), (1, N, 1)),
        ((2, 1, M), (1, M)),
    ):
        yield draw.floats(*large), small
