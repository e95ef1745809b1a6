"""Step 4: several heads side by side, so that a position can look for several things at once.

    python examples/lecture/04_four_heads.py

New: `MultiHeadAttention`. Four heads of 8 channels have as many weights as one of 32.
"""

from importlib import import_module

import common
from settings import options

import nn
import tensor as torch

step3 = import_module("03_one_head")


class MultiHeadAttention(nn.Module):
    """Heads of C / nh channels each, their results side by side."""

    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        self.heads = nn.ModuleList(step3.Head(n_embd, n_embd // n_head, block_size) for _ in range(n_head))

    def forward(self, x):
        return torch.cat([head(x) for head in self.heads], dim=-1)  # nh x (B, T, hs) -> (B, T, C)


if __name__ == "__main__":
    args = options(__doc__, "n_embd n_head")
    torch.manual_seed(args.seed)
    data = common.Data(args)
    body = MultiHeadAttention(args.n_embd, args.n_head, args.block_size)
    common.train(step3.LanguageModel(body, data.vocab_size, args.block_size, args.n_embd), data, args, expected=2.28)
