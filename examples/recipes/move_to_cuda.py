"""Move a training to the GPU: what has to move, what comes back, and that the numbers stay the same.

    pip install -e ".[cuda12]"                  # CuPy; cuda13 for CUDA 13
    python examples/recipes/move_to_cuda.py     # without a GPU it says why, and runs on the CPU alone

Two things lie on a device: the model's parameters and buffers, and the Tensors that it is given. An operation runs
where its inputs are; inputs on two devices are an error, never a hidden copy. The three numbered lines are all that
moves.

For the application it is one option: tinygrad-gpt train shakespeare-char --device=cuda
"""

import argparse
import time
from pathlib import Path

import nn
import tensor
from tinygrad_gpt.model import GPT, GPTConfig

TEXT = tensor.tensor(list(Path(__file__).read_bytes()))  # what is learned here is this file, byte by byte
FIRST = 3  # steps that are not timed: the first ones compile kernels


def train(device: str, config: GPTConfig, steps: int, batch_size: int) -> list[float]:
    """Train a GPT on `device`; returns the loss of each step."""
    tensor.manual_seed(1337)  # random numbers do not depend on the device: the same weights, the same batches
    model = GPT(config).to(device)  # 1. in place, and before the optimizer, so that its state lies there as well
    optimizer = model.configure_optimizers(weight_decay=0.1, learning_rate=1e-3, betas=(0.9, 0.99))
    losses = []
    for step in range(steps + FIRST):
        if step == FIRST:
            start = clock(device)
        starts = tensor.randint(len(TEXT) - config.block_size, (batch_size, 1))
        positions = starts + tensor.arange(config.block_size + 1)  # (B, T + 1)
        text = TEXT[positions].to(device)  # 2. each batch
        _, loss = model(text[:, :-1], text[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())  # not loss.item(): Python would wait here until the GPU has caught up
    milliseconds = 1000 * (clock(device) - start) / steps
    numbers = tensor.stack(losses).cpu().tolist()  # 3. back again, once
    where = tensor.cuda.get_device_name() if device == "cuda" else "this processor"
    print(f"{device} ({where}): loss {numbers[0]:.4f} -> {numbers[-1]:.4f}, {milliseconds:.1f} ms a step")
    return numbers


def clock(device: str) -> float:
    """Seconds. The GPU works on while Python is already further on, so a stopwatch has to wait for it."""
    if device == "cuda":
        tensor.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64, "batch_size": 12, "steps": 20}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"[{default}]")
    args = vars(parser.parse_args())
    steps, batch_size = args.pop("steps"), args.pop("batch_size")
    config = GPTConfig(vocab_size=256, **args)

    on_cpu = train("cpu", config, steps, batch_size)
    try:
        tensor.zeros(1).to("cuda")
    except RuntimeError as reason:
        print(f"No GPU: {reason}")
        return
    on_gpu = train("cuda", config, steps, batch_size)
    apart = max(abs(ours - theirs) for ours, theirs in zip(on_gpu, on_cpu, strict=True))
    print(f"largest difference between two losses of the same step: {apart:.1e}")


if __name__ == "__main__":
    main()
