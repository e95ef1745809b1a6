"""The other losses: how far `input` is from `target`, element by element, then reduced to one number.

All take `reduction`: "mean" over all elements, "sum", or "none" for the element-wise loss itself.
"""

from __future__ import annotations

import tensor
from nn.functional.activations import logsigmoid
from nn.functional.cross_entropy import reduce_loss
from tensor import Tensor
from tensor.checks import require_tensor, shape_text

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
]


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(input − target)²."""
    _check_shapes("mse_loss", input, target)
    difference = input - target
    return reduce_loss("mse_loss", difference * difference, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """|input − target|."""
    _check_shapes("l1_loss", input, target)
    return reduce_loss("l1_loss", tensor.abs(input - target), reduction)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """½ d² where d = |input − target| is below delta, else delta (d − ½ delta): square near 0, straight far out."""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")
    _check_shapes("huber_loss", input, target)
    d = tensor.abs(input - target)
    return reduce_loss("huber_loss", tensor.where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """huber_loss / beta with delta = beta: ½ d² / beta where d < beta, else d − ½ beta. beta = 0 is l1_loss."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must be 0 or more, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, delta=beta) / beta


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """−(t ln p + (1 − t) ln(1 − p)) for probabilities p = input in [0, 1]; logarithms are cut off at −100."""
    _check_shapes("binary_cross_entropy", input, target, broadcast=False)
    if input.numel() and not (float(input.detach().min()) >= 0 and float(input.detach().max()) <= 1):
        raise RuntimeError(
            "binary_cross_entropy: the input must be probabilities, from 0 to 1: scores go to the _with_logits form"
        )
    losses = -(target * input.log().clamp(min=-100) + (1 - target) * (1 - input).log().clamp(min=-100))
    return reduce_loss("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """−(pos_weight t ln σ(x) + (1 − t) ln(1 − σ(x))) for scores x = input, without overflow.

    As ln(1 − σ(x)) = ln σ(x) − x, this is (1 − t) x − (1 + (pos_weight − 1) t) ln σ(x).
    """
    _check_shapes("binary_cross_entropy_with_logits", input, target, broadcast=False)
    log_p = logsigmoid(input)
    if pos_weight is not None:
        log_p = (1 + (pos_weight - 1) * target) * log_p
    losses = (1 - target) * input - log_p
    return reduce_loss("binary_cross_entropy_with_logits", losses if weight is None else losses * weight, reduction)


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target (ln target − input), where `input` holds log-probabilities: its sum is the divergence KL(target ‖ input).

    With `log_target` the target holds logarithms too. reduction="batchmean" divides the sum by the length of dim 0.
    """
    _check_shapes("kl_div", input, target)
    if log_target:
        losses = target.exp() * (target - input)
    else:  # p ln p is 0 where p = 0
        zero = target == 0
        losses = target * (target.masked_fill(zero, 1.0).log() - input)
    if reduction == "batchmean":
        return losses.sum() / input.shape[0] if input.ndim else losses.sum()
    return reduce_loss("kl_div", losses, reduction)


def _check_shapes(name: str, input: Tensor, target: Tensor, broadcast: bool = True) -> None:
    """A target that merely broadcasts is nearly always a mistake: (N, 1) against (N,) would compare all with all."""
    x, t = require_tensor(name, input), require_tensor(name, target)
    if x.shape != t.shape and not (broadcast and (x.ndim == 0 or t.ndim == 0)):
        raise RuntimeError(
            f"{name}: input {shape_text(x.shape)} and target {shape_text(t.shape)} must have the same shape; "
            f"if the broadcast is meant, write it out with target.expand_as(input)"
        )
