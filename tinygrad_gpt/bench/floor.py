"""The floor of a training step: its matrix products alone, and nothing between them, in NumPy (on a GPU, in CuPy).

What a step takes beyond that is what an engine adds: reading, writing, exponentials, bookkeeping.
"""

import math
from collections.abc import Iterator

import numpy as np

import tensor
from tensor.devices import Device, move, namespace
from tinygrad_gpt.bench.settings import Work
from tinygrad_gpt.bench.task import Task


def products(work: Work) -> Iterator[tuple[int, int, int, int, int]]:
    """(times, batch, m, k, n): the products (batch, m, k) @ (batch, k, n) of a step, forward and backward.

    Attention counts as if every position saw every other; an engine that leaves out the upper triangle can be below.
    """
    model = work.model
    T, C, V, L = model.block_size, model.n_embd, model.vocab_size, model.n_layer
    rows, heads, hs = work.batch_size * T, work.batch_size * model.n_head, C // model.n_head
    for times, inputs, outputs in ((L, C, 3 * C), (L, C, C), (L, C, 4 * C), (L, 4 * C, C), (1, C, V)):
        yield times, 1, rows, inputs, outputs  # y = x Wᵀ
        yield times, 1, rows, outputs, inputs  # dx = dy W
        yield times, 1, outputs, rows, inputs  # dW = dyᵀ x
    yield 2 * L, heads, T, hs, T  # q kᵀ, and dP = dy vᵀ
    yield 4 * L, heads, T, T, hs  # P v; dq, dk and dv


class MatrixProducts(Task):
    """The products of one step, each into memory that is there already."""

    cuda = tensor.cuda

    def __init__(self, work: Work):
        self.facts = {"numpy": np.__version__, "threads": work.threads}
        super().__init__(work)
        shapes = [(times, batch, m, k, n) for times, batch, m, k, n in products(work) if times]
        filler = self.generator.standard_normal(max(batch * max(m * k, k * n) for _, batch, m, k, n in shapes))
        filler = move(filler.astype(work.dtype), Device(work.device))
        xp = namespace(filler)
        self.operands = [
            (times, _first(filler, batch, m, k), _first(filler, batch, k, n), xp.empty((batch, m, n), work.dtype))
            for times, batch, m, k, n in shapes
        ]

    def iteration(self) -> None:
        matmul = namespace(self.operands[0][1]).matmul
        for times, a, b, y in self.operands:
            for _ in range(times):
                if len(a) == 1:
                    matmul(a[0], b[0], out=y[0])
                else:
                    matmul(a, b, out=y)


def _first(numbers, *shape: int):
    """The first of the numbers, in that shape."""
    return numbers[: math.prod(shape)].reshape(shape)
