"""Step 3: one head of self-attention, between an embedding of what and where a character is, and the logits.

    python examples/lecture/03_one_head.py

New: `Head`, the fourth form of step 2 with values of its own, and `LanguageModel`, which will hold every later body.
"""

import math

import common
from settings import options

import nn
import tensor as torch
from nn import functional as F


class Head(nn.Module):
    """Each position takes a mean of the positions up to it, weighted by how well their keys fit its query."""

    def __init__(self, n_embd, head_size, block_size):
        super().__init__()
        self.query = nn.Linear(n_embd, head_size, bias=False)  # what do I look for?
        self.key = nn.Linear(n_embd, head_size, bias=False)  # what do I have?
        self.value = nn.Linear(n_embd, head_size, bias=False)  # what do I tell those who look at me?
        self.register_buffer("ahead", torch.ones(block_size, block_size).triu(1).bool())  # True where s > t

    def forward(self, x):
        T = x.shape[1]
        q, k, v = self.query(x), self.key(x), self.value(x)  # (B, T, hs) each
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, T, T), of variance 1 if q and k have it
        scores = scores.masked_fill(self.ahead[:T, :T], -math.inf)
        return F.softmax(scores, dim=-1) @ v  # (B, T, hs)


class LanguageModel(nn.Module):
    """Ids (B, T) -> embeddings (B, T, C) -> whatever `body` makes of them (B, T, C) -> logits (B, T, vocab_size)."""

    def __init__(self, body, vocab_size, block_size, n_embd):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, n_embd)  # what stands there
        self.positions = nn.Embedding(block_size, n_embd)  # where it stands: a mean does not know the order
        self.body = body
        self.logits = nn.Linear(n_embd, vocab_size)

    def forward(self, idx):
        positions = torch.arange(idx.shape[1], device=idx.device)  # (T,)
        x = self.tokens(idx) + self.positions(positions)  # (B, T, C)
        return self.logits(self.body(x))


if __name__ == "__main__":
    args = options(__doc__, "n_embd")
    torch.manual_seed(args.seed)
    data = common.Data(args)
    body = Head(args.n_embd, args.n_embd, args.block_size)
    common.train(LanguageModel(body, data.vocab_size, args.block_size, args.n_embd), data, args, expected=2.40)
