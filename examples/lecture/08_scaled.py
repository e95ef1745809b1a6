"""Step 8: the same model, larger, and with dropout, so that it does not learn the text by heart. All of it in one file.

    python examples/lecture/08_scaled.py           # 0.8 million parameters: minutes on a laptop
    python examples/lecture/08_scaled.py --large   # the lecture's 10.7 million: a GPU run, with --device=cuda

New: dropout in three places (the attention weights, and what each branch adds), smaller first weights, and the sizes.
Dropout is for a model that has more capacity than text. The large one learns a megabyte by heart without it; the small
one does not get that far, and dropout would only cost it, so there it is 0: try --dropout=0.2 to see.
"""

import math

import common
from settings import options

import nn
import tensor as torch
from nn import functional as F

LAPTOP = {"batch_size": 16, "block_size": 64, "n_embd": 128, "n_head": 4, "n_layer": 4, "dropout": 0.0}
LAPTOP |= {"learning_rate": 1e-3, "max_iters": 2000, "eval_iters": 50}
LARGE = {"batch_size": 64, "block_size": 256, "n_embd": 384, "n_head": 6, "n_layer": 6, "dropout": 0.2}
LARGE |= {"learning_rate": 3e-4, "max_iters": 5000}


class Head(nn.Module):
    """Each position takes a mean of the positions up to it, weighted by how well their keys fit its query."""

    def __init__(self, n_embd, head_size, block_size, dropout):
        super().__init__()
        self.query = nn.Linear(n_embd, head_size, bias=False)
        self.key = nn.Linear(n_embd, head_size, bias=False)
        self.value = nn.Linear(n_embd, head_size, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("ahead", torch.ones(block_size, block_size).triu(1).bool())  # True where s > t

    def forward(self, x):
        T = x.shape[1]
        q, k, v = self.query(x), self.key(x), self.value(x)  # (B, T, hs) each
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, T, T)
        weights = F.softmax(scores.masked_fill(self.ahead[:T, :T], -math.inf), dim=-1)  # (B, T, T)
        return self.dropout(weights) @ v  # (B, T, hs)


class MultiHeadAttention(nn.Module):
    """Heads of C / nh channels each, their results side by side and mixed."""

    def __init__(self, n_embd, n_head, block_size, dropout):
        super().__init__()
        self.heads = nn.ModuleList(Head(n_embd, n_embd // n_head, block_size, dropout) for _ in range(n_head))
        self.mix = nn.Linear(n_embd, n_embd)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = torch.cat([head(x) for head in self.heads], dim=-1)  # nh x (B, T, hs) -> (B, T, C)
        return self.dropout(self.mix(x))  # (B, T, C)


class FeedForward(nn.Module):
    """Four times as wide, a nonlinearity, and back."""

    def __init__(self, n_embd, dropout):
        super().__init__()
        wide = nn.Linear(n_embd, 4 * n_embd)
        back = nn.Linear(4 * n_embd, n_embd)
        self.net = nn.Sequential(wide, nn.ReLU(), back, nn.Dropout(dropout))

    def forward(self, x):
        return self.net(x)  # (B, T, C)


class Block(nn.Module):
    """Listen, then think; each adds its part to the stream that goes from the embeddings to the logits."""

    def __init__(self, n_embd, n_head, block_size, dropout):
        super().__init__()
        self.attention = MultiHeadAttention(n_embd, n_head, block_size, dropout)
        self.feed_forward = FeedForward(n_embd, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))  # (B, T, C)
        return x + self.feed_forward(self.norm2(x))  # (B, T, C)


class GPT(nn.Module):
    """Ids (B, T) -> embeddings (B, T, C) -> blocks -> logits (B, T, vocab_size)."""

    def __init__(self, vocab_size, block_size, n_embd, n_head, n_layer, dropout):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, n_embd)
        self.positions = nn.Embedding(block_size, n_embd)
        self.blocks = nn.Sequential(*[Block(n_embd, n_head, block_size, dropout) for _ in range(n_layer)])
        self.norm = nn.LayerNorm(n_embd)
        self.logits = nn.Linear(n_embd, vocab_size)
        self.apply(self.init_weights)

    def init_weights(self, module):
        """Small normal weights: the first loss is then that of an even guess, ln 65, and no step is spent on it."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, idx):
        positions = torch.arange(idx.shape[1], device=idx.device)  # (T,)
        x = self.tokens(idx) + self.positions(positions)  # (B, T, C)
        return self.logits(self.norm(self.blocks(x)))


if __name__ == "__main__":
    args = options(__doc__, "n_embd n_head n_layer dropout", large=LARGE, **LAPTOP)
    torch.manual_seed(args.seed)
    data = common.Data(args)
    model = GPT(data.vocab_size, args.block_size, args.n_embd, args.n_head, args.n_layer, args.dropout)
    common.train(model, data, args, expected=1.48 if args.large else 1.77)
