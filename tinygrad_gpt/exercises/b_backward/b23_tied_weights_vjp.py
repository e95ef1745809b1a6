"""One matrix, used at both ends of the model.

GPT reads a token as a row of a table, and scores the next token by a product with the same table. The table is a
single parameter: its gradient is the sum of a sparse one (of the rows that were read) and a dense one (of all rows,
since every token gets a score). Forget one and the model still learns, only worse.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def tied_weights_vjp(dlogits, weight, ids):
    """For e = weight[ids], h = tanh(e), logits = h @ weight.T, with weight (V, C), ids (N,): returns (dh, de, dweight).

    e and h are (N, C), logits are (N, V). The tanh stands for the whole model between.

    >>> tied_weights_vjp(np.array([[1.0, 0.0]]), np.array([[0.0], [2.0]]), np.array([0]))[2]
    array([[0.],
           [0.]])
    """
    h = np.tanh(weight[ids])  # (N, C)
    dh = dlogits @ weight  # (N, C)
    de = dh * (1 - h**2)  # (N, C)
    dweight = dlogits.T @ h  # (V, C) as the head
    np.add.at(dweight, ids, de)  # and as the embedding
    return dh, de, dweight


HINTS = [
    "First forget that they are one matrix: call them head and table, and find the gradient of each.",
    "The head is a product with a transposed matrix: dh = dlogits @ head, and dhead is (V, C), as head itself. The "
    "table is exercise B12.",
    "Both have the shape (V, C). What arrives at a parameter on several ways adds up: begin with dhead, and add the "
    "rows of de to it with np.add.at.",
]
READ = [
    Read("tinygrad_gpt/model.py", "GPT", "one line ties them: lm_head.weight is wte.weight"),
    Read("tensor/autograd.py", "_accumulate", "a leaf that is used twice gets += twice"),
]
MISTAKES = [
    Mistake("    np.add.at(dweight, ids, de)", "    0", "dweight lacks the share of the embedding."),
    Mistake("dweight = dlogits.T @ h", "dweight = np.zeros_like(weight)", "dweight lacks the share of the head."),
    Mistake(
        "np.add.at(dweight, ids, de)",
        "dweight[ids] = de",
        "The share of the embedding overwrites that of the head: add it.",
    ),
    Mistake(
        "np.add.at(dweight, ids, de)",
        "dweight[ids] += de",
        "A token that was read twice counts once: dweight[ids] += … loses repeated ids (B12).",
    ),
    Mistake(
        "    return dh, de, dweight",
        "    return dh, de, dweight / 2",
        "dweight is the mean of its two uses: their shares add up.",
    ),
    Mistake("dh * (1 - h**2)", "dh", "The tanh between is left out on the way back to the embedding."),
]
RETURNS = ("dh", "de", "dweight")


def specification(dlogits, weight, ids):
    def forward(see, weight):
        weight = see("dweight", weight)
        h = see("dh", see("de", weight[ids.tolist()]).tanh())
        return h @ weight.mT

    found = vjp_of_steps(forward, dlogits, weight)
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    yield draw.array(1, 2), draw.array(2, 1), np.array([1])
    yield draw.array(2, 2), draw.array(2, 1), np.array([1, 1])
    for N, V, C in ((3, 2, 2), (4, 3, 2), draw.sizes(3, high=5)):
        yield draw.array(N, V), draw.array(V, C), draw.ints(N, high=V).array
