"""LayerNorm in one expression.

Put the lines of B19 into each other and most of it cancels. What is left says something: x̂ does not change if all of x
is shifted, nor if it is stretched. So the gradient can have no part along those two directions, and the formula takes
just these two away: the mean of g, and the part of g that points along x̂.
"""

from nn import functional as F
from tensor import Tensor
from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, OneExpression, Read


def layer_norm_vjp(dy, x_hat, rstd, weight):
    """For y = x_hat ⊙ weight + bias, where x_hat = (x − mean) ⊙ rstd is (N, C) and rstd is (N, 1): returns dx.

    With g = dy ⊙ weight it is rstd times a difference of three terms. x_hat and rstd are what forward has kept.

    >>> x_hat, rstd = np.array([[1.2, -1.2, 0.0]]), np.array([[2.0]])
    >>> layer_norm_vjp(np.array([[1.0, 0.0, 2.0]]), x_hat, rstd, np.ones(3)).round(2)
    array([[-0.96, -1.04,  2.  ]])
    """
    return rstd * (
        dy * weight - (dy * weight).mean(-1, keepdims=True) - x_hat * (dy * weight * x_hat).mean(-1, keepdims=True)
    )


HINTS = [
    "Start from dx = dcentred − mean(dcentred) of B19, and put in dcentred = g rstd + (…) centred. The mean of centred "
    "is 0: what does that leave of the second term?",
    "dvar · 2 centred / C becomes −rstd x_hat times the mean over the row of g ⊙ x_hat. Check: drstd is the sum of "
    "g ⊙ centred, and centred = x_hat / rstd.",
    "So the three terms are g, the mean of g over the row, and x_hat times the mean over the row of g ⊙ x_hat; rstd is "
    "outside of all of them.",
]
READ = [
    Read("nn/functional/layer_norm.py", "LayerNorm", "the whole derivation, element by element"),
    Read("tensor/kernels/numpy_norms.py", "layer_norm_backward", "this formula, a tile of rows at a time"),
]
MISTAKES = [
    Mistake(
        " - (dy * weight).mean(-1, keepdims=True)",
        "",
        "The mean of g is not taken away: a shift of x does not change x̂. Each row of dx sums to 0.",
    ),
    Mistake(
        " - x_hat * (dy * weight * x_hat).mean(-1, keepdims=True)",
        "",
        "The part along x̂ is not taken away: the standard deviation depends on x, too.",
    ),
    Mistake("return rstd * (", "return (", "The factor rstd is missing: x̂ = centred ⊙ rstd."),
    Mistake(
        "x_hat).mean", "x_hat).sum", "The last term has a sum where a mean belongs: var is a mean over C elements."
    ),
    Mistake("dy * weight", "dy", "The gain is missing: what arrives at x̂ is dy ⊙ weight."),
    Mistake(
        "return rstd * (",
        "return (1 / rstd) * (",
        "It is divided by rstd: that is one over the standard deviation already.",
    ),
]
RULES = OneExpression(allow="mean sum")

EPS = 1e-5


def specification(dy, x_hat, rstd, weight):
    centred = x_hat / rstd  # as good as x: a shift makes no difference
    return vjp(lambda x: F.layer_norm(x, (x.shape[-1],), Tensor(weight), eps=EPS), dy, centred)


def cases(draw):
    for N, C in ((1, 3), (1, 4), (2, 3), (3, 4), draw.sizes(2, high=6)):
        x = draw.array(N, C)
        rstd = (x.var(-1, keepdims=True) + EPS) ** -0.5
        yield draw.array(N, C), (x - x.mean(-1, keepdims=True)) * rstd, rstd, draw.array(C)
