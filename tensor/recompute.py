"""Activation checkpointing: keep the inputs of a segment instead of everything in it, and compute it again in backward.

A chain of n segments, each of which saves a bytes for its backward, holds n·a bytes when backward begins. With
`checkpoint` around each of them it holds their n inputs, and the a bytes of the one that is being differentiated. The
price is one more forward pass: a training step of forward f and backward 2f takes 4f instead of 3f. Cut into √n
segments, n equal layers need O(√n) memory (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost",
arXiv:1604.06174). In a GPT the segment is a block, which saves about 20 times the size of its input.

For y = f(x; θ), backward computes f again from the very same x, θ and random numbers. The second graph holds the
values that the first would have kept, and the segment's VJP is its VJP:

    dx = (∂f/∂x)ᵀ dy,  dθ = (∂f/∂θ)ᵀ dy
"""

from __future__ import annotations

from collections.abc import Callable

from tensor.autograd import reachable, run_backward
from tensor.devices import memory_owner, namespace
from tensor.modes import enable_grad, state
from tensor.op import Op, edge, next_number
from tensor.random import get_rng_state, set_rng_state
from tensor.tensor import Tensor

SAMPLE = 256  # elements of an output by which backward knows the first run's result again
TOLERANCE = 1e-3  # of the largest of them: a sum in parallel may differ by rounding, another dropout mask differs more


def checkpoint(function: Callable, *args, preserve_rng_state: bool = True, **kwargs):
    """`function(*args, **kwargs)`, which backward calls again instead of keeping what was computed in it.

    >>> for block in blocks:
    ...     x = checkpoint(block, x)

    Values and gradients are those of the plain call, bit for bit, as long as no parameter is used both inside and
    outside (then its gradient's parts are summed in another order). Parameters that the function uses get their
    gradients, frozen ones stay without. Under `no_grad` this is the plain call.

    Args:
        function: returns a Tensor or a tuple of Tensors, the same ones each time. What else it does (a running
            mean, a print) happens twice. It may use any leaf, but a Tensor with a graph only from `args`.
        preserve_rng_state: draw the same numbers from the global random stream the second time, as dropout
            needs. The streams of other Generators are not put back.
    Raises RuntimeError: the function writes into an argument in place, or uses a Tensor whose graph is from
        outside; in backward: an argument or a parameter was changed in place since, or the function does not do
        the same as before (a module was switched to another mode, say).
    """
    if not state.grad_enabled:
        return function(*args, **kwargs)
    call = _Call(function, args, kwargs, get_rng_state() if preserve_rng_state else None)
    tensors = [a for a in args if isinstance(a, Tensor)]
    writes = [x._counter.writes for x in tensors]
    first_op = next_number()
    inputs, outputs = call.run()
    if [x._counter.writes for x in tensors] != writes:
        raise RuntimeError(f"checkpoint: {call.name} writes into an argument, which it will need again: clone() it")

    ops, leaves = reachable([edge(y) for y in outputs])[:2]
    if any(op.number < first_op for op in ops):
        raise RuntimeError(
            f"checkpoint: {call.name} uses a Tensor that was computed outside and has a graph: pass it as an argument"
        )
    reached = {id(leaf) for leaf in leaves}
    sources = [a if id(x) in reached else a.detach() for a, x in zip(tensors, inputs, strict=True)]
    own = {id(x) for x in inputs}
    call.parameters = [leaf for leaf in leaves if leaf.requires_grad and id(leaf) not in own]
    call.samples = [_sample(y) for y in outputs]
    results = Recompute.apply(*sources, *call.parameters, call=call, outputs=[y.array for y in outputs])
    return results if call.returns_tuple else results[0]


class Recompute(Op):
    """y = f(x; θ), of which the first run's graph is dropped; backward runs f again, and then through that run."""

    vjp = "dx, dθ = the VJP of f at x and θ, computed again"

    def forward(self, *arrays, call, outputs):
        self.arrays, self.call = arrays, call  # the arrays are watched: the second run must find the same values
        given = {id(memory_owner(a)) for a in arrays}
        return tuple(y.copy() if id(memory_owner(y)) in given else y for y in outputs)

    def backward(self, *dys):
        inputs, outputs = self.call.run_again()
        sources = [x for x, need in zip([*inputs, *self.call.parameters], self.needs, strict=True) if need]
        roots = [(y, dy) for y, dy in zip(outputs, dys, strict=True) if dy is not None]
        # The leaves' own hooks wait for the whole gradient, of which this is a part.
        found = run_backward([y for y, _ in roots], [dy for _, dy in roots], capture=sources, leaf_hooks=False)
        if any(g is None for g in found):
            raise self.call.changed()
        gradients = iter(found)
        return [next(gradients) if need else None for need in self.needs]


class _Call:
    """A function with its arguments, cut off from the graph, and the random state that it started from."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict, rng: dict | None):
        self.function, self.kwargs, self.rng, self.autocast = function, kwargs, rng, state.autocast
        self.args = [(a.detach(), a.requires_grad) if isinstance(a, Tensor) else (a, False) for a in args]
        self.name = getattr(function, "__name__", type(function).__name__)
        self.returns_tuple = False
        self.parameters: list[Tensor] = []  # the leaves that it uses besides its arguments
        self.samples: list = []

    def run(self) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """The arguments that are Tensors, as leaves, and the outputs, whose graph ends there."""
        args = [a.detach().requires_grad_(need) if isinstance(a, Tensor) else a for a, need in self.args]
        result = self.function(*args, **self.kwargs)
        self.returns_tuple = isinstance(result, tuple)
        outputs = result if isinstance(result, tuple) else (result,)
        if not all(isinstance(y, Tensor) for y in outputs):
            raise TypeError(f"checkpoint: {self.name} must return a Tensor or a tuple of Tensors")
        return [a for a in args if isinstance(a, Tensor)], outputs

    @enable_grad()
    def run_again(self) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """`run` from the same random state, with the same autocast; both are afterwards as if nothing had been."""
        now, autocast = get_rng_state(), state.autocast
        try:
            state.autocast = self.autocast
            if self.rng is not None:
                set_rng_state(self.rng)
            inputs, outputs = self.run()
        finally:
            set_rng_state(now)
            state.autocast = autocast
        if len(outputs) != len(self.samples) or not all(map(_is_close, self.samples, map(_sample, outputs))):
            raise self.changed()
        return inputs, outputs

    def changed(self) -> RuntimeError:
        return RuntimeError(
            f"checkpoint: {self.name} did not do the same when backward ran it again, so its gradient would be wrong. "
            f"Does it depend on something that has changed since, such as train() and eval(), or make parameters?"
        )


def _sample(y: Tensor):
    """The shape and a few elements of y."""
    flat = y.array.reshape(-1)
    return y.shape, flat[:: max(1, flat.size // SAMPLE)].copy()


def _is_close(one, other) -> bool:
    (shape, a), (other_shape, b) = one, other
    if shape != other_shape:
        return False
    if not a.size:
        return True
    xp = namespace(a)
    return bool(xp.allclose(a, b, rtol=0, atol=TOLERANCE * float(abs(a).max()), equal_nan=True))
