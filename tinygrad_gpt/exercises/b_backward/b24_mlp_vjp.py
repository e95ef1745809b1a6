"""A network from end to end: from the loss to every parameter.

All that is needed are pieces you have: cross-entropy, matrix product, broadcast sum, an activation. Write them down in
the order in which the gradient meets them. This is backpropagation, the whole of it; a GPT has more lines, not more
ideas.
"""

import numpy as np

import tensor
from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read


def mlp_vjp(x, w1, b1, w2, b2, targets):
    """The gradients of everything in these lines, in the order in which you meet them on the way back:

        z = x @ w1 + b1            (N, H)     for x (N, C), w1 (C, H), b1 (H,)
        h = max(z, 0)              (N, H)
        logits = h @ w2 + b2       (N, V)     w2 (H, V), b2 (V,)
        loss = cross-entropy       ()         the mean over the rows, for targets (N,)

    Returns (dlogits, db2, dw2, dh, dz, db1, dw1, dx). No z is 0.

    >>> one = np.ones((1, 1))
    >>> mlp_vjp(one, one, np.ones(1), np.array([[1.0, 1.0]]), np.zeros(2), np.array([0]))[0]
    array([[-0.5,  0.5]])
    """
    z = x @ w1 + b1  # (N, H)
    h = np.maximum(z, 0)  # (N, H)
    logits = h @ w2 + b2  # (N, V)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)  # (N, V)

    dlogits = (p - np.eye(p.shape[1])[targets]) / len(targets)  # (N, V)
    db2 = dlogits.sum(0)  # (V,)
    dw2 = h.T @ dlogits  # (H, V)
    dh = dlogits @ w2.T  # (N, H)
    dz = dh * (z > 0)  # (N, H)
    db1 = dz.sum(0)  # (H,)
    dw1 = x.T @ dz  # (C, H)
    dx = dz @ w1.T  # (N, C)
    return dlogits, db2, dw2, dh, dz, db1, dw1, dx


HINTS = [
    "Forward first: compute z, h, logits and the softmax p, as you will need all of them. Then dlogits is B15.",
    "A layer y = h @ w + b gives three gradients: b's is a sum over the rows (B01), and B07 has those of w and h.",
    "The activation is a switch: dz is dh where z > 0, else 0. Then comes the same layer once more, with x for h.",
]
READ = [
    Read("nn/functional/linear.py", "Linear", "the layer, with its three gradients"),
    Read("tinygrad_gpt/model.py", "MLP", "the same in a GPT, with GELU for the activation"),
]
MISTAKES = [
    Mistake(") / len(targets)", ")", "The loss is a mean over the rows: divide by N."),
    Mistake("dz = dh * (z > 0)", "dz = dh", "The activation is left out: where z < 0 nothing comes through."),
    Mistake("(z > 0)", "(dh > 0)", "The switch is the sign of z, not that of the gradient."),
    Mistake("db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)", "db2 is a mean over the rows: their shares add up."),
    Mistake("dw2 = h.T @ dlogits", "dw2 = dlogits.T @ h", "dw2 is transposed: (H, V) = hᵀ dlogits."),
    Mistake("dw2 = h.T", "dw2 = z.T", "w2 multiplies h, what comes out of the activation, not z."),
    Mistake("dw1 = x.T @ dz", "dw1 = x.T @ dh", "dw1 begins before the activation: it takes dz, not dh."),
    Mistake("dx = dz @ w1.T", "dx = dz @ w1", "w1 is not transposed in dx: (N, C) = dz w1ᵀ."),
]
RETURNS = ("dlogits", "db2", "dw2", "dh", "dz", "db1", "dw1", "dx")


def specification(x, w1, b1, w2, b2, targets):
    def forward(see, x, w1, b1, w2, b2):
        x, w1, b1, w2, b2 = see("dx", x), see("dw1", w1), see("db1", b1), see("dw2", w2), see("db2", b2)
        z = see("dz", x @ w1 + b1)
        h = see("dh", z.relu())
        logits = see("dlogits", h @ w2 + b2)
        return -logits.log_softmax(1)[tensor.arange(len(targets)), targets.tolist()].mean()

    found = vjp_of_steps(forward, 1.0, x, w1, b1, w2, b2)
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    for N, C, H, V in ((1, 1, 2, 2), (2, 2, 2, 2), (3, 2, 3, 2), draw.sizes(4, high=5)):
        arrays = draw.array(N, C), draw.array(C, H), draw.array(H), draw.array(H, V), draw.array(V)
        yield *arrays, draw.ints(N, high=V).array
