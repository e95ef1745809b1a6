"""Rotary positions: queries and keys turned by where they stand.

The lecture's fourth exercise, first part. Position embeddings say where a token stands, but what matters to
attention is how far apart two of them are. Turn each pair of channels of q and k by an angle that grows with the
position: turning both leaves their product as it is, so q · k depends on the difference of the angles alone (Su et
al. 2021, arXiv:2104.09864). In LLaMA and most models since, it replaces the position embedding.
"""

import numpy as np

import nn
import tensor
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


class Rotary(nn.Module):
    """Turns queries, and keys, of hs channels at up to block_size positions. It has no parameters."""

    def __init__(self, head_size, block_size):
        """Prepare the cosines and sines of all angles, (block_size, hs / 2) each.

        At position t pair i is turned by t · θ_i, with θ_i = 10000^(−2i / hs) and i = 0, 1, …, hs/2 − 1: the first
        pair fast, by one radian a position, the last ones slowly. Keep them by self.register_buffer("cos", …): a
        buffer moves along with the module and is not trained.
        """
        super().__init__()
        theta = 10000.0 ** (-tensor.arange(0, head_size, 2) / head_size)  # (hs / 2,)
        angle = tensor.arange(block_size)[:, None] * theta  # (T, hs / 2)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, x):
        """x (B, nh, T, hs), T ≤ block_size -> the same shape. Channels i and i + hs/2 are pair i, (a, b):

        a' = a cos − b sin,    b' = a sin + b cos
        """
        T, hs = x.shape[-2:]
        cos, sin = self.cos[:T], self.sin[:T]  # (T, hs / 2)
        a, b = x.split(hs // 2, dim=-1)  # (B, nh, T, hs / 2) each
        return tensor.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


HINTS = [
    "The angles are an outer product: positions down, frequencies across, tensor.arange(block_size)[:, None] * theta.",
    "2i for i = 0 … hs/2 − 1 is tensor.arange(0, head_size, 2); theta = 10000.0 ** (-that / head_size). In forward "
    "take the first T rows: the sequence may be shorter than block_size.",
    "The first halves of all pairs are the first half of the channels: a, b = x.split(hs // 2, dim=-1). cos and sin "
    "(T, hs/2) broadcast over (B, nh). tensor.cat of the two turned halves along dim=-1.",
]
READ = [
    Read("examples/lecture/10_paper_features.py", "Attention", "where q and k are turned, and v is not"),
    Read("examples/lecture/10_paper_features.py", "GPT", "the position embedding that is no longer needed"),
    Read("tensor/ops/join.py", "Cat", "how the gradient is cut in two again"),
]
MISTAKES = [
    Mistake(
        "a * cos - b * sin, a * sin + b * cos",
        "a * cos + b * sin, b * cos - a * sin",
        "It turns the other way: a' = a cos − b sin.",
    ),
    Mistake(
        "a, b = x.split(hs // 2, dim=-1)",
        "a, b = x[..., ::2], x[..., 1::2]",
        "Neighbours were paired, the paper's way; here channel i goes with i + hs/2, as in LLaMA's code.",
    ),
    Mistake(
        "tensor.arange(0, head_size, 2) / head_size",
        "tensor.arange(head_size // 2) / head_size",
        "The angles shrink half as fast as they should: the exponent is −2i / hs.",
    ),
    Mistake(
        "angle = tensor.arange(block_size)",
        "angle = (tensor.arange(block_size) + 1)",
        "Positions count from 0: nothing is turned there.",
    ),
    Mistake(
        "self.cos[:T], self.sin[:T]",
        "self.cos[-T:], self.sin[-T:]",
        "A short sequence stands at the first positions, not at the last.",
    ),
    Mistake(
        "a * sin + b * cos",
        "a * sin - b * cos",
        "That is no rotation, it mirrors: lengths are kept, but products do not depend on the distance alone.",
    ),
]


def check(student, draw):
    for B, nh, T, hs, block_size in (
        (1, 1, 1, 2, 1),
        (1, 1, 2, 2, 2),
        (1, 1, 2, 4, 2),
        (1, 1, 2, 4, 3),
        (2, 3, 4, 6, 5),
    ):
        rotary, x = student.Rotary(hs, block_size), draw.floats(B, nh, T, hs).requires_grad_()
        shown = {"head_size": hs, "block_size": block_size, "x": x.detach()}
        y = rotary(x)
        expect("the turned x", _specification(x.detach().array), y, inputs=shown)
        if getattr(y, "grad_fn", None) is None:
            raise Wrong("It has no graph: x must go through operations of Tensors, or q and k learn nothing.", shown)
        if list(rotary.parameters()):
            raise Wrong("It has parameters, but angles are not learned: keep them as buffers.")
        if not list(rotary.buffers()):
            raise Wrong(
                'The angles are no buffers, so .to("cuda") would leave them behind: self.register_buffer("cos", …).'
            )
    _check_distance(student.Rotary(8, 16), draw)
    return (
        "Right, and products depend on the distance alone. What it is worth beside learned positions, with your code: "
        "python examples/lecture/10_paper_features.py --exercises=exercises"
    )


def _check_distance(rotary, draw):
    """The same q and the same k at every position: one product for each distance."""
    q, k = (rotary(draw.floats(1, 1, 1, 8).expand(1, 1, 16, 8)) for _ in range(2))
    products = (q @ k.mT)[0, 0].array
    for distance in range(-15, 16):
        along = products.diagonal(distance)
        expect(f"q · k at the distance {distance}", np.full_like(along, along[0]), along, tolerance=1e-3)


def _specification(x):
    hs, out = x.shape[-1], np.empty_like(x)
    for t in range(x.shape[-2]):
        for i in range(hs // 2):
            turned = (x[..., t, i] + 1j * x[..., t, i + hs // 2]) * np.exp(1j * t * 10000.0 ** (-2 * i / hs))
            out[..., t, i], out[..., t, i + hs // 2] = turned.real, turned.imag
    return out
