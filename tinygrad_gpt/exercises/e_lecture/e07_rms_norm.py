"""RMSNorm as an op of your own: forward, and backward beside it.

The lecture's fourth exercise, third part. LayerNorm takes away the mean and divides by the standard deviation;
RMSNorm only divides, by the root mean square, and does as well (Zhang and Sennrich 2019, arXiv:1910.07467). You
write it as the engine's own ops are written: an Op gets arrays, saves on self what backward needs, and backward
returns the gradient of each input. All else (the graph, broadcasting back, accumulation) the base class does.
"""

import numpy as np

import nn
import tensor
from tensor import Op
from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


class RootMeanSquareNorm(Op):
    """y = x̂ ⊙ weight, with x̂ = x r and r = 1 / √(mean(x²) + eps), the mean over the last dim, C."""

    def forward(self, x, weight, *, eps):
        """Arrays x (…, C) and weight (C,) -> y (…, C). Keep on self what backward will need."""
        self.r = ((x * x).mean(-1, keepdims=True) + eps) ** -0.5  # (…, 1)
        self.x_hat, self.weight = x * self.r, weight
        return self.x_hat * weight

    def backward(self, dy):
        """dy (…, C) -> (dx, dweight). dweight may still have the shape of dy: the base class sums it to (C,).

        r depends on all x of its row: ∂r/∂x_i = −(r²/C) x̂_i. With g = dy ⊙ weight, which is what arrives at x̂, collect
        the terms of dx_i = Σ_j g_j ∂(x_j r)/∂x_i.
        """
        g = dy * self.weight
        dx = self.r * (g - self.x_hat * (g * self.x_hat).mean(-1, keepdims=True))
        return dx, dy * self.x_hat


class RMSNorm(nn.Module):
    """The op as a layer, to be used like nn.LayerNorm."""

    def __init__(self, n_embd, eps=1e-5):  # given
        """The weight starts as ones."""
        super().__init__()
        self.weight, self.eps = nn.Parameter(tensor.ones(n_embd)), eps

    def forward(self, x):  # given
        """x (…, C) -> (…, C)."""
        return RootMeanSquareNorm.apply(x, self.weight, eps=self.eps)


HINTS = [
    "forward is three lines of NumPy: r (…, 1) by .mean(-1, keepdims=True), x̂ = x r, y = x̂ ⊙ weight. Save x̂, r and "
    "the weight. dweight is dy ⊙ x̂.",
    "x_j r has two factors that depend on x_i: ∂(x_j r)/∂x_i = r δ_ij + x_j ∂r/∂x_i = r δ_ij − (r/C) x̂_j x̂_i. "
    "Multiply by g_j and sum over j.",
    "The first term gives r g_i. The second gives −r x̂_i (1/C) Σ_j g_j x̂_j, and (1/C) Σ is a mean over the row: "
    "(g * x_hat).mean(-1, keepdims=True).",
]
READ = [
    Read(
        "nn/functional/layer_norm.py", "RMSNorm", "the engine's, in one kernel; and LayerNorm above, with one term more"
    ),
    Read("tensor/op.py", "Op", "what the base class did for you"),
    Read("examples/custom_op.py", "Swish", "an op of one's own in a script, and gradcheck"),
]
MISTAKES = [
    Mistake(
        "self.r * (g - self.x_hat * (g * self.x_hat).mean(-1, keepdims=True))",
        "self.r * g",
        "dx lacks the second term: r depends on x as well.",
    ),
    Mistake(
        "(g * self.x_hat).mean(-1, keepdims=True)",
        "(g * self.x_hat).sum(-1, keepdims=True)",
        "The second term of dx is C times too large: it has a mean over the row, from the mean in r.",
    ),
    Mistake("g = dy * self.weight", "g = dy", "dx forgets the weight: what arrives at x̂ is dy ⊙ weight."),
    Mistake(
        "return dx, dy * self.x_hat",
        "return dx, g * self.x_hat",
        "dweight has the weight in it once more: y = x̂ ⊙ weight gives dy ⊙ x̂.",
    ),
    Mistake(
        "(g * self.x_hat).mean(-1, keepdims=True)",
        "(g * self.x_hat).mean()",
        "The mean in dx goes over everything; each row has an r of its own: mean(-1, keepdims=True).",
    ),
    Mistake(
        "(x * x).mean(-1, keepdims=True)",
        "x.var(-1, keepdims=True)",
        "The variance takes the mean away first: RMSNorm divides by the root of mean(x²).",
    ),
    Mistake("+ eps) ** -0.5", ") ** -0.5 + eps", "eps stands under the root, added to the mean square."),
]


def check(student, draw):
    for shape in ((1,), (2,), (1, 3), (2, 3), (2, 3, 4)):
        dy, x, weight = draw.array(*shape), draw.array(*shape), draw.array(shape[-1])
        shown = {"x": x, "weight": weight, "eps": EPS, "dy": dy}
        parts = [tensor.Tensor(array.copy(), requires_grad=True) for array in (x, weight)]
        y = student.RootMeanSquareNorm.apply(*parts, eps=EPS)
        expected = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * weight
        expect("y", expected, y.detach(), inputs=shown)
        y.backward(tensor.Tensor(dy))
        gradients = vjp(lambda x, weight: x / ((x * x).mean(-1, keepdim=True) + EPS) ** 0.5 * weight, dy, x, weight)
        for name, part, gradient in zip(("dx", "dweight"), parts, gradients, strict=True):
            if part.grad is None:
                raise Wrong(f"backward returns no {name}: it returns two arrays, (dx, dweight).", shown)
            expect(name, gradient, part.grad, inputs=shown)
    return (
        "Right. What it is worth beside LayerNorm, with your code: "
        "python examples/lecture/10_paper_features.py --exercises=exercises"
    )


EPS = 0.1  # large enough to be seen
