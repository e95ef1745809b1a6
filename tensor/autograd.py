"""Reverse-mode automatic differentiation: `backward` and `grad`.

`backward` walks the graph that `tensor/op.py` recorded from the loss to the leaves and hands every op the
gradient of its output, `dy`; the op answers with the gradients of its inputs (its vector-Jacobian product,
VJP), and what arrives at a leaf is added to `leaf.grad`.

Two facts keep this short:
- ops are numbered as they are made, and an op's inputs always exist before it does. So descending order of
  number *is* a topological order, and no recursion is needed: a graph 100,000 ops deep works.
- everything that all ops have in common happens here, once: un-broadcasting, dtypes, accumulation, version
  checks, hooks, freeing.

Gradients of gradients are not supported, by decision: `Op.backward` works on raw arrays, so that a derivative may
be a fused kernel, may use scratch memory in place and may free what it has used. A backward made of Tensors could be
differentiated again, but each training step would pay for it, and every fused op would need a second, longer
derivation. `create_graph=True` says so.
"""

from __future__ import annotations

import functools
import math
import operator
import sys
from collections.abc import Iterable, Sequence

import numpy as np

from tensor import anomaly
from tensor.devices import beside, is_array, is_array_type, namespace
from tensor.modes import is_quiet, state
from tensor.op import Op, edge
from tensor.tensor import Tensor, wrap

ONLY_THE_LIST = 2  # references to an array that only one list holds: the list's, and getrefcount's argument

NO_SECOND_ORDER = (
    "create_graph=True is not supported: backward computes on raw arrays (fused, freed as it goes), so a "
    "gradient cannot be differentiated again. For a second derivative, difference the gradient numerically."
)


def _check_versions(op: Op) -> None:
    for name, counter, writes in op.saved:
        if counter.writes != writes:
            made = f" It was called at\n{op.where}" if op.where else " detect_anomaly() shows where it was called."
            raise RuntimeError(
                f"backward of {op.name} needs the value `{name}` that its forward saw, but that was changed in place "
                f"{counter.writes - writes} time(s) since. Use an out-of-place operation (x = x + 1 for x += 1) "
                f"or write to a clone().{made}"
            )


def _is_ours(arrays: list, i: int) -> bool:
    """May arrays[i] be written to? Not where somebody else holds it, a view of it, or an array that it is a view of.

    Add, for one, hands the same dy to both of its inputs; and a hook may have kept what it was shown.
    """
    return arrays[i].base is None and sys.getrefcount(arrays[i]) <= ONLY_THE_LIST


def _add_part(totals: list, nr: int, parts: list, i: int) -> None:
    """totals[nr] += parts[i], in place where one of the two arrays is ours."""
    if _is_ours(totals, nr):
        totals[nr] += parts[i]
    elif _is_ours(parts, i):
        parts[i] += totals[nr]
        totals[nr] = parts[i]
    else:
        total = totals[nr] + parts[i]  # of two arrays without dims it is a scalar of NumPy's
        totals[nr] = total if is_array(total) else namespace(parts[i]).asarray(total)


def run_backward(
    roots: Sequence[Tensor],
    gradients: Sequence,
    *,
    retain_graph: bool = False,
    capture: Sequence = (),
    leaf_hooks: bool = True,
):
    """Send `gradients` from `roots` through the graph.

    Without `capture`, gradients are added to `.grad` of the leaves. With it (a sequence of Tensors), nothing
    is accumulated and the list of their gradients is returned, None where a Tensor was not reached. Without
    `leaf_hooks` the hooks of leaves do not run: what arrives is only a part of their gradient.
    """
    walk = beside([roots[0].array], _run_backward)
    if not is_quiet():
        walk = functools.partial(state.quiet.run, walk)
    return walk(roots, gradients, retain_graph, capture, leaf_hooks)


