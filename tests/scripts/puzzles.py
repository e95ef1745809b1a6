"""Tensor puzzles: library functions made from broadcasting, arange, where, comparison and indexing alone."""

import torch

where, arange = torch.where, torch.arange


def ones(i):
    return where(arange(i) > -1, 1, 0)


def summed(a):
    return a @ ones(a.shape[0])


def outer(a, b):
    return a[:, None] * b[None, :]


def diag(a):
    return a[arange(a.shape[0]), arange(a.shape[0])]


def eye(j):
    return where(arange(j)[:, None] == arange(j), 1, 0)


def triu(j):
    return where(arange(j)[:, None] <= arange(j), 1, 0)


def cumsum(a):
    return a @ triu(a.shape[0])


def diff(a, i):
    return where(arange(i) > 0, a - a[arange(i) - 1], a)


def vstack(a, b):
    return where((arange(2) == 0)[:, None], a, b)


def roll(a, i):
    return a[(arange(i) + 1) % i]


def flip(a, i):
    return a[i - 1 - arange(i)]


def compress(g, v, i):
    return where(g, v, 0) @ where(g[:, None], (cumsum(1 * g) - 1)[:, None] == arange(i), arange(i) < 0).long()


def pad_to(a, i, j):
    return a @ where(arange(i)[:, None] == arange(j), 1, 0)


def sequence_mask(values, length):
    return where(length[:, None] > arange(values.shape[1]), values, 0)


def bincount(a, j):
    return ones(a.shape[0]) @ eye(j)[a]


def scatter_add(values, link, j):
    return values @ eye(j)[link]


def flatten(a, i, j):
    return a[arange(i * j) // j, arange(i * j) % j]


def linspace(i, j, n):
    return i + (j - i) * arange(n) / max(1, n - 1)


def heaviside(a, b):
    return where(a == 0, b, (a > 0).long())


def repeat(a, d):
    return ones(d)[:, None] * a


def bucketize(v, boundaries):
    return (v[:, None] >= boundaries).long() @ ones(boundaries.shape[0])


def causal_attention_mask(t):
    return where(arange(t)[:, None] >= arange(t), 0.0, float("-inf"))


a = torch.tensor([3, 1, 4, 1, 5])
b = torch.tensor([2, 7, 1, 8, 2])
m = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
g = torch.tensor([True, False, True, True, False])

answers = {
    "ones": (ones(4), torch.ones(4, dtype=torch.long)),
    "sum": (summed(a), a.sum()),
    "outer": (outer(a, b), torch.outer(a, b)),
    "diag": (diag(m), torch.diag(m)),
    "eye": (eye(4), torch.eye(4).long()),
    "triu": (triu(4), torch.triu(torch.ones(4, 4)).long()),
    "cumsum": (cumsum(a), torch.cumsum(a, 0)),
    "diff": (diff(a, 5), torch.cat([a[:1], a[1:] - a[:-1]])),
    "vstack": (vstack(a, b), torch.vstack((a, b))),
    "roll": (roll(a, 5), torch.roll(a, -1, 0)),
    "flip": (flip(a, 5), torch.flip(a, (0,))),
    "compress": (compress(g, a, 5), torch.cat([a[g], torch.zeros(2, dtype=torch.long)])),
    "pad_to": (pad_to(a, 5, 7), torch.cat([a, torch.zeros(2, dtype=torch.long)])),
    "sequence_mask": (sequence_mask(m, torch.tensor([1, 3, 2])), torch.tensor([[1, 0, 0], [4, 5, 6], [7, 8, 0]])),
    "bincount": (bincount(a, 6), torch.bincount(a, minlength=6)),
    "scatter_add": (scatter_add(a, torch.tensor([0, 0, 1, 2, 2]), 3), torch.tensor([4, 4, 6])),
    "flatten": (flatten(m, 3, 3), m.flatten()),
    "linspace": (linspace(torch.tensor([0.0]), torch.tensor([1.0]), 5), torch.linspace(0, 1, 5)),
    "heaviside": (heaviside(torch.tensor([-1, 0, 2]), torch.tensor([5, 6, 7])), torch.tensor([0, 6, 1])),
    "repeat": (repeat(a, 3), a.repeat(3, 1)),
    "bucketize": (bucketize(a, torch.tensor([2, 4])), torch.bucketize(a, torch.tensor([2, 4]), right=True)),
}
for name, (found, expected) in answers.items():
    assert found.shape == expected.shape, name
    assert (found == expected).all(), name
    assert found.dtype == expected.dtype, name
attention = torch.softmax(causal_attention_mask(4), -1)
losses = [x for found, _ in answers.values() for x in found.flatten().tolist()] + attention.flatten().tolist()
sample = ""
print(f"{len(answers)} puzzles solved")
