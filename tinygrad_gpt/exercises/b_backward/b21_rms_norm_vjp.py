"""RMSNorm: LayerNorm without the mean, as newer models have it.

A row is divided by the root of its mean square. It is stretched to a fixed length, but no longer centred. Which of the
three terms of B20 stays, and which goes?
"""

from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read

EPS = 1e-5


def rms_norm_vjp(dy, x, weight):
    """For y = x ⊙ r ⊙ weight with r = (mean(x²) + EPS)^(−½), the mean over the last dim: returns (dweight, dx).

    x and dy are (N, C), r is (N, 1), weight is (C,). r is lost: compute it again.

    >>> dweight, dx = rms_norm_vjp(np.array([[1.0, 1.0]]), np.array([[3.0, -3.0]]), np.ones(2))
    >>> dweight.round(3)
    array([ 1., -1.])
    """
    r = ((x**2).mean(-1, keepdims=True) + EPS) ** -0.5  # (N, 1)
    x_hat = x * r  # (N, C)
    g = dy * weight  # (N, C)
    return (dy * x_hat).sum(0), r * (g - x_hat * (g * x_hat).mean(-1, keepdims=True))


HINTS = [
    "dweight is what it is in LayerNorm, with x̂ = x ⊙ r: sum over the rows.",
    "A row may no longer be shifted without a change in y, so the mean of g is not taken away. It may still be "
    "stretched: the part along x̂ is.",
    "Step by step: ∂r/∂x_i = −½ r³ · 2 x_i / C. Both ways together, directly and through r, give r times a difference "
    "of two terms.",
]
READ = [
    Read("nn/functional/layer_norm.py", "RMSNorm", "the derivation, beside that of LayerNorm"),
    Read("tensor/kernels/numpy_norms.py", "rms_norm_backward", "the fused form"),
]
MISTAKES = [
    Mistake(
        " - x_hat * (g * x_hat).mean(-1, keepdims=True)",
        "",
        "The way through r is missing: r depends on every x of the row.",
    ),
    Mistake(
        "r * (g - x_hat",
        "r * (g - g.mean(-1, keepdims=True) - x_hat",
        "That is LayerNorm's gradient: without centring the mean of g stays.",
    ),
    Mistake("(g * x_hat).mean", "(g * x_hat).sum", "A sum where a mean belongs: r holds the mean of C squares."),
    Mistake("(dy * x_hat).sum(0)", "(dy * x).sum(0)", "weight multiplies x̂ = x ⊙ r, not x."),
    Mistake("g = dy * weight", "g = dy", "The gain is missing: what arrives at x̂ is dy ⊙ weight."),
    Mistake("(dy * x_hat).sum(0)", "dy * x_hat", "dweight has the shape of y: weight is (C,), so sum over the rows."),
]
RETURNS = ("dweight", "dx")


def specification(dy, x, weight):
    return vjp(lambda w, x: x * ((x * x).mean(-1, keepdim=True) + EPS) ** -0.5 * w, dy, weight, x)


def cases(draw):
    for N, C in ((1, 2), (1, 3), (2, 3), (3, 2), draw.sizes(2, high=6)):
        yield draw.array(N, C), draw.array(N, C), draw.array(C)
