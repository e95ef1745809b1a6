"""Cross-entropy: how badly scores predict the true classes, in nats.

    logits (N, C)    target (N,), the true classes in 0 … C − 1    loss ()

    loss_n = −ln softmax(logits_n)[target_n] = ln Σ_c exp(logits_nc) − logits_n,target

and the mean over n. More dimensions may follow the class dimension, (N, C, d1, …) with target (N, d1, …), and
the target may be probabilities, of the logits' shape.
"""

from __future__ import annotations

import tensor
from nn.functional.softmax import log_softmax
from tensor import Op, Tensor
from tensor.checks import check_devices, require_integer, require_tensor, shape_text
from tensor.devices import namespace
from tensor.dtypes import is_floating
from tensor.kernels import kernels
from tensor.late_checks import require_all
from tensor.ops.autocast import in_full_precision
from tensor.tensor import wrap

REDUCTIONS = ("none", "mean", "sum")


def reduce_loss(name: str, losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of `losses`, or themselves for "none"."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def cross_entropy_composed(logits: Tensor, target: Tensor, row_weight: Tensor) -> Tensor:
    """The definition: −w_n ln softmax(logits_n)[target_n] for logits (N, C), target (N,), row_weight w (N,)."""
    log_p = log_softmax(logits, dim=1)  # (N, C)
    return -row_weight * log_p[tensor.arange(len(target)), target]  # (N,)


class CrossEntropy(Op):
    """loss_n = w_n (ln Σ_c exp(x_nc) − x_n,target) for logits x (N, C); w_n = 0 where a row does not count.

    ∂/∂x_nc of the logarithm is exp(x_nc) / Σ exp(x_n) = softmax(x_n)_c, and of the second term [c = target_n]. So

        dx_nc = dloss_n w_n (softmax(x_n)_c − [c = target_n]):

    what is predicted minus what is true. Fused, no (N, C) matrix of log-probabilities is kept between the passes.
    """

    vjp = "dx = dloss ⊙ w ⊙ (softmax(x) − onehot(target))"

    def forward(self, logits, *, target, row_weight):
        self.logits, self.target, self.row_weight = logits, target, row_weight
        losses, self.log_sum = kernels(logits).cross_entropy(logits, target, row_weight)
        return losses

    def backward(self, dlosses):
        return kernels(dlosses).cross_entropy_backward(dlosses, self.logits, self.target, self.row_weight, self.log_sum)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy between logits and true classes.

    Args:
        input: logits (C,), (N, C) or (N, C, d1, …), not normalised.
        target: the classes as integers, of the input's shape without C; or probabilities of the input's shape.
        weight: (C,) how much each class counts.
        ignore_index: targets with this value do not count, also not in the mean.
        reduction: "mean" (weighted by `weight`), "sum", or "none" for one loss each.
        label_smoothing: the share of the target that is spread evenly over all classes, 0 to 1.
    """
    name = "cross_entropy"
    x, target = in_full_precision(require_tensor(name, input), require_tensor(name, target))
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing must lie between 0 and 1, got {label_smoothing}")
    classes = _class_count(name, x, weight)
    if target.shape == x.shape and is_floating(target.dtype):
        return _with_probabilities(x, target, weight, reduction, label_smoothing)
    x, target, shape = _as_rows(name, x, target, classes)
    row_weight = _row_weights(name, target, classes, weight, ignore_index, x.dtype)  # (N,)
    losses = CrossEntropy.apply(x, target=target.array, row_weight=row_weight)  # (N,)
    if label_smoothing:
        log_p = log_softmax(x, dim=1)  # (N, C)
        log_p = log_p if weight is None else log_p * weight
        spread = -log_p.sum(1).masked_fill(wrap(target.array == ignore_index), 0.0) / classes  # (N,)
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    return _reduce_rows(name, losses, row_weight, shape, reduction)


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """−input[target] for log-probabilities `input`: `cross_entropy` after its log_softmax. Arguments as there."""
    name = "nll_loss"
    x, target = in_full_precision(require_tensor(name, input), require_tensor(name, target))
    classes = _class_count(name, x, weight)
    x, target, shape = _as_rows(name, x, target, classes)
    row_weight = _row_weights(name, target, classes, weight, ignore_index, x.dtype)
    xp = namespace(row_weight)
    counted = row_weight != 0
    picked = x[tensor.arange(len(target), device=x.device), wrap(xp.where(counted, target.array, 0))]  # (N,)
    losses = -(wrap(row_weight) * picked).masked_fill(wrap(~counted), 0.0)
    return _reduce_rows(name, losses, row_weight, shape, reduction)


def _class_count(name: str, x: Tensor, weight: Tensor | None) -> int:
    if x.ndim == 0 or not is_floating(x.dtype):
        raise RuntimeError(
            f"{name}: expected floating-point scores (C,), (N, C) or (N, C, …), got {x.dtype} {shape_text(x.shape)}"
        )
    classes = x.shape[min(x.ndim - 1, 1)]
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"{name}: weight has shape {shape_text(weight.shape)}, expected one number for each class, ({classes},)"
        )
    if weight is not None and weight.requires_grad:
        raise RuntimeError(f"{name}: weight is a constant here and gets no gradient: pass weight.detach()")
    return classes


def _as_rows(name: str, x: Tensor, target: Tensor, classes: int) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """The scores as (N, C), the targets as (N,), and the shape that one loss each has."""
    require_integer(name, "target classes", target)
    check_devices(name, [x, target])
    shape = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if target.shape != shape:
        raise RuntimeError(
            f"{name}: input {shape_text(x.shape)} and target {shape_text(target.shape)} do not fit: with classes in "
            f"{'dim 1' if x.ndim > 1 else 'dim 0'} of the input, the target must have the shape {shape_text(shape)}"
        )
    if x.ndim == 2:  # as nearly always
        return x, target, shape
    if x.ndim > 2:
        x = x.movedim(1, -1)  # (N, d1, …, C)
    return x.reshape(target.numel(), classes), target.reshape(-1), shape


def _row_weights(name: str, target: Tensor, classes: int, weight: Tensor | None, ignore_index: int, dtype):
    """How much each row counts, a raw array (N,): 0 where it is ignored, else its class's weight or 1."""
    xp, t = namespace(target.array), target.array
    counted = t != ignore_index
    fine = ~counted | (t >= 0) & (t < classes)

    def error() -> IndexError:
        return IndexError(
            f"{name}: target {t[~fine][0]} is no class: with {classes} classes it must lie in 0 … {classes - 1}"
        )

    require_all(fine, error)
    if weight is None:
        return counted.astype(dtype)
    return xp.where(counted, weight.array.astype(dtype)[xp.where(counted, t, 0)], 0)


def _reduce_rows(name: str, losses: Tensor, row_weight, shape: tuple[int, ...], reduction: str) -> Tensor:
    """The weighted mean: Σ loss / Σ weight; NaN where nothing counts, as in PyTorch."""
    if reduction == "mean":
        return losses.sum() / wrap(namespace(row_weight).asarray(row_weight.sum()))
    return reduce_loss(name, losses.reshape(shape), reduction)


def _with_probabilities(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    """−Σ_c w_c target_c ln softmax(x)_c; the mean divides by the number of rows."""
    dim = min(x.ndim - 1, 1)
    classes = x.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    log_p = log_softmax(x, dim=dim)
    if weight is not None:
        log_p = log_p * weight.reshape(-1, *[1] * (x.ndim - 1 - dim))
    losses = -(target * log_p).sum(dim)
    if reduction == "mean":
        rows = x.numel() // classes if classes else 0
        return losses.sum() / max(rows, 1) if rows else losses.sum() * float("nan")
    return reduce_loss("cross_entropy", losses, reduction)
