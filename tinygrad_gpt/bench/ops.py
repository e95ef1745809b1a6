"""Single operations on 4x4, forward and backward: what an engine's bookkeeping costs, for there is hardly any work.

The two engines share their spelling, so each operation stands here once.
"""

from collections.abc import Callable

from tinygrad_gpt.bench.settings import Work
from tinygrad_gpt.bench.task import Task

# T: the module `tensor` or `torch`; F: its `nn.functional`; a, b (4, 4), w (4,): leaves; i (4,): positions
OPS: dict[str, Callable] = {
    "add": lambda T, F, a, b, w, i: a + b,
    "mul": lambda T, F, a, b, w, i: a * b,
    "matmul": lambda T, F, a, b, w, i: a @ b,
    "sum": lambda T, F, a, b, w, i: a.sum(),
    "mean": lambda T, F, a, b, w, i: a.mean(-1),
    "exp": lambda T, F, a, b, w, i: a.exp(),
    "softmax": lambda T, F, a, b, w, i: F.softmax(a, dim=-1),
    "layer_norm": lambda T, F, a, b, w, i: F.layer_norm(a, (4,), w, w),
    "gelu": lambda T, F, a, b, w, i: F.gelu(a, approximate="tanh"),
    "transpose, view": lambda T, F, a, b, w, i: a.view(2, 8).transpose(0, 1),
    "index": lambda T, F, a, b, w, i: a[i],
    "linear": lambda T, F, a, b, w, i: F.linear(a, b, w),
}


class Ops(Task):
    """Runs one of OPS: forward, backward, and the gradients dropped again."""

    def __init__(self, work: Work, T, F):
        super().__init__(work)
        T.manual_seed(work.seed)
        shapes = ((4, 4), (4, 4), (4,))
        self.leaves = a, b, w = [T.randn(*shape, device=work.device, requires_grad=True) for shape in shapes]
        positions = T.tensor([0, 2, 1, 2], device=work.device)
        self.functions = {name: lambda op=op: op(T, F, a, b, w, positions) for name, op in OPS.items()}
        self.seeds = {name: T.ones_like(function().detach()) for name, function in self.functions.items()}

    def round(self, iters: int, op: str = "add") -> list[float]:
        function, dy, leaves = self.functions[op], self.seeds[op], self.leaves

        def forward_and_backward():
            function().backward(dy)
            for leaf in leaves:
                leaf.grad = None

        return self.timed(forward_and_backward, iters)
