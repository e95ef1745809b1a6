"""Our function against PyTorch's, on the same numbers: result, dtype and every gradient.

>>> ours, theirs = ours_and_theirs("logaddexp")
>>> check(ours, theirs, [numbers(3, 4), numbers(4, seed=1)])
"""

from __future__ import annotations

import functools
import importlib

import numpy as np
import torch

import tensor

DEVICE = "cpu"  # where ours computes; conftest.py sets it to "cuda" for `pytest -m gpu`
TOLERANCE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-9}  # relative, by dtype


def ours_and_theirs(name: str):
    """The function `name` of ours and of torch: "exp", "Tensor.exp" (the method), "nn.functional.gelu"."""
    ours = importlib.import_module("nn" if name.startswith("nn.") else "tensor")
    return _dig(ours, name.removeprefix("nn.")), _dig(torch, name)


def _dig(root, name: str):
    return functools.reduce(getattr, name.split("."), root)


def wait() -> None:
    """Let ours finish: an index out of range raises on a GPU not at once but when something is read from it."""
    if DEVICE != "cpu":
        tensor.cuda.synchronize()


def numbers(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0, dtype="float64") -> np.ndarray:
    """Uniform numbers between `low` and `high`, the same at every run."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def same_dtype(ours: np.dtype, theirs: torch.dtype) -> bool:
    """Is the NumPy dtype that torch's `theirs` names equal to `ours`?"""
    return str(ours) == str(theirs).removeprefix("torch.")


def our_tensor(array, requires_grad: bool):
    """`array` as a Tensor of ours with its own memory and the array's strides."""
    return tensor.from_numpy(array.copy("K")).to(DEVICE).requires_grad_(requires_grad and array.dtype.kind == "f")


def their_tensor(array, requires_grad: bool):
    """`array` as a torch Tensor with its own memory and the array's strides."""
    return torch.from_numpy(array.copy("K")).requires_grad_(requires_grad and array.dtype.kind == "f")


def _made_tensors(value, make, leaves: list, requires_grad: bool):
    """`value` with every array in it (also in lists and tuples) made a Tensor; those with gradient go to `leaves`."""
    if isinstance(value, list | tuple):
        return type(value)(_made_tensors(v, make, leaves, requires_grad) for v in value)
    if not isinstance(value, np.ndarray):
        return value
    made = make(value, requires_grad)
    if made.requires_grad:
        leaves.append(made)
    return made


def _listed(result) -> list:
    return list(result) if isinstance(result, list | tuple) else [result]


def assert_same(ours, theirs, what: str = "result", rtol: float | None = None, atol: float | None = None) -> None:
    """One result of ours equals one of torch's: shape, dtype and values (NaN equals NaN)."""
    if not isinstance(theirs, torch.Tensor):  # a bool, a dtype, a shape
        assert not isinstance(ours, tensor.Tensor), f"{what}: we return a Tensor, torch {type(theirs).__name__}"
        assert ours == theirs, f"{what}: ours {ours}, torch {theirs}"
        return
    assert isinstance(ours, tensor.Tensor), f"{what}: we return {type(ours).__name__}, torch a Tensor"
    assert tuple(ours.shape) == tuple(theirs.shape), f"{what}: our shape {ours.shape}, torch's {tuple(theirs.shape)}"
    assert same_dtype(ours.dtype, theirs.dtype), f"{what}: our dtype {ours.dtype}, torch's {theirs.dtype}"
    expected = theirs.numpy(force=True)
    tolerance = TOLERANCE.get(str(ours.dtype), 0)
    np.testing.assert_allclose(
        ours.numpy(force=True),
        expected,
        rtol=tolerance if rtol is None else rtol,
        atol=tolerance / 10 if atol is None else atol,
        err_msg=what,
    )


def check(
    ours,
    theirs,
    inputs,
    kwargs: dict | None = None,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    gradients: bool = True,
) -> None:
    """Assert that `ours(*inputs, **kwargs)` equals `theirs(*inputs, **kwargs)`, result and gradients.

    Args:
        inputs: positional arguments. NumPy arrays become Tensors (in lists and tuples too), and floating
            ones require grad; anything else is handed over as it is.
        kwargs: keyword arguments, treated alike.
        rtol, atol: relative and absolute tolerance; None takes the one of the dtype.
        gradients: False compares results only.

    Every floating output gets a random cotangent. A gradient that torch leaves None must be None here.
    """
    our_leaves: list = []
    their_leaves: list = []
    items = [*inputs, *(kwargs or {}).values()]
    our_items = _made_tensors(items, our_tensor, our_leaves, gradients)
    their_items = _made_tensors(items, their_tensor, their_leaves, gradients)
    n = len(inputs)
    names = list(kwargs or {})
    our_result = ours(*our_items[:n], **dict(zip(names, our_items[n:], strict=True)))
    their_result = theirs(*their_items[:n], **dict(zip(names, their_items[n:], strict=True)))
    our_outputs, their_outputs = _listed(our_result), _listed(their_result)
    assert len(our_outputs) == len(their_outputs), f"we return {len(our_outputs)} results, torch {len(their_outputs)}"
    for i, (a, b) in enumerate(zip(our_outputs, their_outputs, strict=True)):
        assert_same(a, b, f"result {i}", rtol, atol)

    pairs = [
        (a, b)
        for a, b in zip(our_outputs, their_outputs, strict=True)
        if isinstance(b, torch.Tensor) and b.requires_grad
    ]
    for a, _ in pairs:
        assert a.requires_grad, "torch's result requires grad, ours does not"
    if not pairs:
        assert not any(isinstance(a, tensor.Tensor) and a.requires_grad for a in our_outputs), (
            "our result requires grad, torch's does not"
        )
        return
    seeds = [numbers(*a.shape, seed=100 + i, dtype=a.dtype) for i, (a, _) in enumerate(pairs)]
    our_seeds = [tensor.from_numpy(s).to(DEVICE) for s in seeds]
    their_seeds = map(torch.from_numpy, seeds)
    ours, theirs = zip(*pairs, strict=True)
    our_grads = tensor.grad(ours, our_leaves, our_seeds, allow_unused=True)
    their_grads = torch.autograd.grad(theirs, their_leaves, list(their_seeds), allow_unused=True)
    for i, (a, b) in enumerate(zip(our_grads, their_grads, strict=True)):
        if b is None:
            assert a is None, f"gradient {i}: torch gives none, we do"
        else:
            assert a is not None, f"gradient {i}: torch gives one, we do not"
            assert_same(a, b, f"gradient {i}", rtol, atol)
