"""Are the gradients right? Two answers: by differencing the function itself, and by asking PyTorch.

`gradcheck` needs nothing but the function: a derivative is the limit of (f(x + ε) − f(x − ε)) / 2ε, and in
float64 that difference is good to about nine digits. `check_against_torch` runs the same lines on both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

from tensor.autograd import grad
from tensor.devices import CPU, move, namespace
from tensor.modes import enable_grad, no_grad
from tensor.tensor import Tensor, wrap

__all__ = ["GradcheckError", "check_against_torch", "gradcheck"]


class GradcheckError(RuntimeError):
    """An analytic gradient differs from the one it was compared with."""


def gradcheck(
    fn: Callable,
    inputs: Tensor | Sequence,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of `fn(*inputs)` with central differences, element by element.

    The whole Jacobian is checked: every element of every floating output against every element of every
    input that requires grad, |analytic − numeric| ≤ atol + rtol · |numeric|.

    Args:
        fn: a deterministic function of the inputs that returns a Tensor or several.
        inputs: Tensors (others are passed on as they are). Those that require grad are checked; they must be
            float64, as in float32 the difference loses too many digits, and no two elements may share memory.
        eps: the step ε.
        raise_exception: False returns False instead of raising.
    Raises:
        GradcheckError: the gradients disagree; the text names the worst element.
        ValueError: the inputs or the function cannot be checked.

    >>> x = tensor.tensor([0.5, -1.0], dtype=tensor.float64, requires_grad=True)
    >>> tensor.gradcheck(lambda x: (x * x).tanh(), [x])
    True
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [(i, x) for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    _check_inputs(checked)
    analytic = _analytic_jacobians(fn, inputs, checked)
    worst, message = 0.0, ""
    for column, (i, x) in enumerate(checked):
        numeric = _numeric_jacobians(fn, inputs, x, eps)
        for o, (a, n) in enumerate(zip(analytic[column], numeric, strict=True)):  # each (numel of output, numel of x)
            excess = np.abs(a - n) - atol - rtol * np.abs(n)
            excess[np.isnan(excess)] = np.inf  # a NaN on either side never counts as agreement
            if excess.size and excess.max() > worst:
                worst = excess.max()
                row, element = np.unravel_index(excess.argmax(), excess.shape)
                at = tuple(int(k) for k in np.unravel_index(element, x.shape)) if x.ndim else ()
                message = (
                    f"gradcheck: input {i} of {len(inputs)}, element {at}: the derivative of output {o} (its "
                    f"element {row} in row-major order) is {a[row, element]:.9g} by backward and "
                    f"{n[row, element]:.9g} by central differences; this is the worst element"
                )
    if message and raise_exception:
        raise GradcheckError(message)
    return not message


def _check_inputs(checked: Sequence[tuple[int, Tensor]]) -> None:
    if not checked:
        raise ValueError("gradcheck: no input requires grad, so nothing can be checked: pass requires_grad=True")
    for i, x in checked:
        if x.dtype != np.float64:
            raise ValueError(
                f"gradcheck: input {i} is {x.dtype}; differences need float64: create it with dtype=float64"
            )
        offsets = np.zeros(x.shape, dtype=np.int64)
        for axis, step in enumerate(x.array.strides):
            along = [1] * x.ndim
            along[axis] = -1
            offsets += (np.arange(x.shape[axis]) * step).reshape(along)
        shared = np.unique(offsets).size != offsets.size
        if shared or any(namespace(x.array).may_share_memory(x.array, y.array) for _, y in checked if y is not x):
            raise ValueError(
                f"gradcheck: elements of input {i} share memory with each other or with another input, so "
                f"one cannot be moved alone: pass clone()s"
            )


def _outputs(fn: Callable, inputs: Sequence) -> list[Tensor]:
    """The floating outputs of `fn(*inputs)`."""
    result = fn(*inputs)
    outputs = [y for y in (result if isinstance(result, tuple | list) else [result]) if isinstance(y, Tensor)]
    outputs = [y for y in outputs if y.is_floating_point()]
    if not outputs:
        raise ValueError("gradcheck: fn returned no floating-point Tensor, there is nothing to differentiate")
    for o, y in enumerate(outputs):
        if y.dtype != np.float64:
            raise ValueError(f"gradcheck: output {o} is {y.dtype}; differences need float64 all the way through")
    return outputs


def _analytic_jacobians(fn: Callable, inputs: Sequence, checked: Sequence) -> list[list[np.ndarray]]:
    """By backward: for each checked input, for each output, the matrix (numel of output, numel of input)."""
    with enable_grad():
        outputs = _outputs(fn, inputs)
    with no_grad():
        for y, again in zip(outputs, _outputs(fn, inputs), strict=True):
            if not np.array_equal(move(y.array, CPU), move(again.array, CPU), equal_nan=True):
                raise ValueError("gradcheck: fn gave two different results for the same inputs: fix its random numbers")
    jacobians = [[np.zeros((y.numel(), x.numel())) for y in outputs] for _, x in checked]
    for o, y in enumerate(outputs):
        if not y.requires_grad:
            continue  # its gradients are zero then, and the differences had better agree
        for row in range(y.numel()):
            dy = namespace(y.array).zeros(y.shape)
            dy.reshape(-1)[row] = 1
            grads = grad(y, [x for _, x in checked], wrap(dy), retain_graph=True, allow_unused=True)
            for column, g in enumerate(grads):
                if g is not None:
                    jacobians[column][o][row] = move(g.array, CPU).reshape(-1)
    return jacobians


def _numeric_jacobians(fn: Callable, inputs: Sequence, x: Tensor, eps: float) -> list[np.ndarray]:
    """By central differences: for each output, the matrix (numel of output, numel of `x`)."""

    def outputs_at(index: tuple[int, ...], value: float) -> list[np.ndarray]:
        x.array[index] = value
        with no_grad():
            return [move(y.array, CPU).reshape(-1).copy() for y in _outputs(fn, inputs)]

    with no_grad():
        columns: list[list[np.ndarray]] = [[] for _ in _outputs(fn, inputs)]
    for index in np.ndindex(x.shape):
        before = float(x.array[index])
        try:
            above, below = outputs_at(index, before + eps), outputs_at(index, before - eps)
        finally:
            x.array[index] = before
        for column, up, down in zip(columns, above, below, strict=True):
            column.append((up - down) / (2 * eps))
    with no_grad():
        sizes = [y.numel() for y in _outputs(fn, inputs)]
    return [np.array(column).reshape(len(column), size).T for column, size in zip(columns, sizes, strict=True)]


def check_against_torch(
    fn: Callable, inputs: Tensor | Sequence, rtol: float = 1e-7, atol: float = 1e-9
) -> dict[str, float]:
    """Run `fn(module, *inputs)` on this engine and on PyTorch, and compare results and gradients.

    `fn` gets the module to work with first, `tensor` or `torch`, then the inputs as Tensors of that module:
    one function serves both, since the names are the same. All outputs get the same random gradients.

    Returns:
        the largest absolute difference for each "output i" and each "grad of input i" (of the inputs that
        require grad).
    Raises:
        GradcheckError: a shape or dtype differs, or |ours − torch| > atol + rtol · |torch| somewhere; with
            a table of all differences.
        ImportError: PyTorch is not installed.

    >>> x = tensor.randn(3, 4, dtype=tensor.float64, requires_grad=True)
    >>> w = tensor.randn(4, 2, dtype=tensor.float64, requires_grad=True)
    >>> tensor.check_against_torch(lambda T, x, w: (x @ w).tanh(), [x, w])
    {'output 0': 0.0, 'grad of input 0': 5.6e-17, 'grad of input 1': 1.1e-16}
    """
    try:
        import torch
    except ImportError as problem:
        raise ImportError(
            "check_against_torch compares with PyTorch, which is not installed: run `pip install torch`"
        ) from problem

    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    ours, theirs = [], []
    for x in inputs:
        if isinstance(x, Tensor):
            ours.append(wrap(x.array.copy()).requires_grad_(x.requires_grad))
            theirs.append(torch.from_numpy(move(x.array, CPU).copy()).requires_grad_(x.requires_grad))
        else:
            ours.append(x)
            theirs.append(x)
    this_module = sys.modules[__package__]  # the `tensor` that the user imported, whose names are complete by now
    found = _forward_and_gradients(this_module, grad, fn, ours, wrap)
    wanted = _forward_and_gradients(torch, torch.autograd.grad, fn, theirs, torch.from_numpy)
    return _compare(found, wanted, rtol, atol)


def _forward_and_gradients(module, grad_of: Callable, fn: Callable, inputs: Sequence, from_numpy: Callable) -> dict:
    """{"output 0": array, ..., "grad of input 0": array or None, ...} as `module` computes them."""
    result = fn(module, *inputs)
    outputs = result if isinstance(result, tuple | list) else [result]
    values = {f"output {i}": y.detach().cpu().numpy() for i, y in enumerate(outputs)}
    rng = np.random.default_rng(0)
    seeds = [rng.standard_normal(y.shape) for y in outputs]
    wanting = [(i, x) for i, x in enumerate(inputs) if getattr(x, "requires_grad", False)]
    roots = [
        (y, from_numpy(s).to(device=y.device, dtype=y.dtype))
        for y, s in zip(outputs, seeds, strict=True)
        if y.requires_grad
    ]
    grads = [None] * len(wanting)
    if wanting and roots:
        ys, dys = zip(*roots, strict=True)
        grads = grad_of(ys, [x for _, x in wanting], dys, allow_unused=True)
    for (i, _), g in zip(wanting, grads, strict=True):
        values[f"grad of input {i}"] = None if g is None else g.detach().cpu().numpy()
    return values


def _compare(found: dict, wanted: dict, rtol: float, atol: float) -> dict[str, float]:
    if found.keys() != wanted.keys():
        raise GradcheckError(f"check_against_torch: this engine gave {list(found)}, PyTorch {list(wanted)}")
    differences, lines, agree = {}, [], True
    for name, ours in found.items():
        theirs = wanted[name]
        if ours is None and theirs is not None:
            ours = np.zeros_like(theirs)  # no gradient and a zero gradient mean the same
        if theirs is None:
            theirs = np.zeros(0) if ours is None else np.zeros_like(ours)
            ours = theirs if ours is None else ours
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            agree = False
            lines.append(f"  {name}: {ours.dtype} {ours.shape} here, {theirs.dtype} {theirs.shape} in PyTorch: differs")
            continue
        close = np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True).all()
        with np.errstate(invalid="ignore"):
            apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        same = (ours == theirs) | (np.isnan(apart) & close)  # equal infinities, and NaN on both sides
        differences[name] = float(np.where(same, 0, apart).max(initial=0))
        agree = agree and bool(close)
        lines.append(f"  {name}: max difference {differences[name]:.3g}{'' if close else ': differs'}")
    if not agree:
        raise GradcheckError("check_against_torch: this engine and PyTorch disagree\n" + "\n".join(lines))
    return differences
