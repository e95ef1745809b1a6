"""Exercise 1 of the lecture: one module for all heads, which are one more batch dimension instead of a list.

    python examples/lecture/09_heads_as_a_batch.py

The heads of step 4 do the same to different slices, one after the other: 4 x 3 small matrix products for q, k and v,
where one large one has the same numbers in it. Stack the weights, split what comes out, and `@` goes over (B, nh) by
itself. Shown here: the same values, the same gradients, and how much faster it is.
"""

import argparse
import math
import statistics
import time
from importlib import import_module

import nn
import tensor as torch
from nn import functional as F

step4 = import_module("04_four_heads")


class MultiHeadAttention(nn.Module):
    """All heads at once: q, k and v of every head from one matrix (3C, C)."""

    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        self.n_head = n_head
        self.qkv = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.register_buffer("ahead", torch.ones(block_size, block_size).triu(1).bool())  # True where s > t

    def split_heads(self, x):
        B, T, C = x.shape
        return x.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)  # (B, T, C) -> (B, nh, T, hs)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = map(self.split_heads, self.qkv(x).split(C, dim=2))  # (B, nh, T, hs) each
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, nh, T, T)
        weights = F.softmax(scores.masked_fill(self.ahead[:T, :T], -math.inf), dim=-1)  # (B, nh, T, T)
        return (weights @ v).transpose(1, 2).reshape(B, T, C)  # the heads side by side again


class FusedAttention(MultiHeadAttention):
    """The same with scores, mask, softmax and mean as one operation, as in tinygrad_gpt/model.py."""

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = map(self.split_heads, self.qkv(x).split(C, dim=2))  # (B, nh, T, hs) each
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, C)


def stacked(heads, what):
    """The weights of the list's query, key and value layers, or their gradients, as one matrix (3C, C)."""
    return torch.cat([what(getattr(head, name).weight) for name in ("query", "key", "value") for head in heads])


def forward_backward(attention, x, dy):
    """y, and the gradients of x and of the weights for the gradient dy of y."""
    x = x.clone().requires_grad_()
    attention.zero_grad()
    y = attention(x)
    y.backward(dy)
    return y.detach(), x.grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"batch_size": 16, "block_size": 64, "n_embd": 128, "n_head": 4, "rounds": 40}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"[{default}]")
    args = parser.parse_args()

    torch.manual_seed(1337)
    shape = args.n_embd, args.n_head, args.block_size
    modules = {
        "a list of heads": step4.MultiHeadAttention(*shape),
        "heads as a batch": MultiHeadAttention(*shape),
        "fused": FusedAttention(*shape),
    }
    listed = modules["a list of heads"]
    for name in ("heads as a batch", "fused"):
        modules[name].qkv.weight.data = stacked(listed.heads, lambda weight: weight.data)

    x, dy = torch.randn(2, args.batch_size, args.block_size, args.n_embd)  # (B, T, C) each
    y, dx = forward_backward(listed, x, dy)
    dw = stacked(listed.heads, lambda weight: weight.grad)
    for name in ("heads as a batch", "fused"):
        other_y, other_dx = forward_backward(modules[name], x, dy)
        for what, ours, theirs in (("y", other_y, y), ("dx", other_dx, dx), ("dW", modules[name].qkv.weight.grad, dw)):
            difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
            print(f"{name}, {what}: differs from the list's by {difference:.0e} of its largest element")
            assert difference < 1e-5

    seconds: dict[str, list[float]] = {name: [] for name in modules}
    for _ in range(args.rounds):  # in turn, so that whatever else the machine does meets all of them
        for name, module in modules.items():
            start = time.perf_counter()
            forward_backward(module, x, dy)
            seconds[name].append(time.perf_counter() - start)
    slow = seconds.pop("a list of heads")
    print(f"a list of heads: {1000 * statistics.median(slow):.2f} ms forward and backward")
    for name, times in seconds.items():
        ratios = sorted(one / other for one, other in zip(slow, times, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        print(
            f"{name}: {1000 * statistics.median(times):.2f} ms, "
            f"{statistics.median(ratios):.2f} times as fast (quartiles {low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
