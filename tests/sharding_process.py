"""`mpiexec -n 3 python tests/sharding_process.py`: AdamW divided among processes is AdamW, step for step.

Every process has a third of each gradient. One AdamW on the whole parameters and gradients says what is right.
"""

import sys

import numpy as np

import nn
from tensor import Tensor
from tinygrad_gpt.distributed import ShardedAdamW, World, connect

SHAPES = ((5, 3), (7,), (1,), (4, 4), (2, 3, 2), (3,))
BUCKETS = (1, 100, 1 << 20)  # bytes: a bucket for each parameter, some in each, one for all
STEPS = 4
MAX_NORM = 0.5


def adamw(parameters: list[Tensor]) -> nn.optim.AdamW:
    groups = [{"params": parameters[::2], "weight_decay": 0.3}, {"params": parameters[1::2], "weight_decay": 0.0}]
    return nn.optim.AdamW(groups, lr=0.1)


def check(world: World, bucket_bytes: int) -> None:
    generator = np.random.default_rng(0)
    values = [generator.standard_normal(shape) for shape in SHAPES]
    expected, found = ([Tensor(value, requires_grad=True) for value in values] for _ in range(2))
    whole, sharded = adamw(expected), ShardedAdamW(adamw(found), world, bucket_bytes)
    for step in range(STEPS):
        gradients = [generator.standard_normal((world.size, *shape)) for shape in SHAPES]
        sharded.zero_grad()
        for p, q, g in zip(expected, found, gradients, strict=True):
            p.grad = Tensor(g.sum(axis=0))
            q.grad.array += g[world.rank]
        sharded.reduce_gradients()
        norm = sharded.get_total_norm()
        assert np.isclose(norm, float(nn.utils.clip_grad_norm_(expected, MAX_NORM)), rtol=1e-12)
        sharded.step(grad_factor=nn.utils.clip_factor(norm, MAX_NORM))
        whole.step()
        for p, q in zip(expected, found, strict=True):
            np.testing.assert_allclose(q.array, p.array, rtol=1e-10)
        gathered = sharded.gathered().state
        assert len(gathered) == (len(SHAPES) if world.leads else 0)
        for p, q in zip(expected, found, strict=True) if world.leads else []:
            assert gathered[q]["step"] == step + 1
            for key in ("exp_avg", "exp_avg_sq"):
                np.testing.assert_allclose(gathered[q][key], whole.state[p][key], rtol=1e-10)
        if step == STEPS // 2:  # as from a checkpoint: divided anew, in other buckets
            again = adamw(found)
            again.state = {q: dict(whole.state[p]) for p, q in zip(expected, found, strict=True)}
            sharded = ShardedAdamW(again, world, 2 * bucket_bytes)
    remembered = sum(entries["exp_avg"].size for entries in sharded.state.values())
    share = sum(value.size for value in values) / world.size
    assert remembered <= share + len(sharded.buckets)  # a bucket's share is rounded up


if __name__ == "__main__":
    world = connect("mpi", patience=30.0)
    assert world.size == 3
    for bucket_bytes in BUCKETS:
        check(world, bucket_bytes)
    sys.stdout.write("agrees\n")  # in one piece, as the processes share a pipe
