"""AdamW whose state is divided among the processes: ZeRO, stage 1 (Rajbhandari et al. 2020, arXiv:1910.02054).

Adam remembers two numbers for each parameter. Here each of N processes does that for one N-th of all parameters, and
updates only those. A step of a model with n parameters:

    1. each process has the gradient g_r of its own batches                            n numbers
    2. reduce-scatter: process r gets its N-th of g = Σ g_r                            sends n (N − 1) / N
    3. the norm of all of g, for clipping: √(Σ over processes of Σ g²)
    4. AdamW on that N-th, clipped
    5. all-gather: everybody gets all updated parameters                               sends n (N − 1) / N

An all-reduce of the gradients, which an unsharded optimizer needs, is a reduce-scatter and an all-gather too: the
memory of (N − 1) / N of the state is saved for nothing.

Parameters and gradients lie in buckets, flat arrays of some megabytes: a message for each parameter would cost mostly
its delay, and one for all a second buffer of the size of the model when a checkpoint is gathered. An N-th of every
bucket is a process's own, wherever that cuts a parameter.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import nn
from tensor import Tensor
from tensor.devices import namespace
from tensor.kernels.clip import sum_of_squares
from tensor.tensor import wrap
from tinygrad_gpt.distributed.world import World

BUCKET_BYTES = 25 << 20  # as in PyTorch's DistributedDataParallel
STATE_KEYS = ("exp_avg", "exp_avg_sq")


class Piece(NamedTuple):
    """What a process owns of one parameter: its elements start … stop − 1, as a parameter to AdamW."""

    tensor: Tensor
    start: int
    stop: int


class Bucket:
    """Some parameters, laid side by side in `values` and `gradients`, both (size · n,); the parameters become views.

    `own` (n,) receives this process's part of the summed gradient.
    """

    def __init__(self, parameters: Sequence[Tensor], world: World):
        self.parameters = parameters
        xp, dtype = namespace(parameters[0].array), parameters[0].dtype
        n = math.ceil(sum(p.numel() for p in parameters) / world.size)  # the last parts may end in zeros
        self.first = world.rank * n
        self.values, self.gradients = xp.zeros(world.size * n, dtype), xp.zeros(world.size * n, dtype)
        self.own = xp.zeros(n, dtype)
        self.places: dict[Tensor, int] = {}
        self.pieces: dict[Tensor, Piece] = {}
        place = 0
        for p in parameters:
            self.places[p], end = place, place + p.numel()
            self.values[place:end] = p.array.reshape(-1)
            p.data = wrap(self.values[place:end].reshape(p.shape))
            p.grad = wrap(self.gradients[place:end].reshape(p.shape))
            a, b = max(place, self.first), min(end, self.first + n)
            if a < b:
                tensor = wrap(self.values[a:b])
                tensor.grad = wrap(self.own[a - self.first : b - self.first])
                self.pieces[p] = Piece(tensor, a - place, b - place)
            place = end


def gradient_norm(model: nn.Module, optimizer: nn.optim.AdamW) -> Tensor | float:
    """The norm of the gradient of all batches: with a `ShardedAdamW` of those of all processes, which it sums first."""
    if isinstance(optimizer, ShardedAdamW):
        optimizer.reduce_gradients()
        return optimizer.get_total_norm()
    return nn.utils.get_total_norm(p.grad for p in model.parameters() if p.grad is not None)


def fill_buckets(parameters: Sequence[Tensor], world: World, most_bytes: int) -> Iterator[Bucket]:
    """The parameters in buckets of at least one each, the last ones first: backward has their gradients first."""
    waiting: list[Tensor] = []
    for p in reversed(parameters):
        if waiting and sum(q.nbytes for q in waiting) + p.nbytes > most_bytes:
            yield Bucket(waiting, world)
            waiting = []
        waiting.append(p)
    yield Bucket(waiting, world)


class ShardedAdamW(nn.optim.AdamW):
    """AdamW on this process's pieces of the parameters of `whole`, with its settings and, if it has one, its state."""

    def __init__(self, whole: nn.optim.AdamW, world: World, bucket_bytes: int = BUCKET_BYTES):
        self.world = world
        parameters = [p for group in whole.param_groups for p in group["params"]]
        self.buckets = list(fill_buckets(parameters, world, bucket_bytes))
        pieces = {p: piece for bucket in self.buckets for p, piece in bucket.pieces.items()}
        super().__init__(
            [
                {**group, "params": [pieces[p].tensor for p in group["params"] if p in pieces]}
                for group in whole.param_groups
            ]
        )
        self.steps = max((entries["step"] for entries in whole.state.values()), default=0)
        for p, entries in whole.state.items():
            if p in pieces:
                tensor, start, stop = pieces[p]
                parts = {key: entries[key].reshape(-1)[start:stop].copy() for key in STATE_KEYS}
                self.state[tensor] = {"step": entries["step"], **parts}
        self._whole = whole
        whole.state = {}  # its memory is what sharding is for

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Fill all gradients with zeros: they are views of the buckets."""
        for bucket in self.buckets:
            bucket.gradients[...] = 0

    def reduce_gradients(self) -> None:
        """Sum this process's share of the gradients over all processes."""
        arrivals = [self.world.reduce_scatter(bucket.gradients, bucket.own) for bucket in self.buckets]
        for arrived in arrivals:
            self.world.finish(arrived)

    def get_total_norm(self) -> float:
        """As `nn.utils.get_total_norm`, of the whole gradient, of which each process has a share."""
        return math.sqrt(self.world.sum([float(sum_of_squares([bucket.own for bucket in self.buckets]))])[0])

    def step(self, closure=None, *, grad_factor=None):
        """Update the own pieces, and get the others' from the others."""
        loss = super().step(closure, grad_factor=grad_factor)
        self.steps += 1
        self.spread_values()
        return loss

    def spread_values(self) -> None:
        """Give everybody the own pieces of all parameters, and get theirs."""
        for arrived in [self.world.all_gather(bucket.values) for bucket in self.buckets]:
            self.world.finish(arrived)
        for bucket in self.buckets:
            for p in bucket.parameters:
                p.mark_written()

    def gathered(self) -> nn.optim.AdamW:
        """An AdamW with the whole state, in rank 0, as a checkpoint needs it; in the others with none.

        All processes take part. A bucket is gathered at a time.
        """
        whole = copy.copy(self._whole)
        whole.state = {}
        for bucket in self.buckets if self.steps else []:
            for key in STATE_KEYS:
                flat = namespace(bucket.values).zeros_like(bucket.values)
                for p, piece in bucket.pieces.items():
                    place = bucket.places[p]
                    flat[place + piece.start : place + piece.stop] = self.state[piece.tensor][key]
                self.world.finish(self.world.all_gather(flat))
                for p in bucket.parameters if self.world.leads else []:
                    entries: dict[str, Any] = whole.state.setdefault(p, {"step": self.steps})
                    entries[key] = flat[bucket.places[p] :][: p.numel()].reshape(p.shape)
        return whole
