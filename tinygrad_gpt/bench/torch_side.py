"""The other side of a benchmark: the same work in PyTorch or transformers, in its eager form."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from tinygrad_gpt.bench.ops import Ops
from tinygrad_gpt.bench.settings import Work
from tinygrad_gpt.bench.task import WEIGHTS, Sampling, Task
from tinygrad_gpt.bench.torch_gpt import TorchGPT


class TorchStep(Task):
    """A training step from the weights that our side started with; AdamW as it is fastest, on a GPU in one kernel."""

    cuda = torch.cuda

    def __init__(self, work: Work):
        torch.set_num_threads(work.threads)
        self.facts = describe(work.device)
        super().__init__(work)
        torch.manual_seed(work.seed)
        self.model = TorchGPT(work.model).to(work.device, getattr(torch, work.dtype))
        self.model.load_state_dict(load_file(Path(work.weights) / WEIGHTS), strict=False)  # a tied head comes once
        decayed = [p for p in self.model.parameters() if p.dim() >= 2]
        others = [p for p in self.model.parameters() if p.dim() < 2]
        groups = [{"params": decayed, "weight_decay": work.weight_decay}, {"params": others, "weight_decay": 0.0}]
        fused = True if work.device == "cuda" else None
        self.optimizer = torch.optim.AdamW(groups, lr=work.learning_rate, betas=work.betas, fused=fused)
        self.loss: Any = None

    def iteration(self) -> None:
        work = self.work
        x, y = (torch.from_numpy(ids).to(work.device) for ids in self.batch())
        _, loss = self.model(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), work.grad_clip or float("inf"))
        self.optimizer.step()
        self.loss = loss.detach()

    def last_loss(self) -> float:
        return self.loss.item()


class TransformersSample(Sampling):
    """transformers' GPT-2 on our side's weights, with its cache."""

    cuda = torch.cuda

    def __init__(self, work: Work):
        import transformers

        torch.set_num_threads(work.threads)
        transformers.utils.logging.disable_progress_bar()
        self.facts = describe(work.device) | {"transformers": transformers.__version__}
        super().__init__(work)
        model: Any = transformers.GPT2LMHeadModel.from_pretrained(work.weights, dtype=getattr(torch, work.dtype))
        self.model = model.to(work.device).eval()

    def generate(self, ids: np.ndarray, count: int) -> list[int]:
        start = torch.from_numpy(ids).to(self.work.device)
        tokens = self.model.generate(
            start,
            attention_mask=torch.ones_like(start),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            use_cache=True,
            pad_token_id=0,
        )
        return tokens[0, ids.shape[1] :].tolist()


class TorchOps(Ops):
    """Single operations."""

    cuda = torch.cuda

    def __init__(self, work: Work):
        torch.set_num_threads(work.threads)
        self.facts = describe(work.device)
        super().__init__(work, torch, torch.nn.functional)


def describe(device: str) -> dict[str, str | int]:
    if device == "cuda":
        return {"torch": torch.__version__, "gpu": torch.cuda.get_device_name()}
    blas = "MKL" if torch.backends.mkl.is_available() else "no MKL"
    return {"torch": torch.__version__, "blas": blas, "threads": torch.get_num_threads()}
