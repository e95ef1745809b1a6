"""One head of causal self-attention, with every gradient derived by hand and compared with autograd's.

    python examples/backprop_through_attention.py

Read it beside the derivation: for Y = A B, dA = dY Bᵀ and dB = Aᵀ dY; for a row of y = softmax(s),
ds = y ⊙ (dy − Σ dy ⊙ y); what a mask sets to −∞ gets no gradient, since its y is 0.
"""

import math

import tensor
from nn import functional as F

B, T, C = 2, 5, 8  # sequences, positions, channels

tensor.manual_seed(1337)
x = tensor.randn(B, T, C, dtype=tensor.float64)
Wq, Wk, Wv = (tensor.randn(C, C, dtype=tensor.float64, requires_grad=True) for _ in range(3))
causal = tensor.tril(tensor.ones(T, T)) == 0  # True where a position would look ahead

# Forward: each position asks (q), offers (k) and hands over (v)
q, k, v = x @ Wq, x @ Wk, x @ Wv  # (B, T, C) each
scores = (q @ k.transpose(-2, -1)) / math.sqrt(C)  # (B, T, T)
att = F.softmax(scores.masked_fill(causal, -math.inf), dim=-1)  # (B, T, T), rows sum to 1
y = att @ v  # (B, T, C)
loss = (y * y).mean()
loss.backward()

# Backward by hand, from the loss to the weights, line by line in reverse
with tensor.no_grad():
    dy = 2 * y / y.numel()  # (B, T, C)
    datt = dy @ v.transpose(-2, -1)  # (B, T, T)
    dv = att.transpose(-2, -1) @ dy  # (B, T, C)
    dscores = att * (datt - (datt * att).sum(-1, keepdim=True)) / math.sqrt(C)  # (B, T, T)
    dq = dscores @ k  # (B, T, C)
    dk = dscores.transpose(-2, -1) @ q  # (B, T, C)
    by_hand = {}
    for name, d in {"Wq": dq, "Wk": dk, "Wv": dv}.items():
        by_hand[name] = (x.transpose(-2, -1) @ d).sum(0)  # (C, C), summed over the batch

print("attention of the first sequence (row = position, column = what it looks at):")
print(att[0].detach())
for name, weight in {"Wq": Wq, "Wk": Wk, "Wv": Wv}.items():
    difference = (weight.grad - by_hand[name]).abs().max().item()
    print(f"d{name}: largest difference between autograd and the derivation: {difference:.1e}")
    assert difference < 1e-12
