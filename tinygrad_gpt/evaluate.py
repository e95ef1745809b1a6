"""The loss of a model on text that it is not being trained on at that moment, in nats a token."""

from collections.abc import Iterable, Iterator

import numpy as np

import tensor
from tinygrad_gpt.data import get_batch
from tinygrad_gpt.distributed import ALONE, World
from tinygrad_gpt.model import GPT

ROWS = 64  # most windows in one batch
LOGITS = 1 << 26  # and most logits: 256 MiB in float32

Batch = tuple[np.ndarray, np.ndarray]  # token ids x and targets y, both (B, T), int64; a target of -1 does not count


def batch_loss(model: GPT, x: np.ndarray, y: np.ndarray) -> tensor.Tensor:
    """Mean cross-entropy () of the model on token ids x, y (B, T), on the model's own device."""
    device = model.lm_head.weight.device
    _, loss = model(tensor.from_numpy(x).to(device), tensor.from_numpy(y).to(device))
    return loss


def estimate_loss(
    model: GPT,
    tokens: np.ndarray,
    *,
    batch_size: int,
    block_size: int,
    eval_iters: int,
    seed: int,
    world: World = ALONE,
) -> float:
    """Mean loss, in nats a token, over `eval_iters` random batches: the same ones in each call.

    The batches come from a generator of their own, so that validating never changes what is trained on, and
    losses along a run differ by the model alone.
    """
    generator = np.random.default_rng([seed, 1])  # another stream than the training batches'
    batches = (get_batch(tokens, batch_size, block_size, generator) for _ in range(eval_iters))
    return mean_loss(model, batches, world)


def split_loss(model: GPT, tokens: np.ndarray, world: World = ALONE) -> float:
    """Mean loss, in nats a token, over every token of the split but its first.

    The split is cut into blocks side by side, so a token early in its block sees little before it.
    """
    return mean_loss(model, sliding_windows(model, tokens, model.config.block_size), world)


def sliding_windows(model: GPT, tokens: np.ndarray, stride: int) -> "SlidingWindows":
    """The batches on which `mean_loss` is the model's loss on the whole text, as large as memory allows."""
    config = model.config
    rows = min(ROWS, max(1, LOGITS // (config.block_size * config.vocab_size)))
    return SlidingWindows(tokens, config.block_size, stride, rows)


class SlidingWindows:
    """Batches of windows over N tokens that score every token but the first exactly once.

    A window is what the model can see, block_size tokens, and begins `stride` tokens after the one before. It
    scores only what the one before did not reach, its last `stride` tokens; what precedes them is their context.
    So each token, but for those of the first window, is predicted from at least block_size - stride tokens before it:

        stride = block_size    windows side by side: fastest, but the first token of each is predicted from one token
        stride = 1             every token from a whole window, one pass each

    The last window may be shorter. (Press et al. 2021, "Shortformer", arXiv:2012.15832; transformers' documentation
    computes perplexity in this way.) The number of batches is the length.
    """

    def __init__(self, tokens: np.ndarray, block_size: int, stride: int, rows: int):
        if not 1 <= stride <= block_size:
            raise ValueError(f"stride must be in 1 … block_size ({block_size}), got {stride}")
        if len(tokens) < 2:
            raise ValueError(f"there is nothing to predict: it takes at least 2 tokens, got {len(tokens)}")
        self.tokens, self.block_size, self.stride, self.rows = tokens, block_size, stride, rows
        self.targets = len(tokens) - 1
        self.whole = max(0, (self.targets - block_size) // stride + 1)  # windows of full length
        self.rest = self.whole == 0 or (self.whole - 1) * stride + block_size < self.targets  # is there a shorter one?

    def __len__(self) -> int:
        return -(-self.whole // self.rows) + self.rest

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, self.whole, self.rows):
            windows = np.arange(first, min(first + self.rows, self.whole))
            yield self._batch(windows * self.stride, self.block_size)
        if self.rest:
            start = self.whole * self.stride
            yield self._batch(np.array([start]), self.targets - start)

    def _batch(self, starts: np.ndarray, length: int) -> Batch:
        """x and y (B, length) of the windows at `starts` (B,), where y is -1 for what another window scores."""
        blocks = self.tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64)  # (B, length + 1)
        x, y = blocks[:, :-1], blocks[:, 1:]
        known = np.where(starts == 0, 0, self.block_size - self.stride)  # (B,) what the window before has scored
        return x, np.where(np.arange(length) < known[:, None], -1, y)


@tensor.no_grad()
def mean_loss(model: GPT, batches: Iterable[Batch], world: World = ALONE) -> float:
    """Mean over all tokens that count, in nats, without dropout; the model is left in the mode it came in.

    Several processes take turns at the batches. The losses are added in the order of the batches, whoever had
    them: the mean is that of one process to the last bit.
    """
    was_training = model.training
    model.eval()
    losses, count = [], 0  # of each batch, the sum over its tokens; 0 for the batches of other processes
    for index, (x, y) in enumerate(batches):
        scored = int((y >= 0).sum())
        mine = index % world.size == world.rank
        losses.append(batch_loss(model, x, y).item() * scored if mine else 0.0)
        count += scored
    model.train(was_training)
    return sum(world.sum(losses).tolist()) / count
