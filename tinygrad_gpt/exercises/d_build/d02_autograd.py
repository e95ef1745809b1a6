"""Autograd of your own, in a hundred lines.

Every operation makes a new Value that remembers what it was made from, and how its gradient flows back to that.
backward walks the graph from the end to the leaves. The check holds each of your gradients against the engine's and
then trains a network with your class.
"""

import numpy as np

from tensor import Tensor
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


class Value:
    """An array in a graph. `data` is the array, `grad` the gradient of the result with respect to it, of its shape.

    `inputs` are the Values that it was made from; `send(dy)` gives each of them its share of the gradient dy.
    """

    def __init__(self, data, inputs=(), send=None):  # given
        """A leaf, or with `inputs` and `send` the result of an operation."""
        self.data = np.asarray(data, dtype=np.float64)
        self.grad = np.zeros_like(self.data)
        self.inputs, self.send = inputs, send

    def receive(self, g):
        """Add g to self.grad: the gradient from one of the uses of this Value.

        Where this Value was broadcast in that use, g is larger: sum it over the dims that are new or were stretched.
        """
        new = g.ndim - self.data.ndim
        g = g.sum(axis=tuple(range(new)))
        stretched = tuple(dim for dim, size in enumerate(self.data.shape) if size == 1)
        self.grad += g.sum(axis=stretched, keepdims=True)

    def __add__(self, other):  # given
        """y = a + b;  da = dy, db = dy. The pattern for all that follow."""
        other = as_value(other)

        def send(dy):
            self.receive(dy)
            other.receive(dy)

        return Value(self.data + other.data, (self, other), send)

    def __mul__(self, other):
        """y = a ⊙ b;  da = dy ⊙ b, db = dy ⊙ a."""
        other = as_value(other)

        def send(dy):
            self.receive(dy * other.data)
            other.receive(dy * self.data)

        return Value(self.data * other.data, (self, other), send)

    def __matmul__(self, other):
        """y = a b for matrices (N, K) and (K, M);  da = dy bᵀ, db = aᵀ dy."""

        def send(dy):
            self.receive(dy @ other.data.T)
            other.receive(self.data.T @ dy)

        return Value(self.data @ other.data, (self, other), send)

    def __pow__(self, n):
        """y = xⁿ for a number n;  dx = dy ⊙ n xⁿ⁻¹."""
        return Value(self.data**n, (self,), lambda dy: self.receive(dy * n * self.data ** (n - 1)))

    def exp(self):
        """y = eˣ;  dx = dy ⊙ y."""
        y = np.exp(self.data)
        return Value(y, (self,), lambda dy: self.receive(dy * y))

    def log(self):
        """y = ln x;  dx = dy / x."""
        return Value(np.log(self.data), (self,), lambda dy: self.receive(dy / self.data))

    def relu(self):
        """y = max(x, 0);  dx = dy where x > 0, else 0."""
        return Value(np.maximum(self.data, 0), (self,), lambda dy: self.receive(dy * (self.data > 0)))

    def sum(self, dim=None, keepdim=False):
        """y = Σ x along dim, a number, or over everything;  dx = dy, spread out to the shape of x."""

        def send(dy):
            if dim is not None and not keepdim:
                dy = np.expand_dims(dy, dim)  # the dim that was summed away, back as a dim of size 1
            self.receive(np.broadcast_to(dy, self.data.shape))

        return Value(self.data.sum(axis=dim, keepdims=keepdim), (self,), send)

    def __getitem__(self, index):
        """y = x[index];  dx is 0 but for dx[index] += dy, once for each time that an element was picked."""

        def send(dy):
            dx = np.zeros_like(self.data)
            np.add.at(dx, index, dy)
            self.receive(dx)

        return Value(self.data[index], (self,), send)

    def backward(self):
        """Fill in `grad` of every Value that this one, a single number, was made from: d self / d self is 1."""
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            value, inputs_are_done = stack.pop()
            if inputs_are_done:
                order.append(value)
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                stack.extend((x, False) for x in value.inputs)
        self.grad = np.ones_like(self.data)
        for value in reversed(order):  # whatever used it has sent its share before its own turn comes
            if value.send is not None:
                value.send(value.grad)

    def __neg__(self):  # given
        """−x, and so on: made of the operations above, so they need no gradient of their own."""
        return self * -1.0

    def __sub__(self, other):  # given
        """a − b."""
        return self + as_value(other) * -1.0

    def __truediv__(self, other):  # given
        """a / b."""
        return self * as_value(other) ** -1.0

    def __radd__(self, other):  # given
        """2 + x."""
        return self + other

    def __rmul__(self, other):  # given
        """2 * x."""
        return self * other


