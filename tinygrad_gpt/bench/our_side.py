"""This engine's side of a benchmark."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

import nn
import tensor
from nn import functional
from tensor import profiler
from tensor.devices import cupy_module
from tensor.kernels import kernels
from tensor.kernels.threads import THREADS
from tinygrad_gpt.bench.ops import Ops
from tinygrad_gpt.bench.settings import Work
from tinygrad_gpt.bench.task import WEIGHTS, Sampling, Task
from tinygrad_gpt.model import GPT

PROFILED_STEPS = 5
SCOPES = ("get_total_norm", "AdamW.step")  # of a step, beside forward and backward


def describe(device: str) -> dict[str, str | int]:
    """Which kernels run, and on which BLAS and whose threads, or on which GPU."""
    if device == "cuda":
        cupy = cupy_module()
        return {"kernels": "cuda", "cupy": cupy.__version__, "gpu": tensor.cuda.get_device_name()}
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name = kernels(np.zeros(1, np.float32)).__name__.rpartition(".")[2].removesuffix("_kernels")
    on_blas = False
    if name == "numba":
        from tensor.kernels.numba_threads import lent  # imports Numba

        on_blas = lent()
    return {
        "kernels": name,
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "threads": THREADS,
        "loops_on": "BLAS's threads" if on_blas else "Python's threads",
    }


def make_model(work: Work) -> GPT:
    tensor.manual_seed(work.seed)
    model = GPT(work.model)
    model.to(work.device, getattr(tensor, work.dtype))
    return model


class OurStep(Task):
    """A training step: forward, backward, AdamW on clipped gradients. The first weights are left for the other side."""

    cuda = tensor.cuda

    def __init__(self, work: Work):
        self.facts = describe(work.device)
        super().__init__(work)
        self.model = make_model(work)
        arrays = {name: p.detach().cpu().numpy() for name, p in self.model.named_parameters()}
        save_file(arrays, Path(work.weights) / WEIGHTS)
        self.optimizer = self.model.configure_optimizers(work.weight_decay, work.learning_rate, work.betas)
        self.loss: Any = None

    def iteration(self) -> None:
        work = self.work
        x, y = (tensor.from_numpy(ids).to(work.device) for ids in self.batch())
        _, loss = self.model(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        with profiler.record_function("get_total_norm"):
            norm = nn.utils.get_total_norm(p.grad for p in self.model.parameters() if p.grad is not None)
        with profiler.record_function("AdamW.step"):
            self.optimizer.step(grad_factor=nn.utils.clip_factor(norm, work.grad_clip or math.inf))
        self.loss = loss.detach()

    def last_loss(self) -> float:
        return self.loss.item()

    def shares(self) -> dict:
        """Of a step, the milliseconds and the share of its time that each op takes, forward and backward."""
        with profiler.profile() as profile:
            for _ in range(PROFILED_STEPS):
                self.iteration()
        costs = profile.by_op() | {name: cost for name, cost in profile.by_scope().items() if name in SCOPES}
        outside = costs[profiler.OUTSIDE]
        outside.forward -= sum(costs[name].forward for name in SCOPES)
        return {
            name: {
                "calls": cost.calls / PROFILED_STEPS,
                "forward_ms": cost.forward / PROFILED_STEPS * 1e3,
                "backward_ms": cost.backward / PROFILED_STEPS * 1e3,
                "share": cost.seconds / profile.seconds,
            }
            for name, cost in sorted(costs.items(), key=lambda item: -item[1].seconds)
        }


class OurSample(Sampling):
    """The likeliest tokens, with cached keys and values."""

    cuda = tensor.cuda

    def __init__(self, work: Work):
        self.facts = describe(work.device)
        super().__init__(work)
        self.model = make_model(work)
        self.model.eval()
        self.model.save_pretrained(work.weights)

    def generate(self, ids: np.ndarray, count: int) -> list[int]:
        start = tensor.from_numpy(ids).to(self.work.device)
        return self.model.generate(start, count, temperature=0.0)[0, ids.shape[1] :].tolist()


class OurOps(Ops):
    """Single operations."""

    cuda = tensor.cuda

    def __init__(self, work: Work):
        self.facts = describe(work.device)
        super().__init__(work, tensor, functional)
