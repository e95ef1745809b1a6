"""Exercise 4 of the lecture: features from papers since, each measured against the same model without it.

    python examples/lecture/10_paper_features.py
    python examples/lecture/10_paper_features.py --exercises=exercises   # with your solutions of E05, E06 and E07

    rotary     Su et al. 2021, arXiv:2104.09864: turn q and k by an angle for their position; no position embedding
    RMSNorm    Zhang and Sennrich 2019, arXiv:1910.07467: divide by the root mean square; no mean, no shift
    SwiGLU     Shazeer 2020, arXiv:2002.05202: the wide layer times a gate of its own, at the same number of weights

Every model gets the same batches and the same number of steps, and is validated on the same batches, so a difference
is that of the models and of the weights they start from; `--seeds` repeats it with others.
"""

import runpy
import time
from pathlib import Path

import common
from settings import options

import nn
import tensor as torch
from nn import functional as F
from tinygrad_gpt.exercises.catalogue import find
from tinygrad_gpt.exercises.isolate import check

LAPTOP = {"batch_size": 16, "block_size": 64, "n_embd": 128, "n_head": 4, "n_layer": 4, "max_iters": 1000}
LAPTOP |= {"eval_interval": 1000, "eval_iters": 100, "sample_tokens": 0}


class Rotary(nn.Module):
    """Turn each pair of channels of a query or key by t θ_i at position t, with θ_i = 10000^(−2i / hs).

    Turning both leaves of q · k only the difference of their angles, (t − s) θ_i: how far apart, not where.
    """

    def __init__(self, head_size, block_size):
        super().__init__()
        theta = 10000.0 ** (-torch.arange(0, head_size, 2) / head_size)  # (hs / 2,)
        angle = torch.arange(block_size)[:, None] * theta  # (T, hs / 2)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, x):  # (B, nh, T, hs)
        T, hs = x.shape[-2:]
        cos, sin = self.cos[:T], self.sin[:T]
        a, b = x.split(hs // 2, dim=-1)  # the two of each pair, (B, nh, T, hs / 2)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


class Attention(nn.Module):
    def __init__(self, n_embd, n_head, rotary=None):
        super().__init__()
        self.n_head, self.rotary = n_head, rotary
        self.qkv = nn.Linear(n_embd, 3 * n_embd)
        self.mix = nn.Linear(n_embd, n_embd)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.n_head, -1).transpose(1, 2) for part in self.qkv(x).split(C, dim=2))
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)  # (B, nh, T, hs)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, nh, T, hs)
        return self.mix(y.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    """GPT-2's: four times as wide, GELU, and back; 8 C² weights."""

    def __init__(self, n_embd):
        super().__init__()
        self.wide, self.back = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)

    def forward(self, x):
        return self.back(F.gelu(self.wide(x), approximate="tanh"))


class SwiGLU(nn.Module):
    """back(SiLU(gate x) ⊙ (wide x)): three matrices, so 8/3 as wide for 8 C² weights."""

    def __init__(self, n_embd):
        super().__init__()
        hidden = round(8 * n_embd / 3)
        self.gate, self.wide = nn.Linear(n_embd, hidden), nn.Linear(n_embd, hidden)
        self.back = nn.Linear(hidden, n_embd)

    def forward(self, x):
        return self.back(F.silu(self.gate(x)) * self.wide(x))


class Block(nn.Module):
    def __init__(self, n_embd, n_head, rotary, norm, feed_forward):
        super().__init__()
        self.norm1, self.attention = norm(n_embd), Attention(n_embd, n_head, rotary)
        self.norm2, self.feed_forward = norm(n_embd), feed_forward(n_embd)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class GPT(nn.Module):
    """The model of step 8; `rotary`, `norm` and `feed_forward` are the classes of the parts that it is made of."""

    def __init__(self, vocab_size, args, rotary=None, norm=nn.LayerNorm, feed_forward=FeedForward):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, args.n_embd)
        self.positions = None if rotary else nn.Embedding(args.block_size, args.n_embd)
        turn = rotary(args.n_embd // args.n_head, args.block_size) if rotary else None
        blocks = [Block(args.n_embd, args.n_head, turn, norm, feed_forward) for _ in range(args.n_layer)]
        self.body = nn.Sequential(*blocks, norm(args.n_embd))
        self.logits = nn.Linear(args.n_embd, vocab_size)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, idx):
        x = self.tokens(idx)  # (B, T, C)
        if self.positions is not None:
            x = x + self.positions(torch.arange(idx.shape[1], device=idx.device))
        return self.logits(self.body(x))  # (B, T, vocab_size)


EXERCISES = {"rotary": ("E05", "Rotary"), "feed_forward": ("E06", "SwiGLU"), "norm": ("E07", "RMSNorm")}


def variants(folder: str = "") -> dict[str, dict]:
    """What each model has instead of the baseline's parts: those above, or with a folder those of your exercises."""
    parts = {"rotary": Rotary, "feed_forward": SwiGLU, "norm": nn.RMSNorm}
    if folder:
        parts = {part: solved(folder, number, name) for part, (number, name) in EXERCISES.items()}
    return {
        "baseline": {},
        "rotary": {"rotary": parts["rotary"]},
        "RMSNorm": {"norm": parts["norm"]},
        "SwiGLU": {"feed_forward": parts["feed_forward"]},
        "all three": parts,
    }


def solved(folder: str, number: str, name: str) -> type[nn.Module]:
    """The class `name` of a solved exercise."""
    path = Path(folder, find(number).filename)
    if not check(find(number), path).passed:
        raise SystemExit(f"{path} is not a solution yet; `tinygrad-gpt exercises check {number}` says why.")
    return runpy.run_path(str(path))[name]


def measure(variant: dict, data: common.Data, args, seed: int) -> tuple[int, float, float]:
    """Parameters, validation loss and seconds of one training."""
    torch.manual_seed(seed)
    model = GPT(data.vocab_size, args, **variant)
    torch.manual_seed(seed)  # the batches do not depend on how many weights were drawn
    start = time.perf_counter()
    loss = common.train(model, data, args)
    return sum(parameter.numel() for parameter in model.parameters()), loss, time.perf_counter() - start


if __name__ == "__main__":
    args = options(__doc__, "n_embd n_head n_layer seeds exercises", **LAPTOP)
    models = variants(args.exercises)
    data = common.Data(args)
    results: dict[str, list] = {name: [] for name in models}
    for seed in range(args.seed, args.seed + args.seeds):
        for name, variant in models.items():
            print(f"\n{name}, seed {seed}: ", end="")
            results[name].append(measure(variant, data, args, seed))

    print(f"\n{args.max_iters} steps, {args.seeds} seed(s)")
    print("              parameters  validation loss  against the baseline, seed by seed      time")
    for name, runs in results.items():
        baseline = results["baseline"]
        mean = sum(loss for _, loss, _ in runs) / len(runs)
        against = ", ".join(f"{ours[1] - theirs[1]:+.4f}" for ours, theirs in zip(runs, baseline, strict=True))
        ratio = sum(seconds for *_, seconds in runs) / sum(seconds for *_, seconds in baseline)
        print(f"{name:12s}  {runs[0][0]:10,d}  {mean:15.4f}  {against:37s}  {ratio:6.2f} x")
