"""Run PyTorch's own operator samples through this engine: `python tests/tensor/opinfo.py` prints the counts.

For each sample of an operator, three calls are compared with PyTorch's: the function, the method and the in-place
method, where both engines have them. Compared are the values, shapes and dtypes of all outputs, whether they
require grad, and the gradients of all inputs that do, given the same random gradients of the outputs.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from compare import DEVICE
from opinfo_table import CALLS, COVERED, IN_PLACE_LEFT_OUT, LEFT_OUT, RANDOM, TOLERANCE
from torch.testing._internal.common_methods_invocations import op_db

import nn.functional
import tensor
from tensor import Tensor

SEED = 1337


def names(table: dict[str, str]) -> dict[str, str]:
    """{name: the heading it stands under}."""
    return {name: heading for heading, text in table.items() for name in text.split()}


def full_name(op) -> str:
    return f"{op.name}|{op.variant_test_name}" if op.variant_test_name else op.name


def left_out_reason(op) -> str | None:
    """The reason why `op` as a whole is left out, or None."""
    for pattern, reason in names(LEFT_OUT).items():
        if fnmatch.fnmatchcase(full_name(op), pattern) or fnmatch.fnmatchcase(op.name, pattern):
            return reason
    return None


@functools.cache
def covered_ops() -> dict:
    """The entries of op_db that the table covers, by full name."""
    covered = names(COVERED)
    return {full_name(op): op for op in op_db if op.name in covered and left_out_reason(op) is None}


def our_function(name: str):
    """What `name` is called by here: `tensor.NAME`, the method, or `nn.functional.NAME`; None if it is missing."""
    if name in CALLS:
        return CALLS[name]
    if name.startswith("nn.functional."):
        return getattr(nn.functional, name.removeprefix("nn.functional."), None)
    found = tensor
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if callable(found) else getattr(Tensor, name, None)  # tensor.long is a dtype, x.long() a method


@dataclass
class Outcome:
    """What became of the samples of one operator."""

    passed: int = 0
    random: int = 0  # of these: samples of which shape and dtype alone were compared
    failures: list[str] = field(default_factory=list)


class Deviation(AssertionError):
    """A result here is not PyTorch's."""


def to_ours(value):
    """The arguments of a sample, with PyTorch's Tensors, dtypes, devices and shapes turned into ours."""
    if isinstance(value, torch.Tensor):
        array = np.array(value.detach().numpy(), order="K")
        return tensor.from_numpy(array).to(DEVICE).requires_grad_(value.requires_grad)
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return tensor.device(DEVICE)
    if isinstance(value, dict):  # how a Tensor lies in memory is NumPy's business here, and not compared
        return {key: to_ours(v) for key, v in value.items() if not isinstance(v, torch.layout | torch.memory_format)}
    if isinstance(value, list | tuple):
        return type(value)(map(to_ours, value)) if type(value) in (list, tuple) else tuple(map(to_ours, value))
    return value


def tensors_in(value) -> list:
    """All Tensors of either engine in nested arguments, in order."""
    if isinstance(value, torch.Tensor | Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for v in value for t in tensors_in(v)] if isinstance(value, list | tuple) else []


def flat(result) -> list:
    """The outputs of an operator as a flat list."""
    return [r for part in result for r in flat(part)] if isinstance(result, list | tuple) else [result]


def compare(what: str, ours, theirs, values: bool = True, tolerance: float = 1e-9) -> None:
    """Raise Deviation unless `ours` is `theirs` in shape, dtype and (to rounding) values."""
    if not isinstance(theirs, torch.Tensor):
        if type(ours) is not type(theirs) or (values and ours != theirs and not (ours != ours and theirs != theirs)):
            raise Deviation(f"{what} is {ours!r}, PyTorch's {theirs!r}")
        return
    theirs = theirs.detach().numpy(force=True)  # forced: some zero gradients are PyTorch's lazy zeros
    if not isinstance(ours, Tensor):
        raise Deviation(f"{what} is a {type(ours).__name__}, PyTorch's a Tensor")
    if (ours.dtype, tuple(ours.shape)) != (theirs.dtype, theirs.shape):
        raise Deviation(f"{what} is {ours.dtype} {ours.shape}, PyTorch's {theirs.dtype} {theirs.shape}")
    array = ours.numpy(force=True)
    if values and not np.allclose(array, theirs, rtol=tolerance, atol=tolerance, equal_nan=True):
        apart = np.abs(array.astype(np.float64) - theirs.astype(np.float64))
        raise Deviation(f"{what} differs by up to {np.nanmax(apart):.3g}")


def is_random(op, sample) -> bool:
    """Does `op` draw random numbers for this sample, so that only shapes and dtypes can be compared?"""
    if op.name == "nn.functional.dropout":
        return sample.kwargs.get("training", True)
    return op.name in RANDOM or sample.kwargs.get("dropout_p", 0) > 0


