"""A bigram model: the next character is guessed from the current one alone, by a table of logits."""

import numpy as np
import torch
import torch.nn as nn
from torch.nn import functional as F

torch.manual_seed(7)
rng = np.random.default_rng(7)  # weights and batches: NumPy's, so that they do not hang on the framework

text = "she sells sea shells by the sea shore; the shells she sells are sea shells, for sure. " * 10
alphabet = sorted(set(text))
code = {letter: number for number, letter in enumerate(alphabet)}
data = torch.tensor([code[letter] for letter in text], dtype=torch.long)
batch_size, context = 8, 16


def get_batch():
    starts = torch.tensor(rng.integers(0, len(data) - context, batch_size))
    positions = starts.unsqueeze(1) + torch.arange(context)  # (B, T)
    return data[positions], data[positions + 1]


class Bigram(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.logits = nn.Embedding(size, size)  # row i: the logits of what follows character i

    def forward(self, x, targets=None):
        logits = self.logits(x)  # (B, T, V)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))

    def continue_text(self, x, count):
        while count > 0:
            logits = self(x)[0][:, -1]  # (B, V)
            following = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)  # (B, 1)
            x = torch.cat((x, following), dim=1)
            count -= 1
        return x


model = Bigram(len(alphabet))
with torch.no_grad():
    for weight in model.parameters():
        weight.copy_(torch.from_numpy(rng.standard_normal(tuple(weight.shape))))

optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
losses = []
while len(losses) < 100:
    x, y = get_batch()
    _, loss = model(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

written = model.continue_text(torch.zeros((1, 1), dtype=torch.long), count=40)[0]
sample = "".join(alphabet[number] for number in written.tolist())
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}: {sample}")
