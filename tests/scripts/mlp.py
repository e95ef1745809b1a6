"""A character-level MLP of raw tensors: batch-norm and gradient descent by hand, then backprop by hand."""

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(42)  # weights and batches: NumPy's, so that they do not hang on the framework
towns = ["lisbon", "prague", "vienna", "athens", "dublin", "berlin", "madrid", "warsaw", "riga", "tallinn", "oslo"]
alphabet = [".", *sorted(set("".join(towns)))]
code = {letter: number for number, letter in enumerate(alphabet)}
size, context, embedded, hidden = len(alphabet), 3, 6, 32

X, Y = [], []
for town in towns:
    window = [0] * context
    for letter in town + ".":
        X.append(window)
        Y.append(code[letter])
        window = [*window[1:], code[letter]]
X, Y = torch.tensor(X), torch.tensor(Y)


def normal(*shape):
    return torch.tensor(rng.standard_normal(shape), dtype=torch.get_default_dtype())


C = normal(size, embedded)
W1 = normal(embedded * context, hidden) * (5 / 3) / (embedded * context) ** 0.5
W2 = normal(hidden, size) * 0.01
b2 = torch.zeros(size)
gain, bias = torch.ones((1, hidden)), torch.zeros((1, hidden))
mean_running, std_running = torch.zeros((1, hidden)), torch.ones((1, hidden))
parameters = [C, W1, W2, b2, gain, bias]
for p in parameters:
    p.requires_grad = True

losses = []
for step in range(60):
    ix = torch.from_numpy(rng.integers(0, X.shape[0], (16,)))
    emb = C[X[ix]]  # (B, context, embedded)
    before = emb.view(emb.shape[0], -1) @ W1  # (B, hidden)
    mean, std = before.mean(0, keepdim=True), before.std(0, keepdim=True)
    h = torch.tanh(gain * (before - mean) / std + bias)
    loss = F.cross_entropy(h @ W2 + b2, Y[ix])
    with torch.no_grad():
        mean_running = 0.9 * mean_running + 0.1 * mean
        std_running = 0.9 * std_running + 0.1 * std

    for p in parameters:
        p.grad = None
    loss.backward()
    lr = 0.1 if step < 40 else 0.01
    for p in parameters:
        p.data += -lr * p.grad

    losses.append(loss.item())
    with torch.no_grad():  # how large the updates are beside the weights
        losses += [((lr * p.grad).std() / p.data.std()).log10().item() for p in (C, W1, W2)]


@torch.no_grad()
def logits_of(x):
    before = C[x].view(x.shape[0], -1) @ W1
    return torch.tanh(gain * (before - mean_running) / std_running + bias) @ W2 + b2


losses.append(F.cross_entropy(logits_of(X), Y).item())

generator = torch.Generator().manual_seed(2024)
window, sample = [0] * context, ""
for _ in range(20):
    probabilities = F.softmax(logits_of(torch.tensor([window])), dim=1)
    ix = torch.multinomial(probabilities, num_samples=1, replacement=True, generator=generator).item()
    window = [*window[1:], ix]
    sample += alphabet[ix]

# the gradient of a cross-entropy, step by step, against autograd's
logits = torch.tensor(rng.standard_normal((5, size)), requires_grad=True)
target = torch.tensor([0, 3, 2, 2, 1])
shifted = logits - logits.max(1, keepdim=True).values
counts = shifted.exp()
total = counts.sum(1, keepdims=True)
probs = counts * total**-1
logprobs = probs.log()
loss = -logprobs[range(5), target].mean()
for t in (logprobs, probs, counts, total, shifted):
    t.retain_grad()
loss.backward()

dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(5), target] = -1.0 / 5
dprobs = dlogprobs / probs
dtotal = (counts * dprobs).sum(1, keepdim=True) * -(total**-2)
dcounts = dprobs / total + dtotal
dlogits = F.softmax(logits, 1).detach()
dlogits[range(5), target] -= 1
for by_hand, by_autograd in [
    (dlogprobs, logprobs.grad),
    (dprobs, probs.grad),
    (dtotal, total.grad),
    (dcounts, counts.grad),
    (dcounts * counts, shifted.grad),
    (dlogits / 5, logits.grad),
]:
    assert torch.allclose(by_hand, by_autograd)
losses.append(loss.item())
print(f"loss {losses[0]:.4f}, sampled {sample}")