def as_value(x):  # given
    """x itself, or a number or array as a leaf."""
    return x if isinstance(x, Value) else Value(x)


HINTS = [
    "Begin with receive (exercise A31) and backward (exercise D01). Then copy the pattern of __add__: compute the "
    "result, say in send how dy is shared out, return a Value with both. The check names the first one that is wrong.",
    "Gradients add up, always: receive uses +=, since a Value may be used many times. backward sets its own grad to "
    "ones and then calls send(value.grad) for the values in reversed topological order, skipping the leaves.",
    "The sum's send needs dy in the shape of x: np.expand_dims puts a summed dim back, np.broadcast_to stretches it. "
    "For indexing, np.add.at(dx, index, dy) counts an element that was picked twice twice; dx[index] += dy does not.",
]
READ = [
    Read(
        "tensor/autograd.py",
        "",
        "the same engine, with hooks, versions, views and freeing: about a page of it is yours",
    ),
    Read("tensor/op.py", "Op", "the pattern of __add__ as a class: forward beside backward"),
    Read("tensor/ops/matmul.py", "Matmul", "your matrix product, for any number of batch dims"),
    Read("tensor/ops/index.py", "sum_at", "your np.add.at"),
]
MISTAKES = [
    Mistake(
        "self.grad += g.sum(",
        "self.grad = g.sum(",
        "Only the last use of a Value counts: gradients from all uses add up (+=).",
    ),
    Mistake("np.add.at(dx, index, dy)", "dx[index] += dy", "An element that was picked twice gets both gradients."),
    Mistake("dy @ other.data.T", "dy.T @ other.data", "The transposed matrix is the wrong one: da = dy bᵀ."),
    Mistake("reversed(order)", "order", "The leaves come first in the order: backward starts at the other end."),
    Mistake("(self.data > 0)", "(dy > 0)", "relu lets a gradient through where x > 0; the sign of dy does not matter."),
    Mistake("dy * n * self.data ** (n - 1)", "dy * n * self.data", "The exponent falls by one, to n − 1."),
    Mistake(
        "g = g.sum(axis=tuple(range(new)))",
        "g = g[0] if new else g",
        "Of a broadcast Value's copies only the first counts: sum over them.",
    ),
]
SECONDS = 30.0

STEPS = 150  # of training, which take about a second

# what is checked: a formula in a, b and c, and their shapes
FORMULAS = {
    "a + b": ((2, 3), (2, 3)),
    "a * b": ((2, 3), (2, 3)),
    "a * a": ((3,),),
    "a @ b": ((2, 3), (3, 4)),
    "a ** 3.0": ((2, 3),),
    "a.exp()": ((2, 3),),
    "a.relu()": ((3, 4),),
    "(a * a + 1.0).log()": ((2, 3),),
    "a.sum()": ((2, 3),),
    "a.sum(1)": ((2, 3),),
    "a.sum(0, keepdim=True)": ((2, 3),),
    "a[1]": ((2, 3),),
    "a[[0, 2, 0]]": ((3, 2),),
    "a[[0, 1], [2, 2]]": ((2, 3),),
    "a + b  # b is broadcast": ((2, 3), (3,)),
    "a * b  # b is broadcast": ((2, 3), (2, 1)),
    "a * b  # b is one number": ((2, 3), ()),
    "a - b / (c * c + 1.0)": ((2, 3), (3,), (2, 1)),
    "a @ b + (a @ b).exp() * (a @ b)": ((2, 3), (3, 2)),
    "a.exp() / a.exp().sum(1, keepdim=True)": ((2, 4),),
}


