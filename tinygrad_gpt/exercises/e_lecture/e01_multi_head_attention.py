"""All heads at once: a batch dimension instead of a list.

The lecture's first exercise. A list of heads does the same small products again and again; its result is one
product with the weights of all heads on top of each other, cut into heads afterwards. Rewrite it so. The check
gives both the same weights, compares values and gradients, and counts operations: their number may not depend on
the number of heads.
"""

import math

import nn
import tensor
from tensor.autograd import reachable
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


class Head(nn.Module):
    """One head of causal self-attention, as in the lecture: what you have."""

    def __init__(self, n_embd, head_size):  # given
        """Three layers with weights (hs, C)."""
        super().__init__()
        self.query = nn.Linear(n_embd, head_size, bias=False)
        self.key = nn.Linear(n_embd, head_size, bias=False)
        self.value = nn.Linear(n_embd, head_size, bias=False)

    def forward(self, x):  # given
        """x (B, T, C) -> (B, T, hs)."""
        q, k, v = self.query(x), self.key(x), self.value(x)  # (B, T, hs) each
        ahead = tensor.ones(x.shape[1], x.shape[1]).triu(1).bool()  # (T, T), True where s > t
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)  # (B, T, T)
        return scores.softmax(-1) @ v


class HeadByHead(nn.Module):
    """Heads in a list, one after the other, their results side by side and mixed: what you have."""

    def __init__(self, n_embd, n_head):  # given
        """n_head heads of C / n_head channels."""
        super().__init__()
        self.heads = nn.ModuleList(Head(n_embd, n_embd // n_head) for _ in range(n_head))
        self.mix = nn.Linear(n_embd, n_embd)

    def forward(self, x):  # given
        """x (B, T, C) -> (B, T, C)."""
        return self.mix(tensor.cat([head(x) for head in self.heads], dim=-1))


class MultiHeadAttention(nn.Module):
    """The same as HeadByHead, without a loop over heads: what you write."""

    def __init__(self, n_embd, n_head):
        """Make self.qkv, an nn.Linear(C, 3C) without bias, and self.mix as above.

        The rows of qkv's weight (3C, C) are the queries of head 0, of head 1, …, then all keys, then all values.
        """
        super().__init__()
        self.n_head = n_head
        self.qkv = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.mix = nn.Linear(n_embd, n_embd)

    def forward(self, x):
        """x (B, T, C) -> (B, T, C); between them q, k and v are (B, nh, T, hs)."""
        B, T, C = x.shape
        heads = [part.view(B, T, self.n_head, -1).transpose(1, 2) for part in self.qkv(x).split(C, dim=2)]
        q, k, v = heads  # (B, nh, T, hs) each
        ahead = tensor.ones(T, T).triu(1).bool()  # (T, T), the same for every head
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)  # (B, nh, T, T)
        y = scores.softmax(-1) @ v  # (B, nh, T, hs)
        return self.mix(y.transpose(1, 2).reshape(B, T, C))


HINTS = [
    "self.qkv(x) has 3C channels: all that the heads' layers compute, side by side. Split it into q, k and v of C "
    "channels each. Then cut each of them into heads (exercise A14); from there on, the lines of Head.forward hold.",
    "@ and softmax(-1) work on the last two dims and leave the dims before them alone: (B, nh) is a batch to them as "
    "B was. So q @ k.mT is (B, nh, T, T). The scale is that of a head, √hs, not √C.",
    "q, k and v: part.view(B, T, n_head, C // n_head).transpose(1, 2). At the end the way back, (B, nh, T, hs) -> "
    "(B, T, C): transpose(1, 2) first, then reshape(B, T, C) (exercise A15), and self.mix.",
]
READ = [
    Read("tinygrad_gpt/model.py", "CausalSelfAttention.forward", "the same class with dropout and a cache"),
    Read("nn/functional/attention.py", "scaled_dot_product_attention", "the three lines in the middle as one op"),
    Read("examples/lecture/09_heads_as_a_batch.py", "main", "how much faster it is: run it, it takes seconds"),
]
MISTAKES = [
    Mistake(
        "self.mix(y.transpose(1, 2).reshape(B, T, C))",
        "self.mix(y.reshape(B, T, C))",
        "The heads were laid side by side without moving nh back behind T: transpose(1, 2) before the reshape.",
    ),
    Mistake(
        "part.view(B, T, self.n_head, -1).transpose(1, 2)",
        "part.view(B, self.n_head, T, -1)",
        "A view alone mixes positions and heads: first (B, T, nh, hs), then transpose(1, 2).",
    ),
    Mistake(
        "part.view(B, T, self.n_head, -1).transpose(1, 2)",
        "part.view(B, T, -1, self.n_head).permute(0, 3, 1, 2)",
        "Each head gets every nh-th channel; it should get hs channels in a row.",
    ),
    Mistake(
        "self.mix(y.transpose(1, 2).reshape(B, T, C))",
        "y.transpose(1, 2).reshape(B, T, C)",
        "The heads lie side by side, but self.mix is left out.",
    ),
    Mistake("math.sqrt(q.shape[-1])).masked_fill", "math.sqrt(C)).masked_fill", "The scale is that of one head, √hs."),
    Mistake("q, k, v = heads", "k, q, v = heads", "Queries and keys are exchanged: the first C rows are the queries."),
    Mistake(
        "scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)  # (B, nh, T, T)",
        "scores = q @ k.mT / math.sqrt(q.shape[-1])",
        "There is no mask: positions see what follows them.",
    ),
    Mistake(
        "y = scores.softmax(-1) @ v  # (B, nh, T, hs)",
        "y = tensor.stack([scores[:, h].softmax(-1) @ v[:, h] for h in range(self.n_head)], dim=1)",
        "The numbers are right, but the heads still come one after the other: softmax and @ take them all at once.",
    ),
]


def check(student, draw):
    for B, T, nh, hs in ((1, 1, 1, 2), (1, 2, 2, 1), (1, 3, 2, 2), (2, 4, 3, 2)):
        _check_size(student, draw, B, T, nh, hs)
    few, many = (_operations(student.MultiHeadAttention(8, nh)) for nh in (2, 8))
    if many > few:
        raise Wrong(
            f"It makes {few} operations for 2 heads and {many} for 8: somewhere it goes through the heads one by one."
        )
    return f"The same values and gradients as the list of heads, in {few} operations for any number of heads."


def _check_size(student, draw, B, T, nh, hs):
    C = nh * hs
    theirs, mine = student.HeadByHead(C, nh), student.MultiHeadAttention(C, nh)
    for name, shape in (("qkv", (3 * C, C)), ("mix", (C, C))):
        got = getattr(getattr(mine, name, None), "weight", None)
        if got is None or got.shape != shape:
            found = "missing" if got is None else f"with a weight {tuple(got.shape)}"
            raise Wrong(f"self.{name} is {found}; expected an nn.Linear with a weight {shape} for C = {C}.")
    if mine.qkv.bias is not None:
        raise Wrong("self.qkv has a bias; the layers of the heads have none: bias=False.")
    with tensor.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(draw.floats(*parameter.shape))
        mine.qkv.weight.copy_(_stacked(theirs.heads, lambda weight: weight))
        mine.mix.load_state_dict(theirs.mix.state_dict())

    x, dy = draw.floats(B, T, C), draw.floats(B, T, C)
    shown = {"B, T, C": (B, T, C), "n_head": nh, "x": x}
    expected, dx = _forward_backward(theirs, x, dy)
    y, mine_dx = _forward_backward(mine, x, dy)
    expect("the output", expected, y, inputs=shown)
    expect("the gradient of x", dx, mine_dx, inputs=shown)
    gradient = mine.qkv.weight.grad
    expect("the gradient of qkv.weight", _stacked(theirs.heads, lambda weight: weight.grad).array, gradient)
    expect("the gradient of mix.weight", theirs.mix.weight.grad.array, mine.mix.weight.grad)


def _stacked(heads, what):
    """The weights of the heads' layers, or their gradients, as one matrix (3C, C)."""
    return tensor.cat([what(getattr(head, name).weight) for name in ("query", "key", "value") for head in heads])


def _forward_backward(attention, x, dy):
    """y and dx, for the gradient dy of y, as arrays."""
    x = x.clone().requires_grad_()
    y = attention(x)
    if not isinstance(y, tensor.Tensor) or y.shape != dy.shape:
        return getattr(y, "array", y), None  # nothing to go back from; comparing the output says so
    y.backward(dy)
    return y.detach().array, None if x.grad is None else x.grad.array


def _operations(attention):
    """The number of ops between 8 channels and the output."""
    return len(reachable([(attention(tensor.ones(1, 3, 8)).grad_fn,)])[0])
