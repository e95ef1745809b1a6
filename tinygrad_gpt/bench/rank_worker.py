"""One process of a job of `bench --mode=ranks`: `python -m tinygrad_gpt.bench.rank_worker REQUEST`, under mpiexec.

It trains beside the others, and rank 0 prints what it has measured as one line of JSON; where there is no way to reach
the others, each prints `{"unusable": why}`.
"""

import json
import math
import sys
import time

import nn
import tensor
from tinygrad_gpt.bench.our_side import describe, make_model
from tinygrad_gpt.bench.ranks import SECONDS
from tinygrad_gpt.bench.settings import Work
from tinygrad_gpt.bench.task import Task, stopwatch
from tinygrad_gpt.distributed import ShardedAdamW, World, connect, gradient_norm
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.memory import collect_garbage_rarely, keep_freed_memory

PATIENCE = 120.0  # seconds


class RankStep(Task):
    """A training step of one batch for each process: forward, backward, gradients summed, AdamW on clipped ones."""

    def __init__(self, work: Work, world: World):
        super().__init__(work)
        self.world, self.model = world, make_model(work)
        self.optimizer = self.model.configure_optimizers(work.weight_decay, work.learning_rate, work.betas)
        if world.size > 1:
            self.optimizer = ShardedAdamW(self.optimizer, world)

    def iteration(self) -> None:
        work, optimizer = self.work, self.optimizer
        x, y = (tensor.from_numpy(ids).to(work.device) for ids in self.batch())
        optimizer.zero_grad()
        (self.model(x, y)[1] / self.world.size).backward()
        norm = gradient_norm(self.model, optimizer)
        optimizer.step(grad_factor=nn.utils.clip_factor(norm, work.grad_clip or math.inf))

    def messages(self) -> None:
        """The messages of a step, and nothing else."""
        if isinstance(self.optimizer, ShardedAdamW):
            self.optimizer.reduce_gradients()
            self.optimizer.spread_values()


def main() -> None:
    request = json.loads(sys.argv[1])
    keep_freed_memory()
    collect_garbage_rarely()
    try:
        world = connect(request["backend"], PATIENCE)
    except InputError as error:
        print(json.dumps({"unusable": str(error)}))
        return
    step = RankStep(Work.from_dict(request["work"]), world)
    stopwatch(step.iteration, 3)  # compiles what is to be compiled, touches the memory
    slowest = max(world.gather(min(stopwatch(step.iteration, 2))))
    iters = request["iters"] or max(1, math.ceil(SECONDS * 1e3 / slowest))
    result: dict = {"ms": [], "waiting": [], "messages_ms": [], "facts": describe(step.work.device)}
    result["bytes"] = sum(p.nbytes for p in step.model.parameters())
    for _ in range(request["rounds"]):
        world.barrier()
        waited, start = world.seconds, time.perf_counter()
        step.round(iters)
        seconds = time.perf_counter() - start
        result["ms"].append(seconds / iters * 1e3)
        result["waiting"].append((world.seconds - waited) / seconds)
        world.barrier()
        result["messages_ms"].append(min(stopwatch(step.messages, 3)))
    if world.leads:
        print(json.dumps(result))
    world.barrier()


if __name__ == "__main__":
    main()
