"""SwiGLU: a feed-forward layer with a gate.

The lecture's fourth exercise, second part. The feed-forward layer widens, bends by a nonlinearity and goes back.
Here the bend is a product: one wide layer says what to pass on, another, through SiLU(z) = z σ(z), how much of it
(Shazeer 2020, arXiv:2002.05202). Three matrices instead of two, so each is narrower: a comparison is fair at the
same number of weights.
"""

import numpy as np

import nn
from nn import functional as F
from tinygrad_gpt.exercises.gradients import vjp
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


class SwiGLU(nn.Module):
    """back(SiLU(gate(x)) ⊙ wide(x)), in the place of back(GELU(wide(x)))."""

    def __init__(self, n_embd):
        """Make self.gate and self.wide, nn.Linear(C, H), and self.back, nn.Linear(H, C), all with biases.

        The layer that it replaces has two matrices of 4C · C weights. Choose H, rounded, for as many in three.
        """
        super().__init__()
        hidden = round(8 * n_embd / 3)
        self.gate = nn.Linear(n_embd, hidden)
        self.wide = nn.Linear(n_embd, hidden)
        self.back = nn.Linear(hidden, n_embd)

    def forward(self, x):
        """x (B, T, C) -> (B, T, C)."""
        return self.back(F.silu(self.gate(x)) * self.wide(x))


def gated_vjp(dy, gate, wide):
    """For y = SiLU(gate) ⊙ wide, float64 arrays of one shape: returns (dgate, dwide), by hand.

    SiLU(z) = z σ(z) with σ(z) = 1 / (1 + e^−z), and σ' = σ (1 − σ).

    >>> gated_vjp(np.array([1.0]), np.array([0.0]), np.array([3.0]))
    (array([1.5]), array([0.]))
    """
    sigma = 1 / (1 + np.exp(-gate))
    return dy * wide * (sigma + gate * sigma * (1 - sigma)), dy * gate * sigma


HINTS = [
    "3 · H · C = 8 · C², so H = 8C / 3. F.silu is there (`from nn import functional as F`), or z * z.sigmoid().",
    "forward is one line: the gate goes through SiLU, the wide layer through nothing, they are multiplied element by "
    "element, and back makes C channels of the result.",
    "A product gives each factor the other one: dwide = dy ⊙ SiLU(gate), and what arrives at SiLU(gate) is dy ⊙ wide. "
    "By the product rule SiLU' = σ + z σ (1 − σ).",
]
READ = [
    Read("examples/lecture/10_paper_features.py", "SwiGLU", "the place where it is measured against GELU"),
    Read("nn/functional/activations.py", "silu", "SiLU from two ops of the engine; GELU is one op"),
    Read("tensor/ops/arithmetic.py", "Mul", "the product rule, as an op"),
]
MISTAKES = [
    Mistake(
        "F.silu(self.gate(x)) * self.wide(x)",
        "F.silu(self.wide(x)) * self.gate(x)",
        "Gate and wide are exchanged: SiLU belongs to the gate.",
    ),
    Mistake(
        "F.silu(self.gate(x)) * self.wide(x)",
        "self.gate(x).sigmoid() * self.wide(x)",
        "The gate goes through a sigmoid only, the original GLU: SiLU(z) is z · σ(z).",
    ),
    Mistake(
        "F.silu(self.gate(x)) * self.wide(x)",
        "F.silu(self.gate(x)) + self.wide(x)",
        "Gate and wide are added: a gate multiplies.",
    ),
    Mistake(
        "round(8 * n_embd / 3)",
        "4 * n_embd",
        "It has half as many weights again as the layer it replaces: three matrices share 8 C² weights.",
    ),
    Mistake(
        "dy * wide * (sigma + gate * sigma * (1 - sigma))",
        "dy * wide * sigma * (1 - sigma)",
        "dgate has the derivative of σ, not of z σ(z): the product rule gives σ + z σ (1 − σ).",
    ),
    Mistake(
        "dy * wide * (sigma + gate * sigma * (1 - sigma))",
        "dy * (sigma + gate * sigma * (1 - sigma))",
        "dgate lacks the other factor of the product: dy ⊙ wide arrives at SiLU(gate).",
    ),
    Mistake(
        "dy * gate * sigma\n",
        "dy * gate\n",
        "dwide is dy times what wide was multiplied by, SiLU(gate), not the gate itself.",
    ),
]


def check(student, draw):
    for C in (1, 3, 8):
        _check_module(student.SwiGLU(C), draw, C)
    for shape in ((1,), (2,), (2, 3)):
        dy, gate, wide = (draw.array(*shape) for _ in range(3))
        expected = vjp(lambda gate, wide: gate * gate.sigmoid() * wide, dy, gate, wide)
        got, shown = student.gated_vjp(dy, gate, wide), {"dy": dy, "gate": gate, "wide": wide}
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("gated_vjp returns two arrays, (dgate, dwide).", shown)
        for name, right, mine in zip(("dgate", "dwide"), expected, got, strict=True):
            expect(name, right, mine, inputs=shown)
    return (
        "Right. What it is worth beside GELU, with your code: "
        "python examples/lecture/10_paper_features.py --exercises=exercises"
    )


def _check_module(layer, draw, C):
    hidden = round(8 * C / 3)
    for name, shape in (("gate", (hidden, C)), ("wide", (hidden, C)), ("back", (C, hidden))):
        linear = getattr(layer, name, None)
        if not isinstance(linear, nn.Linear) or linear.bias is None:
            raise Wrong(f"self.{name} should be an nn.Linear with a bias.")
        if linear.weight.shape != shape:
            raise Wrong(f"The weight of self.{name} is {tuple(linear.weight.shape)}, expected {shape} for C = {C}.")
        linear.load_state_dict({"weight": draw.floats(*shape), "bias": draw.floats(shape[0])})
    x = draw.floats(1, 2, C)
    gate, wide = layer.gate(x).detach().array, layer.wide(x).detach().array
    back, bias = layer.back.weight.detach().array, layer.back.bias.detach().array
    expected = (gate / (1 + np.exp(-gate)) * wide) @ back.T + bias
    expect("the output", expected, layer(x).detach(), inputs={"x": x, "gate(x)": gate, "wide(x)": wide})
