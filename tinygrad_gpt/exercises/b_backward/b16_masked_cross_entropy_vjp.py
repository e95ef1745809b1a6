"""The same loss, where some positions do not count.

A model that adds numbers is asked about the digits of the result only; the digits of the question are its input, and
their targets are −1. Such a position must get no gradient at all, and the mean is over those that count: a sum over
few positions divided by all of them would make the learning rate depend on how long the questions are.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read


def masked_cross_entropy_vjp(log_p, targets):
    """As B15 with dloss = 1, but a target of −1 does not count, neither in the sum nor in the mean: dlogits (N, V).

    At least one target counts.

    >>> masked_cross_entropy_vjp(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([-1, 1]))
    array([[ 0.  ,  0.  ],
           [ 0.25, -0.25]])
    """
    counts = targets != -1  # (N,)
    dlogits = np.exp(log_p) - (targets[:, None] == np.arange(log_p.shape[1]))  # (N, V)
    return dlogits * counts[:, None] / counts.sum()


HINTS = [
    "Begin with B15. Which rows of it are wrong now, and what should be in them?",
    "targets != -1 is True where a row counts. Bring it to (N, 1), and multiply.",
    "The number of rows that count is the sum of that mask; it takes the place of N. Careful with −1 as an index: to "
    "NumPy it means the last class.",
]
READ = [
    Read("nn/functional/cross_entropy.py", "cross_entropy", "ignore_index, as one weight for each row"),
    Read("tinygrad_gpt/calculator.py", "Arithmetic.encode", "where the targets of a question become −1"),
]
MISTAKES = [
    Mistake("dlogits * counts[:, None] /", "dlogits /", "Rows with the target −1 get a gradient: they have to be 0."),
    Mistake("counts.sum()", "len(targets)", "The mean is over all rows: divide by the number of those that count."),
    Mistake(
        "dlogits * counts[:, None] / counts.sum()",
        "np.exp(log_p) * counts[:, None] / counts.sum()",
        "The true class is not subtracted: prediction minus truth, in the rows that count.",
    ),
    Mistake("!= -1", "!= 0", "Class 0 is a class like the others: only −1 marks what does not count."),
]


def specification(log_p, targets):
    rows = np.nonzero(targets != -1)[0].tolist()

    def loss(logits):
        return -logits.log_softmax(1)[tensor.tensor(rows), targets[rows].tolist()].mean()

    return vjp(loss, 1.0, log_p)


def cases(draw):
    for N, V in ((1, 2), (2, 2), (3, 2), (4, 3), draw.sizes(2, high=6)):
        logits = draw.array(N, V)
        targets = draw.ints(N, low=-1, high=V).array
        targets[0] = V - 1
        if N > 1:
            targets[1] = -1
        yield logits - np.log(np.exp(logits).sum(1, keepdims=True)), targets
