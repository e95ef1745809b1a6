"""Your backward in the engine: a GPT trains with it.

Now take what you have learned into the real model. Your function becomes the backward of the operation that
scaled_dot_product_attention applies; all other gradients stay the engine's. A GPT then trains with it, from the same
weights and batches as one with the engine's own, and the losses have to agree, step by step.

After that train the real one, the laptop recipe on Shakespeare:  tinygrad-gpt exercises train
"""

import math

import numpy as np

from tinygrad_gpt.exercises.gradients import causal_attention, vjp
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect
from tinygrad_gpt.exercises.swap import attention_backward_by, small_training


def attention_backward(dy, q, k, v, y, log_sum):
    """For y = softmax(q kᵀ / √hs, causal) v: returns (dq, dk, dv), in the order in which the op takes its inputs.

    dy, q, k, v and y are (B, nh, T, hs). log_sum (B, nh, T) is ln Σ exp of each query's scaled scores, those of hidden
    keys left out. How you do it is up to you, all at once as in C07, or by blocks as in C11. Write into none of the
    inputs: they belong to the engine, which may need them again.

    >>> one = np.ones((1, 1, 1, 1))
    >>> [g.item() for g in attention_backward(one, one, one, one, one, np.ones((1, 1, 1)))]
    [0.0, 0.0, 1.0]
    """
    T, hs = q.shape[-2:]
    scale = 1 / math.sqrt(hs)
    p = np.exp(scale * q @ k.swapaxes(-1, -2) - log_sum[..., None])  # (B, nh, T, T)
    p *= np.tri(T, dtype=p.dtype)
    dv = p.swapaxes(-1, -2) @ dy
    dp = dy @ v.swapaxes(-1, -2)
    ds = p * (dp - (dy * y).sum(-1, keepdims=True))
    return scale * ds @ k, scale * ds.swapaxes(-1, -2) @ q, dv


HINTS = [
    "The shortest way: make p again as in C11, for all heads at once, then go on as in C07.",
    "log_sum needs one more dim at its end to broadcast over the keys. Hide the future after the exp: p is 0 where "
    "column > row. np.tri(T) is 0 there, and 1 elsewhere.",
    "ds = p ⊙ (dy vᵀ − Σ dy ⊙ y). dq and dk have the scale 1/√hs each, dk has ds transposed in its last two dims: "
    ".swapaxes(-1, -2).",
]
READ = [
    Read("nn/functional/attention.py", "Attention", "whose backward you have been: its own is one call of a kernel"),
    Read("tinygrad_gpt/exercises/swap.py", "attention_backward_by", "how your function came into the engine"),
    Read("tensor/op.py", "Op", "to write an operation of your own, forward and backward"),
]
MISTAKES = [
    Mistake("scale * ds.swapaxes(-1, -2) @ q", "scale * ds @ q", "ds is not transposed in dk."),
    Mistake("scale * ds @ k", "ds @ k", "dq lacks the scale 1/√hs."),
    Mistake(
        "scale * ds @ k, scale * ds.swapaxes(-1, -2) @ q",
        "ds @ k, ds.swapaxes(-1, -2) @ q",
        "dq and dk lack the scale 1/√hs.",
    ),
    Mistake(
        "(dp - (dy * y).sum(-1, keepdims=True))",
        "dp",
        "The softmax's second term is missing: ds = p ⊙ (dp − Σ dy ⊙ y).",
    ),
    Mistake("    p *= np.tri(T, dtype=p.dtype)\n", "", "There is no mask: keys after the query have p = 0."),
    Mistake("dv = p.swapaxes(-1, -2) @ dy", "dv = p @ dy", "p is not transposed in dv."),
    Mistake(
        "return scale * ds @ k, scale * ds.swapaxes(-1, -2) @ q, dv",
        "return dv, scale * ds @ k, scale * ds.swapaxes(-1, -2) @ q",
        "The gradients come in another order than (dq, dk, dv).",
    ),
    Mistake("(dy * y).sum(-1, keepdims=True)", "(dy * y).mean(-1, keepdims=True)", "Σ dy ⊙ y is a sum, not a mean."),
    Mistake(
        "    T, hs = q.shape[-2:]\n",
        "    T, hs = q.shape[-2:]\n    q *= 1\n",
        "It writes into q, which belongs to the engine: work on a copy.",
    ),
]
SECONDS = 60.0
RETURNS = ("dq", "dk", "dv")
INPUTS = ("dy", "q", "k", "v", "y", "log_sum")
STEPS = 30


def check(student, draw):
    for B, nh, T, hs in ((1, 1, 1, 1), (1, 1, 2, 1), (1, 1, 2, 2), (1, 2, 3, 2), (2, 3, 4, 2)):
        q, k, v, dy = (draw.array(B, nh, T, hs) for _ in range(4))
        s = np.where(np.tri(T, dtype=bool), q @ k.swapaxes(-1, -2) / math.sqrt(hs), -np.inf)
        log_sum = np.log(np.exp(s).sum(-1))
        inputs = dict(zip(INPUTS, (dy, q, k, v, np.exp(s - log_sum[..., None]) @ v, log_sum), strict=True))
        right = vjp(lambda q, k, v: causal_attention(lambda name, x: x, q, k, v), dy, q, k, v)
        got = student.attention_backward(**_locked(inputs))
        expect("a gradient", right, got, names=RETURNS, inputs=inputs)
    right = small_training(STEPS)
    with attention_backward_by(student.attention_backward):
        got = small_training(STEPS)
    for step, (a, b) in enumerate(zip(right, got, strict=True)):
        if not abs(a - b) <= 1e-6 * a:
            raise Wrong(
                f"Every gradient is right by itself, but at step {step} the GPT's loss is {b:.6f}, and with the "
                f"engine's own backward {a:.6f}: does the function remember something from call to call?"
            )
    apart = max(abs(a - b) for a, b in zip(right, got, strict=True))
    return (
        f"Your backward has trained a GPT of 2 layers for {STEPS} steps: loss {got[0]:.3f} -> {got[-1]:.3f}. The "
        f"engine's own gives the same losses (largest difference {apart:.0e}). Now train the laptop GPT with it: "
        "`tinygrad-gpt exercises train`."
    )


def _locked(inputs):
    """Copies that cannot be written into."""
    copies = {name: array.copy() for name, array in inputs.items()}
    for array in copies.values():
        array.flags.writeable = False
    return copies