def check(student, draw):
    for formula, shapes in FORMULAS.items():
        _check_formula(student, formula, [draw.floats(*shape, dtype=np.float64).array for shape in shapes])
    _check_depth(student)
    first, last = _train(student, draw.rng)
    if not last < 0.5 * first:
        raise Wrong(f"All formulas are right, but training takes the loss from {first:.3f} to {last:.3f} only.")
    return (
        f"Every gradient is right. Your autograd has trained a network of two layers: loss {first:.3f} -> {last:.3f}."
    )


def _check_formula(student, formula, arrays):
    """The value, and the gradient of a weighted sum of it, against the engine's."""
    names = "abc"[: len(arrays)]
    shown = {"formula": formula} | dict(zip(names, arrays, strict=True))
    mine = {name: student.Value(array.copy()) for name, array in zip(names, arrays, strict=True)}
    theirs = {name: Tensor(array.copy(), requires_grad=True) for name, array in zip(names, arrays, strict=True)}
    y, expected = eval(formula, {}, mine), eval(formula, {}, theirs)
    if not isinstance(y, student.Value):
        raise Wrong(f"{formula} is a {type(y).__name__}, expected a Value.", shown)
    expect(f"the value of {formula}", expected.array, y.data, inputs=shown)
    weights = np.cos(np.arange(expected.numel())).reshape(expected.shape)  # all different: dy is no plain 1
    (expected * Tensor(weights)).sum().backward()
    loss = (y * weights).sum()
    before = loss.grad.copy()
    loss.backward()
    if loss.data.size == 1 and np.array_equal(loss.grad, before):
        raise Wrong("backward leaves the gradient of the result itself at 0; it begins with 1.", shown)
    if not any(value.grad.any() for value in mine.values()):
        raise Wrong(f"No gradient arrives in {formula}: backward calls send, from the end to the leaves.", shown)
    for name, value in mine.items():
        expect(f"the gradient of {name} in {formula}", theirs[name].grad.array, value.grad, inputs=shown)


def _check_depth(student, depth=3000):
    x = student.Value(2.0)
    y = x
    for _ in range(depth):
        y = y + 1.0
    try:
        y.backward()
    except RecursionError:
        raise Wrong(f"backward cannot walk a graph that is {depth:,} operations deep: use a list as a stack.") from None
    expect(f"the gradient through {depth:,} additions", np.ones(()), x.grad)


def _train(student, rng):
    """Two layers on points in and around a circle, by gradient descent: the first loss and the last."""
    points = rng.uniform(-1, 1, (64, 2))
    inside = (np.hypot(*points.T) < 0.7).astype(int)
    w1, b1 = student.Value(rng.standard_normal((2, 16))), student.Value(np.zeros(16))
    w2, b2 = student.Value(rng.standard_normal((16, 2)) * 0.25), student.Value(np.zeros(2))
    losses = []
    for _ in range(STEPS):
        hidden = (student.Value(points) @ w1 + b1).relu()
        scores = (hidden @ w2 + b2).exp()
        p = scores / scores.sum(1, keepdim=True)
        loss = -p[np.arange(64), inside].log().sum() / 64.0
        loss.backward()
        losses.append(float(loss.data))
        for parameter in (w1, b1, w2, b2):
            parameter.data -= parameter.grad
            parameter.grad = np.zeros_like(parameter.data)
    return losses[0], losses[-1]
