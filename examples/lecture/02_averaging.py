"""Step 2: how a position can look back. The mean of all positions up to it, in four forms that agree.

    python examples/lecture/02_averaging.py

A bigram model hears the last character only. The least that a position can do to hear the others is to take the mean
of them. Self-attention is that mean with weights of its own, and it takes three rewritings to see it.
"""

import math

import tensor as torch
from nn import functional as F

B, T, C = 4, 8, 2  # sequences, positions, channels

torch.manual_seed(1337)
x = torch.randn(B, T, C)

# 1. Loops: what is meant
loops = torch.zeros(B, T, C)
for b in range(B):
    for t in range(T):
        loops[b, t] = x[b, : t + 1].mean(0)  # (t + 1, C) -> (C,)

# 2. A matrix product: row t of the triangle has t + 1 ones, each divided by t + 1
triangle = torch.tril(torch.ones(T, T))
weights = triangle / triangle.sum(1, keepdim=True)  # (T, T), rows sum to 1
product = weights @ x  # (T, T) @ (B, T, C) -> (B, T, C)

# 3. Softmax of a mask: equal scores make equal weights, and e^(−∞) = 0 leaves out what is still to come
scores = torch.zeros(T, T).masked_fill(triangle == 0, -math.inf)
masked = F.softmax(scores, dim=-1) @ x  # (B, T, C)

# 4. Self-attention: the scores are no longer zeros but come from the positions themselves. What a position looks for
# is its query, what it has to offer its key; where they are alike, their product is large and so is the weight.
W_query, W_key = torch.zeros(C, C), torch.randn(C, C)


def self_attention(x, W_query, W_key):
    queries, keys = x @ W_query, x @ W_key  # (B, T, C) each
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(C)  # (B, T, T): now each sequence has weights of its own
    return F.softmax(scores.masked_fill(triangle == 0, -math.inf), dim=-1)


attention = self_attention(x, W_query, W_key) @ x  # a query of zeros finds all keys alike: the mean again

for name, form in {"matrix product": product, "masked softmax": masked, "self-attention": attention}.items():
    difference = (form - loops).abs().max().item()
    print(f"{name}: largest difference from the loops {difference:.0e}")
    assert torch.allclose(form, loops, atol=1e-6)

print("weights of the mean, which are the same for every sequence:")
print(weights.round(decimals=2))
print("weights of self-attention in the first sequence, once the queries are not zeros:")
print(self_attention(x, torch.randn(C, C), W_key)[0].round(decimals=2))
