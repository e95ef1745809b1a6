"""The learning rate: a short rise, then half a cosine.

Adam's averages are worth little in the first steps, so the rate rises from near 0. At the end small steps settle
what large ones have found. nanoGPT's schedule is a plain function of the iteration.
"""

import math

from nn.schedule import warmup_cosine
from tinygrad_gpt.exercises.parts import Mistake, Read


def learning_rate_at(it, learning_rate, min_lr, warmup_iters, lr_decay_iters):
    """The learning rate, a float, at iteration it = 0, 1, 2, …

        it < warmup_iters      a straight line: learning_rate · (it + 1) / (warmup_iters + 1)
        it ≥ lr_decay_iters    min_lr
        between                half a cosine from learning_rate, at warmup_iters, down to min_lr, at lr_decay_iters

    The half cosine is ½ (1 + cos(π · progress)), where progress goes from 0 to 1: it falls from 1 to 0.

    >>> learning_rate_at(0, 0.1, 0.0, 4, 10)
    0.02
    """
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    if it >= lr_decay_iters:
        return min_lr
    progress = (it - warmup_iters) / (lr_decay_iters - warmup_iters)
    return min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (learning_rate - min_lr)


HINTS = [
    "Three cases, two ifs. Only the middle one needs math.cos (`import math`).",
    "progress is the share of the way from warmup_iters to lr_decay_iters that lies behind: it goes from 0 to 1.",
    "The cosine is 1 at the beginning and 0 at the end; stretch it to go from learning_rate to min_lr, not to 0.",
]
READ = [
    Read("nn/schedule.py", "warmup_cosine", "the engine's own"),
    Read("tinygrad_gpt/train.py", "", "where the rate is set, at each iteration"),
]
MISTAKES = [
    Mistake(
        "(it + 1) / (warmup_iters + 1)",
        "it / warmup_iters",
        "The first step is wasted: at iteration 0 the rate is above 0.",
    ),
    Mistake(
        "(it - warmup_iters) / (lr_decay_iters - warmup_iters)",
        "it / lr_decay_iters",
        "The rate jumps after the warm-up: progress counts from warmup_iters on.",
    ),
    Mistake(
        "min_lr + 0.5",
        "0.5",
        "It falls below min_lr: the cosine goes from learning_rate to min_lr, not to their difference.",
    ),
]


def specification(it, learning_rate, min_lr, warmup_iters, lr_decay_iters):
    return float(
        warmup_cosine(
            it,
            learning_rate=learning_rate,
            min_lr=min_lr,
            warmup_iters=warmup_iters,
            lr_decay_iters=lr_decay_iters,
        )
    )


def cases(draw):
    for it in (0, 1, 3, 4, 5, 9, 10, 50):
        yield it, 0.001, 0.0001, 4, 10
    yield 0, 0.1, 0.01, 0, 5  # no warm-up
    yield 7, draw.uniform(), 0.0, 3, 20
