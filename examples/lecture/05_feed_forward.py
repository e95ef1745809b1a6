"""Step 5: time to think. After it has listened to the others, each position works on what it heard by itself.

    python examples/lecture/05_feed_forward.py

New: `FeedForward`.
"""

from importlib import import_module

import common
from settings import options

import nn
import tensor as torch

step3, step4 = import_module("03_one_head"), import_module("04_four_heads")


class FeedForward(nn.Module):
    """A linear map and a nonlinearity, the same for each position: attention itself is but a mean of linear maps."""

    def __init__(self, n_embd):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_embd, n_embd), nn.ReLU())

    def forward(self, x):
        return self.net(x)  # (B, T, C)


if __name__ == "__main__":
    args = options(__doc__, "n_embd n_head")
    torch.manual_seed(args.seed)
    data = common.Data(args)
    attention = step4.MultiHeadAttention(args.n_embd, args.n_head, args.block_size)
    body = nn.Sequential(attention, FeedForward(args.n_embd))
    common.train(step3.LanguageModel(body, data.vocab_size, args.block_size, args.n_embd), data, args, expected=2.24)
