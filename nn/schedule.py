"""Learning rates that change as training goes on.

`warmup_cosine` is a plain function of the iteration, as nanoGPT has it: nothing to save, nothing to resume. The classes
do what PyTorch's `optim.lr_scheduler` does: `step()` after the optimizer's sets the learning rate of each group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nn.optim import Optimizer


def warmup_cosine(it: int, *, learning_rate: float, min_lr: float, warmup_iters: int, lr_decay_iters: int) -> float:
    """The learning rate at iteration `it`, counted from 0.

    It rises linearly for warmup_iters iterations (from learning_rate / (warmup_iters + 1), so that the first step is
    not wasted), falls along half a cosine to min_lr at lr_decay_iters, and stays there.
    """
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    if it >= lr_decay_iters:
        return min_lr
    progress = (it - warmup_iters) / (lr_decay_iters - warmup_iters)  # 0 … 1
    return min_lr + 0.5 * (1 + math.cos(math.pi * progress)) * (learning_rate - min_lr)


class LRScheduler:
    """Base class: a subclass says in `rate(base_lr, i)` what the learning rate is after `last_epoch` steps."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set()

    def rate(self, base_lr: float, group: int) -> float:
        """The learning rate of parameter group number `group`, whose first one was base_lr."""
        raise TypeError(f"{type(self).__name__} has no rate: define `rate(self, base_lr, group)`")

    def _set(self) -> None:
        for i, (group, base_lr) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            group["lr"] = self.rate(base_lr, i)

    def step(self) -> None:
        """Go on by one; call it after `optimizer.step()`."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The present learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on later: the count and the first learning rates."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was saved."""
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        self._set()


class LambdaLR(LRScheduler):
    """base_lr · lr_lambda(steps); one function for all groups, or one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]):
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {groups} parameter group(s)")
        super().__init__(optimizer)

    def rate(self, base_lr: float, group: int) -> float:
        return base_lr * self.lr_lambdas[group](self.last_epoch)


class StepLR(LRScheduler):
    """base_lr · gamma^⌊steps / step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, base_lr: float, group: int) -> float:
        return base_lr * self.gamma ** (self.last_epoch // self.step_size)


class CosineAnnealingLR(LRScheduler):
    """From base_lr to eta_min along half a cosine in T_max steps, and back up in as many more."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base_lr: float, group: int) -> float:
        return self.eta_min + 0.5 * (base_lr - self.eta_min) * (1 + math.cos(math.pi * self.last_epoch / self.T_max))