def compare_call(op, ours, theirs, sample, in_place: bool = False) -> None:
    """Raise Deviation unless the two functions agree on `sample`: outputs, and gradients of all inputs."""
    arguments = [sample.input, list(sample.args), sample.kwargs]
    our_arguments = to_ours(arguments)
    our_leaves, their_leaves = tensors_in(our_arguments), tensors_in(arguments)
    if in_place:  # leaves cannot be written in place, and the sample must stay what it is
        arguments = [arguments[0].clone(), *arguments[1:]]
        our_arguments = [our_arguments[0].clone(), *our_arguments[1:]]
    elif op.name in ("fill", "zero_", "exponential", "uniform"):
        arguments, our_arguments = ([a[0].clone(), *a[1:]] for a in (arguments, our_arguments))
    theirs_out = flat(theirs(arguments[0], *arguments[1], **arguments[2]))
    ours_out = flat(ours(our_arguments[0], *our_arguments[1], **our_arguments[2]))
    if len(ours_out) != len(theirs_out):
        raise Deviation(f"{len(ours_out)} output(s), PyTorch has {len(theirs_out)}")
    random = is_random(op, sample)
    tolerance = TOLERANCE.get(op.name, 1e-9)
    for i, (y, t) in enumerate(zip(ours_out, theirs_out, strict=True)):
        compare(f"output {i}", y, t, values=not random, tolerance=tolerance)
    if random:
        return
    pairs = [(y, t) for y, t in zip(ours_out, theirs_out, strict=True) if isinstance(t, torch.Tensor)]
    roots = [(y, t) for y, t in pairs if t.requires_grad]
    for i, (y, t) in enumerate(pairs):
        if y.requires_grad != t.requires_grad:
            raise Deviation(f"output {i} has requires_grad={y.requires_grad}, PyTorch's {t.requires_grad}")
    wanting = [(x, t) for x, t in zip(our_leaves, their_leaves, strict=True) if t.requires_grad]
    if not roots or not wanting:
        return
    rng = np.random.default_rng(SEED)
    dys = [rng.standard_normal(tuple(t.shape)).astype(y.dtype) for y, t in roots]
    grads = tensor.grad(
        [y for y, _ in roots],
        [x for x, _ in wanting],
        [tensor.from_numpy(dy).to(DEVICE) for dy in dys],
        allow_unused=True,
    )
    expected = torch.autograd.grad(
        [t for _, t in roots], [t for _, t in wanting], [torch.from_numpy(dy) for dy in dys], allow_unused=True
    )
    for i, (g, t, (x, _)) in enumerate(zip(grads, expected, wanting, strict=True)):
        t = torch.zeros(x.shape, dtype=torch.float64) if t is None else t  # None and zero mean the same
        g = tensor.zeros(x.shape, dtype=x.dtype) if g is None else g
        compare(f"gradient of input {i}", g, t, tolerance=tolerance)


def calls(op):
    """(what, our function, PyTorch's function, in place?) for each form that both engines have."""
    yield "function", our_function(op.name), op.op, False
    method = getattr(Tensor, op.name, None)
    if op.method_variant is not None and callable(method) and method is not our_function(op.name):
        yield "method", method, op.method_variant, False
    if op.inplace_variant is not None and op.name not in RANDOM and op.name not in IN_PLACE_LEFT_OUT:
        write = getattr(Tensor, getattr(op.inplace_variant, "__name__", op.name + "_"), None)
        if write is not None:
            yield "in place", write, op.inplace_variant, True


def describe(value) -> str:
    """A sample's argument in short: Tensors as dtype and shape."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, dict):
        return ", ".join(f"{k}={describe(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(describe, value)) + ")"
    return str(value)


def chosen(samples: list) -> list:
    """The samples to run: all; on a GPU the first that has elements, which takes each operator once through CuPy."""
    if DEVICE == "cpu":
        return samples
    return sorted(samples, key=lambda sample: any(x.numel() == 0 for x in tensors_in(sample.input)))[:1]


@functools.cache
def run(name: str) -> Outcome:
    """All samples of the entry of op_db with this full name, or on a GPU one."""
    op = covered_ops()[name]
    outcome = Outcome()
    torch.manual_seed(SEED)
    dtype = torch.float64 if torch.float64 in op.dtypes else torch.int64
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own deprecations
        samples = list(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and dtype.is_floating_point))
        for sample in chosen(samples):
            failures = list(itertools.chain.from_iterable(_try(op, sample, *call) for call in calls(op)))
            outcome.failures += failures
            outcome.passed += not failures
            outcome.random += is_random(op, sample)
    return outcome


def _try(op, sample, what, ours, theirs, in_place):
    """The failures of one call. Where PyTorch refuses an in-place call (the result does not fit), so must we."""
    refused = None
    if in_place:
        try:
            theirs(sample.input.clone(), *sample.args, **sample.kwargs)
        except (RuntimeError, TypeError, IndexError) as problem:
            refused = problem
    try:
        if ours is None:
            raise Deviation("there is no such function")
        compare_call(op, ours, theirs, sample, in_place)
    except Exception as problem:  # whatever it is, it is reported with the sample
        if refused is None:
            arguments = describe([sample.input, *sample.args, sample.kwargs])
            yield f"{what} {full_name(op)}{arguments}: {type(problem).__name__}: {problem}"
    else:
        if refused is not None:
            yield f"{what} {full_name(op)}: PyTorch refuses this, we do not"


def summary() -> str:
    """The counts, as text."""
    outcomes = {name: run(name) for name in covered_ops()}
    passed = sum(o.passed for o in outcomes.values())
    failed = {name: o for name, o in outcomes.items() if o.failures}
    total = passed + sum(len(o.failures) for o in failed.values())
    lines = [
        f"operators covered: {len({op.name for op in covered_ops().values()})} ({len(outcomes)} with their variants)",
        f"samples: {total}, equal to PyTorch's {passed} ({100 * passed / total:.2f} %)",
        f"  {sum(o.random for o in outcomes.values())} of them draw random numbers: shape and dtype compared",
        *[f"  in place not compared, {name}: {reason}" for name, reason in IN_PLACE_LEFT_OUT.items()],
        f"operators left out: {len({op.name for op in op_db if left_out_reason(op)})}",
    ]
    for reason, text in LEFT_OUT.items():
        lines.append(f"  {reason}: {' '.join(text.split())}")
    for name, outcome in failed.items():
        lines.append(f"FAILED {name}: {len(outcome.failures)}\n    " + "\n    ".join(outcome.failures[:3]))
    return "\n".join(lines)


if __name__ == "__main__":
    print(summary())
