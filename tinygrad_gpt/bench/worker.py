"""One side of a benchmark: `python -m tinygrad_gpt.bench.worker ENGINE SETTINGS`.

Reads numbers of steps from standard input, a line each; runs them; answers each with a line of JSON. Both
engines get the same batches and do the same work: forward, backward, clipping, AdamW.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.data import get_batch
from tinygrad_gpt.memory import keep_freed_memory

VOCAB_SIZE = 65  # Tiny Shakespeare's


def our_step(config: TrainConfig) -> Callable[[np.ndarray, np.ndarray], float]:
    """A training step of this engine: token ids x, y (B, T) -> loss."""
    import nn
    import tensor
    from tinygrad_gpt.model import GPT

    tensor.manual_seed(config.seed)
    model = GPT(config.model_config(VOCAB_SIZE)).to(config.device, getattr(tensor, config.dtype))
    optimizer = model.configure_optimizers(config.weight_decay, config.learning_rate, (config.beta1, config.beta2))

    def step(x, y):
        _, loss = model(tensor.from_numpy(x).to(config.device), tensor.from_numpy(y).to(config.device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        return loss.item()

    return step


def torch_step(config: TrainConfig) -> Callable[[np.ndarray, np.ndarray], float]:
    """The same training step in PyTorch."""
    import torch

    from tinygrad_gpt.bench.torch_gpt import TorchGPT

    torch.manual_seed(config.seed)
    model = TorchGPT(config.model_config(VOCAB_SIZE)).to(config.device, getattr(torch, config.dtype))
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2))

    def step(x, y):
        _, loss = model(torch.from_numpy(x).to(config.device), torch.from_numpy(y).to(config.device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    keep_freed_memory()  # for both engines
    engine, settings = sys.argv[1:]
    config = TrainConfig(**json.loads(settings))
    step = {"ours": our_step, "torch": torch_step}[engine](config)
    generator = np.random.default_rng(config.seed)
    tokens = generator.integers(VOCAB_SIZE, size=100_000).astype(np.uint16)
    loss = float("nan")
    for line in sys.stdin:
        iters = int(line)
        start = time.perf_counter()
        for _ in range(iters):
            loss = step(*get_batch(tokens, config.batch_size, config.block_size, generator))
        milliseconds = (time.perf_counter() - start) / iters * 1e3
        print(json.dumps({"ms": milliseconds, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
