"""The small examples that `explore` opens up: attention, layer norm and cross-entropy from primitive ops, and GPT's own
MLP and block. Each is small enough for every number to be seen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import nn
import tensor
from tensor import Tensor
from tinygrad_gpt.model import MLP, Block, GPTConfig

SEED = 1337


@dataclass
class Example:
    """A module, what goes in, and the loss that backward starts from."""

    title: str
    module: nn.Module
    inputs: dict[str, Tensor]  # by name; those that can be edited
    loss: Callable[[Tensor], Tensor]
    axes: dict[str, int] = field(default_factory=dict)

    def run(self) -> Tensor:
        """The loss, with its graph."""
        for x in self.inputs.values():
            x.grad = None
        self.module.zero_grad()
        return self.loss(self.module(*self.inputs.values()))


class Attention(nn.Module):
    """Causal self-attention with nh heads, from primitive ops, so that each step back can be seen."""

    def __init__(self, C: int, nh: int):
        super().__init__()
        self.nh, self.hs = nh, C // nh
        self.c_attn = nn.Linear(C, 3 * C, bias=False)  # q, k and v at once
        self.c_proj = nn.Linear(C, C, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(C, dim=2)  # (B, T, C) each
        q = q.view(B, T, self.nh, self.hs).transpose(1, 2)  # (B, nh, T, hs)
        k = k.view(B, T, self.nh, self.hs).transpose(1, 2)
        v = v.view(B, T, self.nh, self.hs).transpose(1, 2)
        s = q @ k.transpose(-2, -1)  # (B, nh, T, T): how alike query and key are
        s = s / math.sqrt(self.hs)
        s = s.masked_fill(tensor.ones(T, T).tril() == 0, -math.inf)  # no look ahead
        p = s.softmax(-1)  # each row sums to 1
        y = p @ v  # (B, nh, T, hs): the mean of the values, weighted by p
        y = y.transpose(1, 2).reshape(B, T, C)  # the heads side by side
        return self.c_proj(y)


class LayerNorm(nn.Module):
    """Layer norm from primitive ops: each row to mean 0 and variance 1, then a gain and a shift for each channel."""

    def __init__(self, C: int):
        super().__init__()
        self.weight = nn.Parameter(1 + 0.3 * tensor.randn(C))
        self.bias = nn.Parameter(0.3 * tensor.randn(C))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)  # (T, C)
        variance = (centred * centred).mean(-1, keepdim=True)  # (T, 1)
        normed = centred / (variance + 1e-5).sqrt()  # (T, C)
        return normed * self.weight + self.bias


class CrossEntropy(nn.Module):
    """Cross-entropy from primitive ops: minus the logarithm of the probability that the true class gets."""

    def __init__(self, target: Tensor):
        super().__init__()
        self.register_buffer("target", target)

    def forward(self, logits: Tensor) -> Tensor:
        shifted = logits - logits.detach().amax(-1, keepdim=True)  # keeps exp finite, changes nothing else
        log_sum = shifted.exp().sum(-1, keepdim=True).log()  # (T, 1)
        log_p = shifted - log_sum  # (T, V)
        return -log_p[tensor.arange(len(logits)), self.target]  # (T,)


def _attention() -> Example:
    x = tensor.randn(1, 5, 8, requires_grad=True)
    axes = {"T": 5, "C": 8, "3C": 24, "nh": 2, "hs": 4}
    return Example("Causal self-attention", Attention(8, 2), {"x": x}, _distance_to(x), axes)


def _layernorm() -> Example:
    x = tensor.randn(4, 6, requires_grad=True)
    return Example("Layer norm", LayerNorm(6), {"x": x}, _distance_to(x), {"T": 4, "C": 6})


def _crossentropy() -> Example:
    logits = tensor.randn(4, 6, requires_grad=True)
    module = CrossEntropy(tensor.tensor([2, 0, 5, 3]))
    return Example("Cross-entropy", module, {"logits": logits}, lambda losses: losses.mean(), {"T": 4, "V": 6})


def _mlp() -> Example:
    x = tensor.randn(1, 5, 4, requires_grad=True)
    config = GPTConfig(block_size=5, vocab_size=2, n_layer=1, n_head=1, n_embd=4)
    return Example("The MLP of a GPT", MLP(config), {"x": x}, _distance_to(x), {"T": 5, "C": 4, "4C": 16})


def _block() -> Example:
    x = tensor.randn(1, 5, 8, requires_grad=True)
    config = GPTConfig(block_size=5, vocab_size=2, n_layer=1, n_head=2, n_embd=8)
    axes = {"T": 5, "C": 8, "3C": 24, "4C": 32, "nh": 2, "3nh": 6, "hs": 4}
    return Example("A block of a GPT", Block(config, 0), {"x": x}, _distance_to(x), axes)


def _distance_to(x: Tensor) -> Callable[[Tensor], Tensor]:
    """The mean square distance to a fixed goal of x's shape."""
    goal = tensor.randn(*x.shape)
    return lambda y: ((y - goal) ** 2).mean()


EXAMPLES: dict[str, Callable[[], Example]] = {
    "attention": _attention,
    "layernorm": _layernorm,
    "crossentropy": _crossentropy,
    "mlp": _mlp,
    "block": _block,
}


def make_example(name: str) -> Example:
    """The example of that name, the same numbers every time."""
    tensor.manual_seed(SEED)
    return EXAMPLES[name]()
