"""Step 6: listen and think, three times over. Depth works only once each block adds to what it was given.

    python examples/lecture/06_residual_blocks.py

New: `Block` and its two additions. The gradient of a sum reaches both of its terms unchanged, so from the loss a
straight way leads down to the embeddings, past all blocks. Both branches get a linear map that mixes what they add
(`mix`), and the feed-forward one is four times as wide inside, as in "Attention Is All You Need".
"""

from importlib import import_module

import common
from settings import options

import nn
import tensor as torch

step3, step4 = import_module("03_one_head"), import_module("04_four_heads")


class MultiHeadAttention(step4.MultiHeadAttention):
    """The heads of step 4, and a map that mixes their results."""

    def __init__(self, n_embd, n_head, block_size):
        super().__init__(n_embd, n_head, block_size)
        self.mix = nn.Linear(n_embd, n_embd)

    def forward(self, x):
        return self.mix(super().forward(x))  # (B, T, C)


class FeedForward(nn.Module):
    """Four times as wide, a nonlinearity, and back."""

    def __init__(self, n_embd):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.ReLU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        return self.net(x)  # (B, T, C)


class Block(nn.Module):
    """Listen, then think; each adds its part to the stream that goes from the embeddings to the logits."""

    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        self.attention = MultiHeadAttention(n_embd, n_head, block_size)
        self.feed_forward = FeedForward(n_embd)

    def forward(self, x):
        x = x + self.attention(x)  # (B, T, C)
        return x + self.feed_forward(x)  # (B, T, C)


if __name__ == "__main__":
    args = options(__doc__, "n_embd n_head n_layer")
    torch.manual_seed(args.seed)
    data = common.Data(args)
    body = nn.Sequential(*[Block(args.n_embd, args.n_head, args.block_size) for _ in range(args.n_layer)])
    common.train(step3.LanguageModel(body, data.vocab_size, args.block_size, args.n_embd), data, args, expected=2.08)