def _run_backward(roots, gradients, retain_graph, capture, leaf_hooks):
    start = [edge(root) for root in roots]
    ops, missing, pending = reachable(start)
    wanted = {}  # (id of source, output number) -> gradient
    for x in capture:
        source, nr, _, _ = edge(x)
        wanted[id(source), nr] = None

    def hand_on(targets, grads: list) -> None:
        """Give each target its gradient; a leaf that misses no more is done, so its array is free for others."""
        whole = []
        for i, target in enumerate(targets):
            if target is None:
                continue
            source, nr, _, _ = target
            totals = pending[source]
            if totals[nr] is None:
                totals[nr] = grads[i]
            else:
                _add_part(totals, nr, grads, i)
            grads[i] = None  # from here on `totals` alone holds it
            if source in missing:
                missing[source] -= 1
                if missing[source] == 0:
                    whole.append(source)
        for leaf in whole:
            total = pending.pop(leaf)
            if leaf._hooks and leaf_hooks:
                for hook in leaf._hooks:
                    _run_hook(hook, total, 0)
            if not capture:
                _accumulate(leaf, total, 0)
            elif (id(leaf), 0) in wanted:
                wanted[id(leaf), 0] = total[0]

    hand_on(start, list(gradients))
    for op in ops:
        dys = pending.pop(op)
        if len(dys) > 1 or op.hooks or op.retained:
            _complete(op, dys)
        if wanted:
            for nr, dy in enumerate(dys):
                if (id(op), nr) in wanted:
                    wanted[id(op), nr] = dy
        if op.saved:
            _check_versions(op)
        targets, grads = op.edges, _input_gradients(op, dys)
        if not retain_graph:  # drop what was saved; a second backward through this op will raise
            op.__dict__.clear()
            op.edges, op.saved = None, []
        hand_on(targets, grads)
    return [wanted[id(source), nr] for source, nr, _, _ in map(edge, capture)]


def reachable(start) -> tuple[list[Op], dict[Tensor, int], dict[Op | Tensor, list]]:
    """What lies behind `start`: all ops, newest first (a topological order); and all leaves, each with the number of
    gradients that it will get. And for every one a list with the gradient of each output, None to begin with.
    """
    ops: list[Op] = []
    leaves: dict[Tensor, int] = {}
    pending: dict[Op | Tensor, list] = {}
    sources = [e[0] for e in start]
    for source in sources:  # which grows meanwhile
        if isinstance(source, Tensor):
            leaves[source] = leaves.get(source, 0) + 1
            pending[source] = [None]
            continue
        if source in pending:
            continue
        if source.edges is None:
            raise RuntimeError(
                f"backward a second time through {source.name}: its saved values were freed by the first. "
                f"Pass retain_graph=True to the first backward, or compute the forward again."
            )
        pending[source] = [None] * len(source.outputs)
        ops.append(source)
        sources += [e[0] for e in source.edges if e is not None]
    ops.sort(key=operator.attrgetter("number"), reverse=True)
    return ops, leaves, pending


def _complete(op: Op, dys: list) -> None:
    """Zeros for each floating output that nobody used; then the hooks of all, and the gradients that were asked for."""
    for nr, (shape, dtype) in enumerate(op.outputs):
        if dys[nr] is None and dtype.kind == "f":
            dys[nr] = namespace(*dys).zeros(shape, dtype)
        if op.hooks:
            for hook in op.hooks.get(nr, ()):
                _run_hook(hook, dys, nr)
        if op.retained and nr in op.retained:
            kept = op.retained[nr]()
            if kept is not None:
                _accumulate(kept, dys, nr)


def _input_gradients(op: Op, dys: list) -> list:
    """Run `op.backward` and bring each gradient to its input's shape and dtype; None where none is wanted."""
    assert op.backward is not None and op.edges is not None  # or it would not have been recorded
    backward = op.backward
    if state.recorder is not None:
        backward = functools.partial(state.recorder.backward, op)
    if type(dys[0]) is not np.ndarray:  # on a GPU, maybe not the current one
        backward = beside(dys, backward)
    grads = backward(*dys)
    grads = list(grads) if isinstance(grads, (tuple, list)) else [grads]
    if len(grads) != len(op.edges):
        raise RuntimeError(f"{op.name}.backward returned {len(grads)} gradient(s) for {len(op.edges)} inputs")
    for i, target in enumerate(op.edges):
        if target is None:
            grads[i] = None
            continue
        if grads[i] is None:
            raise RuntimeError(f"{op.name} has no gradient rule for input {i}, which requires grad: detach() it")
        _, _, shape, dtype = target
        g = grads[i] if is_array_type(type(grads[i])) else namespace(*dys).asarray(grads[i])
        if g.shape != shape:
            g = unbroadcast(g, shape, op)
        grads[i] = g if g.dtype == dtype else g.astype(dtype)
    if state.anomaly:
        anomaly.check_backward(op, dys, grads)
    return grads


