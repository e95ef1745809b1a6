"""The loss of a model on text that it is not being trained on at that moment."""

import numpy as np

import tensor
from tinygrad_gpt.data import get_batch
from tinygrad_gpt.model import GPT

WHOLE_SPLIT_ROWS = 64  # blocks in one batch of `split_loss`


def batch_loss(model: GPT, x: np.ndarray, y: np.ndarray) -> tensor.Tensor:
    """Mean cross-entropy () of the model on token ids x, y (B, T), on the model's own device."""
    device = model.lm_head.weight.device
    _, loss = model(tensor.from_numpy(x).to(device), tensor.from_numpy(y).to(device))
    return loss


def estimate_loss(
    model: GPT, tokens: np.ndarray, *, batch_size: int, block_size: int, eval_iters: int, seed: int
) -> float:
    """Mean loss, in nats a token, over `eval_iters` random batches: the same ones in each call.

    The batches come from a generator of their own, so that validating never changes what is trained on, and
    losses along a run differ by the model alone.
    """
    generator = np.random.default_rng([seed, 1])  # another stream than the training batches'
    batches = (get_batch(tokens, batch_size, block_size, generator) for _ in range(eval_iters))
    return _mean_loss(model, batches)


def split_loss(model: GPT, tokens: np.ndarray) -> float:
    """Mean loss, in nats a token, over every token of the split but its first.

    The split is cut into blocks side by side, so a token early in its block sees little before it.
    """
    T = model.config.block_size
    rows = (len(tokens) - 1) // T
    x = tokens[: rows * T].astype(np.int64).reshape(rows, T)
    y = tokens[1 : rows * T + 1].astype(np.int64).reshape(rows, T)
    batches = [(x[i : i + WHOLE_SPLIT_ROWS], y[i : i + WHOLE_SPLIT_ROWS]) for i in range(0, rows, WHOLE_SPLIT_ROWS)]
    rest = tokens[rows * T :].astype(np.int64)[None, :]  # (1, 1 … T): what no whole block covers
    if rest.shape[1] > 1:
        batches.append((rest[:, :-1], rest[:, 1:]))
    return _mean_loss(model, batches)


@tensor.no_grad()
def _mean_loss(model: GPT, batches) -> float:
    """Mean over all tokens of all batches, without dropout; the model is left in the mode it came in."""
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    for x, y in batches:
        total += batch_loss(model, x, y).item() * y.size
        count += y.size
    model.train(was_training)
    return total / count
