"""What the steps share, so that each script is its model alone: a text in batches, the loss, the training, and writing.

In the lecture this is the first half of step 1. A model here is a Module that maps token ids (B, T) to logits
(B, T, vocab_size), the scores of what comes next.
"""

import time
from argparse import Namespace

import nn
import tensor as torch
from nn import functional as F
from nn import optim
from tinygrad_gpt.corpus import find_corpus
from tinygrad_gpt.errors import InputError


class Data:
    """A text as token ids, one a character: the first 90 % to learn, the rest to validate."""

    def __init__(self, args: Namespace):
        try:
            corpus = find_corpus(args.input or None)
        except InputError as error:
            raise SystemExit(str(error)) from None
        print(corpus.source)
        self.characters = sorted(set(corpus.text))
        self.vocab_size = len(self.characters)
        number = {character: i for i, character in enumerate(self.characters)}
        ids = torch.tensor([number[character] for character in corpus.text], device=args.device)
        cut = int(0.9 * len(ids))
        self.splits = {"train": ids[:cut], "val": ids[cut:]}
        self.batch_size, self.block_size, self.device = args.batch_size, args.block_size, args.device
        if min(len(split) for split in self.splits.values()) <= self.block_size:
            raise SystemExit(f"{len(ids)} characters are too few for a block of {self.block_size}: use a longer text.")

    def get_batch(self, split: str):
        """Random pieces x (B, T) of a split, and y (B, T), where y[b, t] is what follows x[b, t]."""
        ids = self.splits[split]
        starts = torch.randint(len(ids) - self.block_size, (self.batch_size, 1), device=self.device)
        positions = starts + torch.arange(self.block_size, device=self.device)  # (B, T)
        return ids[positions], ids[positions + 1]

    def decode(self, ids) -> str:
        return "".join(self.characters[i] for i in ids.tolist())


def loss_of(model: nn.Module, x, y):
    """The mean of −ln p(what really comes next): ln 65 = 4.17 for one who knows nothing about 65 characters."""
    logits = model(x)  # (B, T, vocab_size)
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


@torch.no_grad()
def estimate_loss(model: nn.Module, data: Data, eval_iters: int) -> dict[str, float]:
    """The loss of each split, without dropout, as a mean of many batches: that of one batch is noisy."""
    model.eval()
    losses = {}
    for split in data.splits:
        batches = [loss_of(model, *data.get_batch(split)).item() for _ in range(eval_iters)]
        losses[split] = sum(batches) / len(batches)
    model.train()
    return losses


def train(model: nn.Module, data: Data, args: Namespace, expected: float | None = None) -> float:
    """Train, print how it goes, and write some text; returns the last estimate of the validation loss.

    expected: the validation loss that the default settings reach.
    """
    model.to(args.device)
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
    optimizer = optim.AdamW(model.parameters(), lr=args.learning_rate)
    start = time.perf_counter()
    for step in range(args.max_iters + 1):
        if step % args.eval_interval == 0 or step == args.max_iters:
            losses = estimate_loss(model, data, args.eval_iters)
            seconds = time.perf_counter() - start
            print(f"step {step:5d}: train {losses['train']:.4f}, validation {losses['val']:.4f}, {seconds:.0f} s")
        if step < args.max_iters:
            loss = loss_of(model, *data.get_batch("train"))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if expected is not None:
        print(f"validation loss {losses['val']:.2f}; expected: about {expected:.2f} with the default settings")
    if args.sample_tokens:
        print(data.decode(generate(model, args.sample_tokens, args.block_size, args.device)))
    return losses["val"]


@torch.no_grad()
def generate(model: nn.Module, count: int, block_size: int, device: str = "cpu"):
    """`count` token ids, drawn one after the other from what the model makes of the block_size before; starts at 0."""
    model.eval()
    idx = torch.zeros((1, 1), dtype=torch.long, device=device)
    for _ in range(count):
        logits = model(idx[:, -block_size:])[:, -1]  # (1, vocab_size)
        idx_next = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)  # (1, 1)
        idx = torch.cat((idx, idx_next), dim=1)
    return idx[0, 1:]
