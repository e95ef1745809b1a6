"""What the steps of the lecture share, so that each script is its model alone: options, text, training, sampling.

A model here is a Module that maps token ids (B, T) to logits (B, T, vocab_size), the scores of what comes next.
"""

import argparse
import time

import nn
import tensor as torch
from nn import functional as F
from nn import optim
from tinygrad_gpt.corpus import find_corpus
from tinygrad_gpt.errors import InputError

OPTIONAL = ("n_embd", "n_head", "n_layer", "dropout", "seeds")  # those that not every step has
OPTIONS = {  # the lecture's values, and what they mean
    "batch_size": (32, "sequences side by side"),
    "block_size": (8, "positions in a sequence: how far a model can look back"),
    "n_embd": (32, "channels of each position"),
    "n_head": (4, "attention heads"),
    "n_layer": (3, "blocks"),
    "dropout": (0.0, "probability that an activation is dropped in training"),
    "learning_rate": (1e-3, "step size of AdamW"),
    "max_iters": (5000, "training steps"),
    "eval_interval": (500, "steps between two estimates of the losses"),
    "eval_iters": (200, "batches in an estimate"),
    "sample_tokens": (300, "characters to write at the end"),
    "seeds": (2, "trainings, each with a seed of its own"),
    "seed": (1337, "seed of weights, batches, dropout and sample"),
    "device": ("cpu", "cpu or cuda"),
    "input": ("", "text to learn; Tiny Shakespeare if empty"),
}


def options(description: str, used: str = "", large: dict | None = None, **defaults) -> argparse.Namespace:
    """The command line's settings.

    used: which of OPTIONAL the step has.
    large: the defaults that `--large` brings instead of `defaults`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (lecture, meaning) in OPTIONS.items():
        if name in used.split() or name not in OPTIONAL:
            default = defaults.get(name, lecture)
            parser.add_argument(f"--{name}", type=type(lecture), default=default, help=f"{meaning} [{default}]")
    if large is None:
        return parser.parse_args()
    parser.add_argument("--large", action="store_true", help=f"instead of these: {large}")
    if parser.parse_args().large:
        parser.set_defaults(**large)
    return parser.parse_args()


class Data:
    """A text as token ids, one a character: the first 90 % to learn, the rest to validate."""

    def __init__(self, args: argparse.Namespace):
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


def train(model: nn.Module, data: Data, args: argparse.Namespace, expected: float | None = None) -> float:
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