def unbroadcast(g, shape: tuple[int, ...], op: Op):
    """Sum `g` over the axes along which an input of `shape` was broadcast: the VJP of broadcasting."""
    grown = broadcast_axes(g.shape, shape)
    summed = g.sum(axis=grown, keepdims=True) if grown else g
    extra = g.ndim - len(shape)
    if extra < 0 or summed.shape[extra:] != shape:
        raise RuntimeError(
            f"{op.name}.backward returned a gradient of shape {g.shape} for an input of shape {shape}, "
            f"and that is not a broadcast of it"
        )
    return summed.reshape(shape)


def broadcast_axes(shape: tuple[int, ...], original: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of `shape` along which `original` was repeated to get there."""
    extra = len(shape) - len(original)
    return tuple(i for i in range(len(shape)) if i < extra or (original[i - extra] == 1 and shape[i] != 1))


def _run_hook(hook, totals: list, nr: int) -> None:
    replacement = hook(wrap(totals[nr]))
    if replacement is not None:
        if replacement.shape != totals[nr].shape:
            raise RuntimeError(f"a hook returned a gradient of shape {replacement.shape}, expected {totals[nr].shape}")
        totals[nr] = replacement.array


def _accumulate(x: Tensor, totals: list, nr: int) -> None:
    """x.grad += totals[nr]; the array becomes x's own, so a copy where it is not ours."""
    if x.grad is not None:
        x.grad.array += totals[nr]
        x.grad.mark_written()
    else:
        x.grad = wrap(totals[nr] if _is_ours(totals, nr) else totals[nr].copy())


def backward(y: Tensor, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False) -> None:
    """Add the gradient of `y` with respect to every leaf behind it to that leaf's `.grad`.

    Args:
        gradient: dL/dy, of y's shape; may be left out for a one-element `y` and is 1 then.
        retain_graph: keep what the ops saved, so that `backward` may run again.
        create_graph: not supported, raises.
    Raises RuntimeError: `y` has no graph, is no scalar and `gradient` is missing, the graph was freed, or a
        saved value was changed in place.
    """
    _check_root(y, create_graph)
    run_backward([y], [_seed(y, gradient)], retain_graph=retain_graph)


def grad(
    outputs: Tensor | Iterable[Tensor],
    inputs: Tensor | Iterable[Tensor],
    grad_outputs: Tensor | Iterable[Tensor | None] | None = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of sum(outputs · grad_outputs) with respect to `inputs`; no `.grad` is touched.

    Returns one Tensor for each input. An input that the outputs do not depend on raises RuntimeError, or
    gives None with `allow_unused=True`.
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None:
        grad_outputs = [None] * len(outputs)
    elif isinstance(grad_outputs, Tensor):
        grad_outputs = [grad_outputs]
    for y in outputs:
        _check_root(y, create_graph)
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            raise RuntimeError(f"grad: input {i} does not require grad; call requires_grad_() before the forward pass")
    seeds = [_seed(y, g) for y, g in zip(outputs, grad_outputs, strict=True)]
    found = run_backward(outputs, seeds, retain_graph=retain_graph, capture=inputs)
    for i, g in enumerate(found):
        if g is None and not allow_unused:
            raise RuntimeError(f"grad: the outputs do not depend on input {i}; allow_unused=True gives None for it")
    return tuple(None if g is None else wrap(g.copy()) for g in found)


def _check_root(y: Tensor, create_graph: bool) -> None:
    if create_graph:
        raise RuntimeError(NO_SECOND_ORDER)
    if not y.requires_grad:
        raise RuntimeError(
            "backward on a Tensor that does not require grad: nothing behind it has requires_grad=True "
            "(or it was computed under no_grad(), or detach()ed)"
        )


def _seed(y: Tensor, gradient: Tensor | None):
    if gradient is None:
        if math.prod(y.shape) != 1:
            raise RuntimeError(
                f"backward on a Tensor of shape {tuple(y.shape)} needs a gradient of that shape: "
                f"pass backward(gradient=...), or reduce to a scalar with sum() or mean()"
            )
        return beside([y.array], namespace(y.array).ones_like)(y.array)
    if gradient.shape != y.shape:
        raise RuntimeError(f"the gradient has shape {gradient.shape}, the Tensor {y.shape}: they must agree")
    return gradient.array.astype(y.array.dtype, copy=False)
