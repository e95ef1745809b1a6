"""Mixed precision: products in float16, which GPUs compute many times faster, and all that adds up in float32.

Names and behaviour are those of `torch.amp`:

>>> scaler = tensor.amp.GradScaler("cuda")
>>> with tensor.autocast("cuda"):
...     loss = model(x)
>>> scaler.scale(loss).backward()
>>> scaler.step(optimizer)
>>> scaler.update()

The parameters stay float32: a step of 1e-4 of a weight's size is below float16's resolution, 2⁻¹¹, and would be lost.
Inside `autocast` they are cast at each use, and their gradients arrive in float32. (Micikevicius et al. 2018, "Mixed
precision training", arXiv:1710.03740.)
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

from tensor import dtypes
from tensor.devices import namespace
from tensor.ops.autocast import autocast
from tensor.tensor import Tensor

__all__ = ["GradScaler", "autocast"]


class _Stage(enum.Enum):
    """What has happened to an optimizer's gradients since the last update."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Loss scaling: float16 ends at 6e-8, and gradients are often smaller. So the loss is multiplied by a large number
    before backward, and the gradients are divided by it before the step.

    A scale that is too large makes some gradient inf or NaN. Such a step is skipped and the scale shrinks by
    `backoff_factor`; after `growth_interval` steps without one it grows by `growth_factor`, as far as it goes.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if enabled and growth_factor <= 1:
            raise ValueError(f"GradScaler: growth_factor must be above 1, got {growth_factor}")
        if enabled and not 0 < backoff_factor < 1:
            raise ValueError(f"GradScaler: backoff_factor must be between 0 and 1, got {backoff_factor}")
        self._enabled, self._scale, self._growth_tracker = enabled, float(init_scale), 0
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._stage: dict[int, _Stage] = {}  # by optimizer
        self._overflowed: dict[int, bool] = {}

    def is_enabled(self) -> bool:
        """Does it scale at all? One that is not enabled passes losses and steps through."""
        return self._enabled

    def get_scale(self) -> float:
        """What losses are multiplied by; 1 if not enabled."""
        return self._scale if self._enabled else 1.0

    def scale(self, outputs):
        """A loss, or several in a list or tuple, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        return type(outputs)(map(self.scale, outputs))

    def unscale_(self, optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, to see or to clip them before `step`."""
        if not self._enabled:
            return
        stage = self._stage.get(id(optimizer), _Stage.READY)
        if stage is _Stage.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if stage is _Stage.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for g in gradients:
            if g.dtype == dtypes.float16:
                raise ValueError(
                    "Attempting to unscale FP16 gradients: keep the parameters in float32, under autocast."
                )
            g.array *= 1 / self._scale
            g.mark_written()
        self._overflowed[id(optimizer)] = not _all_finite(g.array for g in gradients)
        self._stage[id(optimizer)] = _Stage.UNSCALED

    def step(self, optimizer, *args, **kwargs):
        """`optimizer.step()` on the gradients, unscaled; nothing, and None, if one of them is inf or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        stage = self._stage.get(id(optimizer), _Stage.READY)
        if stage is _Stage.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if stage is _Stage.READY:
            self.unscale_(optimizer)
        self._stage[id(optimizer)] = _Stage.STEPPED
        return None if self._overflowed[id(optimizer)] else optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | None = None) -> None:
        """The scale for the next step: smaller after an overflow, larger after a long time without, or `new_scale`."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._overflowed:
            raise RuntimeError("No inf checks were recorded prior to update: call step() or unscale_() before.")
        elif any(self._overflowed.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._growth_tracker = 0
                if self._scale * self._growth_factor <= float(dtypes.finfo(dtypes.float32).max):
                    self._scale *= self._growth_factor
        self._stage.clear()
        self._overflowed.clear()

    def state_dict(self) -> dict[str, Any]:
        """The scale, how many steps it has been good for, and the settings; {} if not enabled."""
        if not self._enabled:
            return {}
        names = ("scale", "growth_factor", "backoff_factor", "growth_interval")
        return {name: getattr(self, f"_{name}") for name in names} | {"_growth_tracker": self._growth_tracker}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what `state_dict` returned."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("The source state dict is empty: it comes from a GradScaler that was not enabled.")
        for name in ("scale", "growth_factor", "backoff_factor", "growth_interval"):
            setattr(self, f"_{name}", state_dict[name])
        self._growth_tracker = state_dict["_growth_tracker"]


def _all_finite(arrays: Iterable) -> bool:
    """No inf and no NaN in any of `arrays`; they are asked all at once, which on a GPU is one wait instead of many."""
    listed = list(arrays)
    if not listed:
        return True
    xp = namespace(listed[0])
    return bool(xp.stack([xp.isfinite(a).all() for a in listed]).all())
