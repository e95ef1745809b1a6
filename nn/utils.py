"""Helpers on parameters: the norm of their gradients and clipping, and all parameters as one vector."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

import tensor
from tensor import Tensor, no_grad
from tensor.devices import namespace
from tensor.inplace import assign
from tensor.kernels.clip import scale_all, sum_of_squares
from tensor.tensor import wrap


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm () of one long vector of all `tensors`: (Σ |x|^norm_type)^(1/norm_type), or the largest |x| for inf.

    With `error_if_nonfinite` a norm that is inf or NaN raises a RuntimeError; on a GPU, to see that is to wait for it.
    """
    arrays = [t.array for t in _listed(tensors)]
    if not arrays:
        return tensor.tensor(0.0)
    norm = _norm(arrays, float(norm_type))
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"get_total_norm: the norm of the gradients is {norm}: one of them holds inf or NaN")
    with np.errstate(over="ignore"):  # in float16 a norm above 65504 is inf
        return wrap(namespace(*arrays).asarray(norm, np.result_type(*{a.dtype for a in arrays})))


def clip_factor(total_norm: Tensor | float, max_norm: float):
    """min(1, max_norm / (total_norm + 1e-6)), which brings gradients of that norm down to max_norm; NaN for a NaN.

    It is for `Optimizer.step(grad_factor=…)`: a number, but of a norm on a GPU an array () there, without waiting.
    """
    norm: Any = total_norm.array if isinstance(total_norm, Tensor) else total_norm
    if namespace(norm) is not np:
        return namespace(norm).minimum(max_norm / (norm.astype(np.float64) + 1e-6), 1)
    factor = max_norm / (float(norm) + 1e-6)
    return 1.0 if factor >= 1 else factor


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor | float) -> None:
    """Multiply all gradients by `clip_factor(total_norm, max_norm)`, in place.

    A training step saves this pass over memory: `optimizer.step(grad_factor=clip_factor(total_norm, max_norm))`.
    """
    gradients = _gradients(parameters)
    factor = clip_factor(total_norm, max_norm)
    if gradients and not (isinstance(factor, float) and factor == 1):  # to look at one on a GPU is to wait for it
        scale_all([g.array for g in gradients], factor)
        for g in gradients:
            g.mark_written()


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by one factor so that their common norm is at most max_norm; returns the norm before.

    As in PyTorch the factor is max_norm / (norm + 1e-6). A norm that is inf or NaN raises only where asked to.
    """
    parameters = _listed(parameters)
    total_norm = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total_norm)
    return total_norm


def _norm(arrays: list, p: float):
    """The norm in float64: a number, or for arrays on a GPU an array () there."""
    xp = namespace(arrays[0])
    if p == math.inf:
        return functools.reduce(xp.maximum, [abs(a).max() for a in arrays if a.size])
    if p == 2:
        return sum_of_squares(arrays) ** (1 / p)
    return xp.array([(abs(a) ** p).sum() for a in arrays]).sum(dtype=np.float64) ** (1 / p)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clamp every element of every gradient to [−clip_value, clip_value]."""
    for g in _gradients(parameters):
        namespace(g.array).clip(g.array, -clip_value, clip_value, out=g.array)
        g.mark_written()


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, one after the other, in one Tensor (n,)."""
    return tensor.cat([p.reshape(-1) for p in parameters])


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of `vec` (n,) back into the parameters, in the order of `parameters_to_vector`."""
    start = 0
    for p in parameters:
        assign(p, vec[start : start + p.numel()].reshape(p.shape), "vector_to_parameters")
        start += p.numel()
