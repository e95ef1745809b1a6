"""Step 7: layer norm. Each branch sees its input with mean 0 and variance 1, however large the stream has grown.

    python examples/lecture/07_layer_norm.py

New: a norm before each branch (the paper had it behind; before it, the straight way of step 6 stays free) and one
before the logits.
"""

from importlib import import_module

import common
from settings import options

import nn
import tensor as torch

step3, step6 = import_module("03_one_head"), import_module("06_residual_blocks")


class Block(step6.Block):
    """The block of step 6 with a norm in front of each branch."""

    def __init__(self, n_embd, n_head, block_size):
        super().__init__(n_embd, n_head, block_size)
        self.norm1, self.norm2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))  # (B, T, C)
        return x + self.feed_forward(self.norm2(x))  # (B, T, C)


if __name__ == "__main__":
    args = options(__doc__, "n_embd n_head n_layer")
    torch.manual_seed(args.seed)
    data = common.Data(args)
    blocks = [Block(args.n_embd, args.n_head, args.block_size) for _ in range(args.n_layer)]
    body = nn.Sequential(*blocks, nn.LayerNorm(args.n_embd))
    common.train(step3.LanguageModel(body, data.vocab_size, args.block_size, args.n_embd), data, args, expected=2.06)
