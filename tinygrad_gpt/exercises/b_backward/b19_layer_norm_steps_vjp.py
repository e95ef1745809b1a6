"""LayerNorm, one small step at a time.

There is no need to see through a formula at once. Cut it into lines that do a single thing; then walk back over the
lines, last one first, and for each ask: which of its inputs has it, and what is their share? This works for anything,
and it is exactly what an autograd engine does. The check tells for each gradient on the way whether it is right.
"""

import numpy as np

from tinygrad_gpt.exercises.gradients import vjp_of_steps
from tinygrad_gpt.exercises.parts import Mistake, Read

EPS = 1e-5


def layer_norm_steps_vjp(dy, x, weight):
    """The gradients of everything in these lines, in the order in which you meet them on the way back:

        mean = x.mean(1)               (N, 1)        for x (N, C); both means keep their dim
        centred = x - mean             (N, C)
        var = (centred²).mean(1)       (N, 1)
        rstd = (var + EPS)^(−½)        (N, 1)
        x_hat = centred ⊙ rstd         (N, C)
        y = x_hat ⊙ weight + bias      (N, C)        weight and bias are (C,)

    Returns (dbias, dweight, dx_hat, drstd, dvar, dcentred, dmean, dx), each of the shape of its value. The values
    themselves are lost: compute the ones that you need again.

    >>> layer_norm_steps_vjp(np.array([[1.0, 0.0]]), np.array([[1.0, 3.0]]), np.array([2.0, 2.0]))[2]
    array([[2., 0.]])
    """
    C = x.shape[1]
    centred = x - x.mean(1, keepdims=True)  # (N, C)
    rstd = ((centred**2).mean(1, keepdims=True) + EPS) ** -0.5  # (N, 1)
    x_hat = centred * rstd  # (N, C)

    dbias = dy.sum(0)  # (C,)
    dweight = (dy * x_hat).sum(0)  # (C,)
    dx_hat = dy * weight  # (N, C)
    drstd = (dx_hat * centred).sum(1, keepdims=True)  # (N, 1) rstd was broadcast over the row
    dvar = drstd * -0.5 * rstd**3  # (N, 1)
    dcentred = dx_hat * rstd + dvar * 2 * centred / C  # (N, C) used twice: in x_hat and in var
    dmean = -dcentred.sum(1, keepdims=True)  # (N, 1)
    dx = dcentred + dmean / C  # (N, C) used twice: in centred and in mean
    return dbias, dweight, dx_hat, drstd, dvar, dcentred, dmean, dx


HINTS = [
    "Compute centred, rstd and x_hat again, then go from the last line up. The first three gradients are a broadcast "
    "sum (B01) and a broadcast product (B02).",
    "rstd is one number for a row: drstd is a sum over the row (keepdims). For a power, dvar is drstd times the "
    "derivative −½ (var + EPS)^(−3/2), and that is −½ rstd³.",
    "centred is used on two lines: dcentred is the sum of both shares, dx_hat ⊙ rstd and, through the mean of squares, "
    "dvar · 2 centred / C. Likewise x: once through centred, and once through mean, which is shared by C elements.",
]
READ = [
    Read("nn/functional/layer_norm.py", "layer_norm_composed", "these lines: the engine differentiates them like you"),
    Read("nn/functional/layer_norm.py", "LayerNorm", "the way to one formula: the next exercise"),
]
MISTAKES = [
    Mistake(
        "(dx_hat * centred).sum(1, keepdims=True)",
        "dx_hat * centred",
        "drstd has the shape of the row: rstd is one number for each row, so sum over dim 1.",
    ),
    Mistake(
        "dx_hat * rstd + dvar * 2 * centred / C",
        "dx_hat * rstd",
        "dcentred lacks a share: centred is used in var as well.",
    ),
    Mistake("dcentred + dmean / C", "dcentred", "dx lacks a share: x is used in mean as well."),
    Mistake("2 * centred / C", "2 * centred", "var is a mean over C elements: its derivative has a factor 1/C."),
    Mistake("-0.5 * rstd**3", "-0.5 * rstd", "The derivative of v^(−½) is −½ v^(−3/2), and that is −½ rstd³."),
    Mistake("(dy * x_hat).sum(0)", "(dy * x).sum(0)", "weight multiplies x_hat, the normalised x."),
    Mistake("dx_hat = dy * weight", "dx_hat = dy", "The gain is missing: y = x_hat ⊙ weight + bias."),
]
RETURNS = ("dbias", "dweight", "dx_hat", "drstd", "dvar", "dcentred", "dmean", "dx")


def specification(dy, x, weight):
    def forward(see, x, weight, bias):
        x, weight, bias = see("dx", x), see("dweight", weight), see("dbias", bias)
        mean = see("dmean", x.mean(1, keepdim=True))
        centred = see("dcentred", x - mean)
        var = see("dvar", (centred * centred).mean(1, keepdim=True))
        rstd = see("drstd", (var + EPS) ** -0.5)
        x_hat = see("dx_hat", centred * rstd)
        return x_hat * weight + bias

    found = vjp_of_steps(forward, dy, x, weight, np.zeros(x.shape[1]))
    return tuple(found[name] for name in RETURNS)


def cases(draw):
    for N, C in ((1, 3), (1, 4), (2, 3), (3, 4), draw.sizes(2, high=5)):
        yield draw.array(N, C), draw.array(N, C), draw.array(C)
