"""The lecture's first language model: the next character depends on the last one alone.

    python examples/bigram.py [TEXT_FILE]

The model is one table: row i holds the logits of what follows character i. Without a file it learns
from the words in this very file.
"""

import pathlib
import sys

import nn
import tensor
from nn import functional as F

text = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).read_text(encoding="utf-8")
chars = sorted(set(text))
index = {c: i for i, c in enumerate(chars)}
data = tensor.tensor([index[c] for c in text])


class Bigram(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)

    def forward(self, idx):
        return self.table(idx)  # (B, T) -> (B, T, vocab_size)


tensor.manual_seed(1337)
model = Bigram(len(chars))
optimizer = nn.optim.AdamW(model.parameters(), lr=1e-1)
for step in range(301):
    at = tensor.randint(len(data) - 1, (256,))
    logits = model(data[at])  # (256, vocab_size)
    loss = F.cross_entropy(logits, data[at + 1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3d}: loss {loss.item():.3f}")

with tensor.no_grad():
    idx = data[:1]
    for _ in range(200):
        probs = F.softmax(model(idx[-1:]), dim=-1)  # (1, vocab_size)
        idx = tensor.cat([idx, tensor.multinomial(probs, 1)[0]])
print("".join(chars[i] for i in idx.tolist()))
