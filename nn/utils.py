"""Helpers on parameters: clipping gradients, and all parameters as one vector."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

import numpy as np

import tensor
from tensor import Tensor, no_grad
from tensor.devices import namespace
from tensor.inplace import assign
from tensor.kernels.clip import scale_all, sum_of_squares
from tensor.tensor import wrap


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list:
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in listed if p.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by one factor so that their common norm is at most max_norm; returns the norm before.

    The norm is that of one long vector of all gradients: (Σ |g|^norm_type)^(1/norm_type), or the largest |g| for inf.
    As in PyTorch the factor is max_norm / (norm + 1e-6). A norm that is inf or NaN raises only where asked to.
    """
    gradients = _gradients(parameters)
    if not gradients:
        return tensor.tensor(0.0)
    xp = namespace(gradients[0].array)
    norm = _norm([g.array for g in gradients], float(norm_type))
    if xp is not np and not error_if_nonfinite:
        return _clip_without_waiting(gradients, norm, max_norm)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {norm}: a gradient holds inf or NaN")
    factor = float(max_norm / (norm + 1e-6))  # a number of Python's is multiplied in the gradient's own precision
    if not factor >= 1:
        _scale(gradients, factor)
    return wrap(xp.asarray(norm, gradients[0].dtype))


def _clip_without_waiting(gradients: list[Tensor], norm, max_norm: float) -> Tensor:
    """On a GPU the factor stays there, and multiplies also where it is 1: to look at it would be to wait for it."""
    _scale(gradients, namespace(norm).minimum(max_norm / (norm + 1e-6), 1))
    return wrap(norm.astype(gradients[0].dtype))


def _scale(gradients: list[Tensor], factor) -> None:
    scale_all([g.array for g in gradients], factor)
    for g in gradients:
        g.mark_written()


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
