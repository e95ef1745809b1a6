"""Keep a bad batch from ruining a run: clip the gradients together.

Now and then a batch has gradients a hundred times as large as usual. All gradients of the model are scaled by one
factor, so that their direction stays: the norm is that of one long vector made of all of them.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.parts import Mistake, Read


def clip_gradients(a, b, max_norm):
    """Both gradients, float64 of any shapes, scaled down together, and their norm before: returns (a, b, norm).

    norm is √(Σ a² + Σ b²), a Tensor of shape (). If it is greater than max_norm, both are multiplied by
    max_norm / norm, else they stay as they are.

    >>> a, b = tensor.tensor([3.0], dtype=tensor.float64), tensor.tensor([4.0], dtype=tensor.float64)
    >>> clip_gradients(a, b, 1.0)
    (tensor([0.6], dtype=float64), tensor([0.8], dtype=float64), tensor(5., dtype=float64))
    """
    norm = ((a * a).sum() + (b * b).sum()) ** 0.5
    if norm.item() > max_norm:
        a, b = a * (max_norm / norm), b * (max_norm / norm)
    return a, b, norm


HINTS = [
    "Square, sum over both Tensors, and take one root at the end.",
    "If the norm is too large, one factor, max_norm / norm, brings it down to max_norm exactly.",
    "norm.item() is the number in a Tensor of one element: compare that with max_norm in a plain `if`.",
]
READ = [
    Read("nn/utils.py", "clip_grad_norm_", "the same for a list of parameters, in place"),
    Read("nn/utils.py", "clip_factor", "the factor alone, NaN included"),
    Read("tinygrad_gpt/train.py", "take_step", "where it stands: the optimizer's step takes the factor along"),
]
MISTAKES = [
    Mistake(
        "(a * a).sum() + (b * b).sum()",
        "(a * a).sum()",
        "Only the first gradient counts in the norm: it is taken over both.",
    ),
    Mistake(
        "    if norm.item() > max_norm:\n        a",
        "    a",
        "Small gradients are scaled up: only a norm above max_norm is brought down.",
    ),
    Mistake("** 0.5", "** 1.0", "The norm is not squared: the root is missing."),
]
RETURNS = ("a", "b", "norm")


def specification(a, b, max_norm):
    total = 0.0
    for x in (a, b):
        for element in x.flatten():
            total += element**2
    norm = np.array(total**0.5)
    factor = max_norm / norm if norm > max_norm else 1.0
    return a * factor, b * factor, norm


def cases(draw):
    for shape, max_norm in (((1,), 0.5), ((1,), 100.0), ((2, 3), 1.0), ((2,), 0.1), ((3, 1), 50.0), ((0,), 0.2)):
        yield draw.floats(*shape, dtype=tensor.float64), draw.floats(2, dtype=tensor.float64), max_norm
