"""Random programs of views, in-place writes and reads: on both engines the same values and gradients, or both raise.

A program works on a pool of Tensors that begins with x (computed from a leaf) and w (a leaf). A step takes a view of
one of them into the pool, writes to one in place, or reads one into the loss. Reads save values for backward,
so a later write must be found by the version counters; writes through views must reach their parents' gradients.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

import tensor

VIEWS = {
    "first": lambda x: x[0],
    "last": lambda x: x[-1],
    "tail": lambda x: x[1:],
    "every other": lambda x: x[..., ::2],
    "transpose": lambda x: x.transpose(0, -1),
    "flat": lambda x: x.reshape(-1),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.squeeze(),
    "whole": lambda x: x[...],
    "detached": lambda x: x.detach(),
    "diagonal": lambda x: x.diagonal(0, 0, -1),
    "narrow": lambda x: x.narrow(0, 0, 1),
    "expanded": lambda x: x.unsqueeze(0).expand(2, *x.shape),
    "copy": lambda x: x * 1,
}

WRITES = {
    "add a number": lambda x, other: x.add_(0.5),
    "mul a number": lambda x, other: x.mul_(1.5),
    "add itself": lambda x, other: x.add_(x),
    "mul by another": lambda x, other: x.mul_(other.sum()),
    "add another": lambda x, other: x.add_(other.reshape(-1)[0]),
    "square": lambda x, other: x.mul_(x),
    "zero": lambda x, other: x.zero_(),
    "fill": lambda x, other: x.fill_(0.7),
    "sigmoid": lambda x, other: x.sigmoid_(),
    "exp": lambda x, other: x.mul_(0.1).exp_(),
    "copy": lambda x, other: x.copy_(other.mean()),
    "set first": lambda x, other: x.__setitem__(0, other.sum()),
    "set all": lambda x, other: x.__setitem__(slice(None), 0.3),
    "set by mask": lambda x, other: x.__setitem__(x > 0.8, 0.2),
    "masked_fill": lambda x, other: x.masked_fill_(x > 0.8, 0.1),
    "+=": lambda x, other: x.__iadd__(other.mean()),
}

steps = st.one_of(
    st.tuples(st.just("view"), st.sampled_from(sorted(VIEWS)), st.integers(0, 9)),
    st.tuples(st.just("write"), st.sampled_from(sorted(WRITES)), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("read"), st.integers(0, 9)),
)


def run(T, program):
    """(values of the pool, gradients of both leaves), or the step at which it raised."""
    base = np.linspace(0.3, 1.4, 12).reshape(3, 4)
    leaf = T.tensor(base, requires_grad=True)
    w = T.tensor([0.5, 1.25], dtype=T.float64, requires_grad=True)
    pool = [leaf * 1, w]
    loss = (w * w).sum()
    try:
        for number, (kind, *what) in enumerate(program):
            if kind == "view":
                name, source = what
                pool.append(VIEWS[name](pool[source % len(pool)]))
            elif kind == "write":
                name, target, other = what
                WRITES[name](pool[target % len(pool)], pool[other % len(pool)])
            else:
                read = pool[what[0] % len(pool)]
                loss = loss + (read * read).sum()
        number = "backward"
        for x in pool:
            loss = loss + (x * x.sin()).sum()
        loss.backward()
    except (RuntimeError, IndexError) as problem:
        return f"raises at {number}", problem
    grads = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in (leaf, w)]
    return [x.detach().numpy() for x in pool], grads


@settings(examples, max_examples=1500)
@given(program=st.lists(steps, min_size=1, max_size=8))
def test_random_programs_of_in_place_writes(program):
    expected, found = run(torch, program), run(tensor, program)
    if isinstance(expected[0], str) or isinstance(found[0], str):
        assert found[0] == expected[0], f"PyTorch: {expected}\nhere: {found}"
        return
    for group, (ours, theirs) in zip(("values", "gradients"), zip(found, expected, strict=True), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a == pytest.approx(b, rel=1e-9, abs=1e-12), group
