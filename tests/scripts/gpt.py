"""A small GPT in one file, with every part written out: heads, feed-forward, blocks, training, evaluation, sampling."""

import math

import numpy as np
import torch
import torch.nn as nn
from torch.nn import functional as F

# what to build and how long to train it
context, width, heads, layers, dropout = 8, 16, 4, 2, 0.0
batch_size, steps, evaluate_every, evaluation_batches, lr = 4, 40, 20, 3, 3e-3
device = "cuda" if torch.cuda.is_available() else "cpu"

torch.manual_seed(11)
rng = np.random.default_rng(11)  # weights and batches: NumPy's, so that they do not hang on the framework

text = "It was the best of times, it was the worst of times, it was the age of wisdom, " * 12
alphabet = sorted(set(text))
code = {letter: number for number, letter in enumerate(alphabet)}
tokens = torch.tensor([code[letter] for letter in text], dtype=torch.long)
cut = int(0.9 * len(tokens))
parts = {"train": tokens[:cut], "val": tokens[cut:]}


def get_batch(part):
    source = parts[part]
    starts = rng.integers(0, len(source) - context, batch_size)
    x = torch.stack([source[s : s + context] for s in starts])
    y = torch.stack([source[s + 1 : s + context + 1] for s in starts])
    return x.to(device), y.to(device)


class Head(nn.Module):
    """Each position looks at itself and at those before it."""

    def __init__(self, size):
        super().__init__()
        self.query = nn.Linear(width, size, bias=False)
        self.key = nn.Linear(width, size, bias=False)
        self.value = nn.Linear(width, size, bias=False)
        self.drop = nn.Dropout(dropout)
        self.register_buffer("tril", torch.tril(torch.ones(context, context)))

    def forward(self, x):
        T = x.size(1)
        q, k, v = self.query(x), self.key(x), self.value(x)  # (B, T, hs) each
        scores = q @ k.transpose(-2, -1) / math.sqrt(k.size(-1))  # (B, T, T)
        scores = scores.masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        return self.drop(F.softmax(scores, dim=-1)) @ v  # (B, T, hs)


class MultiHeadAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(Head(width // heads) for _ in range(heads))
        self.mix = nn.Linear(width, width)

    def forward(self, x):
        return self.mix(torch.cat([head(x) for head in self.heads], dim=-1))


class FeedForward(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width), nn.Dropout(dropout))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before_attention, self.attention = nn.LayerNorm(width), MultiHeadAttention()
        self.before_feed, self.feed = nn.LayerNorm(width), FeedForward()

    def forward(self, x):
        x = x + self.attention(self.before_attention(x))
        return x + self.feed(self.before_feed(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.what = nn.Embedding(len(alphabet), width)
        self.where = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(alphabet))
        self.apply(self.init_weights)

    def init_weights(self, module):
        if isinstance(module, nn.Linear | nn.Embedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            torch.nn.init.zeros_(module.bias)

    def forward(self, x, targets=None):
        T = x.shape[1]
        h = self.what(x) + self.where(torch.arange(T, device=device))  # (B, T, C)
        logits = self.head(self.norm(self.blocks(h)))  # (B, T, V)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, len(alphabet)), targets.view(-1))

    @torch.no_grad()
    def write(self, x, count, temperature=0.9):
        for _ in range(count):
            logits, _ = self(x[:, -context:])
            following = torch.multinomial(F.softmax(logits[:, -1] / temperature, dim=-1), num_samples=1)
            x = torch.cat((x, following), dim=1)
        return x


model = GPT().to(device)
for weight in model.parameters():
    if weight.dim() == 2:
        weight.data = torch.tensor(rng.normal(0, 0.2, tuple(weight.shape)), dtype=weight.dtype, device=device)
print(sum(weight.numel() for weight in model.parameters()), "parameters")


@torch.no_grad()
def estimate_loss():
    model.eval()
    means = {}
    for part in parts:
        found = torch.zeros(evaluation_batches)
        for k in range(evaluation_batches):
            _, loss = model(*get_batch(part))
            found[k] = loss.item()
        means[part] = found.mean().item()
    model.train()
    return means


optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
losses = []
for step in range(steps):
    if step % evaluate_every == 0 or step == steps - 1:
        means = estimate_loss()
        losses.extend(means.values())
        print(f"step {step}: train {means['train']:.4f}, val {means['val']:.4f}")
    _, loss = model(*get_batch("train"))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

written = model.write(torch.zeros((1, 1), dtype=torch.long, device=device), count=30)[0]
sample = "".join(alphabet[number] for number in written.tolist())
print(sample)
