"""A character-level MLP over names with raw tensors: embeddings, batch-norm by hand, and gradient descent by hand."""

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(42)  # weights and batches: NumPy's, so that they do not hang on the framework
words = "emma olivia ava isabella sophia charlotte mia amelia harper evelyn abigail emily ella lily grace".split()
chars = sorted(set("".join(words)))
stoi = {s: i + 1 for i, s in enumerate(chars)}
stoi["."] = 0
itos = {i: s for s, i in stoi.items()}
vocab_size = len(itos)
block_size = 3


def build_dataset(words):
    X, Y = [], []
    for w in words:
        context = [0] * block_size
        for ch in w + ".":
            ix = stoi[ch]
            X.append(context)
            Y.append(ix)
            context = context[1:] + [ix]
    return torch.tensor(X), torch.tensor(Y)


Xtr, Ytr = build_dataset(words)

n_embd, n_hidden = 6, 32
normal = lambda *shape: torch.tensor(rng.standard_normal(shape)).float()
C = normal(vocab_size, n_embd)
W1 = normal(n_embd * block_size, n_hidden) * (5 / 3) / ((n_embd * block_size) ** 0.5)
W2 = normal(n_hidden, vocab_size) * 0.01
b2 = torch.zeros(vocab_size)
bngain = torch.ones((1, n_hidden))
bnbias = torch.zeros((1, n_hidden))
bnmean_running = torch.zeros((1, n_hidden))
bnstd_running = torch.ones((1, n_hidden))
parameters = [C, W1, W2, b2, bngain, bnbias]
for p in parameters:
    p.requires_grad = True

losses, update_ratios = [], []
for i in range(60):
    # minibatch
    ix = torch.from_numpy(rng.integers(0, Xtr.shape[0], (16,)))
    Xb, Yb = Xtr[ix], Ytr[ix]

    # forward
    emb = C[Xb]  # (B, 3, n_embd)
    embcat = emb.view(emb.shape[0], -1)
    hpreact = embcat @ W1
    bnmeani = hpreact.mean(0, keepdim=True)
    bnstdi = hpreact.std(0, keepdim=True)
    hpreact = bngain * (hpreact - bnmeani) / bnstdi + bnbias
    with torch.no_grad():
        bnmean_running = 0.9 * bnmean_running + 0.1 * bnmeani
        bnstd_running = 0.9 * bnstd_running + 0.1 * bnstdi
    h = torch.tanh(hpreact)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Yb)

    # backward
    for p in parameters:
        p.grad = None
    loss.backward()

    # update
    lr = 0.1 if i < 40 else 0.01
    for p in parameters:
        p.data += -lr * p.grad
    losses.append(loss.log10().item())
    with torch.no_grad():
        update_ratios.append([((lr * p.grad).std() / p.data.std()).log10().item() for p in (C, W1, W2)])


@torch.no_grad()
def split_loss(x, y):
    emb = C[x]
    embcat = emb.view(emb.shape[0], -1)
    hpreact = bngain * (embcat @ W1 - bnmean_running) / bnstd_running + bnbias
    logits = torch.tanh(hpreact) @ W2 + b2
    return F.cross_entropy(logits, y).item()


losses.append(split_loss(Xtr, Ytr))
losses += [ratio for step in update_ratios for ratio in step]

# sample
g = torch.Generator().manual_seed(2147483647 + 10)
out, context = [], [0] * block_size
for _ in range(20):
    emb = C[torch.tensor([context])]
    h = torch.tanh(bngain * (emb.view(1, -1) @ W1 - bnmean_running) / bnstd_running + bnbias)
    probs = F.softmax(h @ W2 + b2, dim=1)
    ix = torch.multinomial(probs, num_samples=1, generator=g).item()
    context = context[1:] + [ix]
    out.append(ix)
sample = "".join(itos[i] for i in out)

# the same loss and gradients by hand, the way a lecture on backpropagation does it
logits = torch.tensor(rng.standard_normal((5, vocab_size)), requires_grad=True)
target = torch.tensor([0, 3, 2, 2, 1])
logit_maxes = logits.max(1, keepdim=True).values
norm_logits = logits - logit_maxes
counts = norm_logits.exp()
counts_sum = counts.sum(1, keepdims=True)
counts_sum_inv = counts_sum**-1
probs = counts * counts_sum_inv
logprobs = probs.log()
by_hand = -logprobs[range(5), target].mean()
for t in (logprobs, probs, counts, counts_sum, counts_sum_inv, norm_logits, logit_maxes):
    t.retain_grad()
by_hand.backward()
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(5), target] = -1.0 / 5
assert torch.all(dlogprobs == logprobs.grad).item()
assert torch.allclose((1.0 / probs) * dlogprobs, probs.grad)
dlogits = F.softmax(logits, 1).detach()
dlogits[range(5), target] -= 1
assert torch.allclose(dlogits / 5, logits.grad)
losses.append(by_hand.item())
print(f"loss {losses[0]:.4f}, sampled {sample}")
