"""Training on many processes, with the engines that clusters have: see README.md in this folder.

world.py       the processes of a job, as one of them sees the others; here: there are no others
mpi.py         through MPI, on the CPU
nccl.py        through NCCL, one GPU for each process
session.py     how a job begins, and how all of it ends where one process fails
agreement.py   what all processes must have in common before they start
sharding.py    AdamW whose state is divided among the processes (ZeRO-1), and the buckets that gradients travel in
"""

from tinygrad_gpt.distributed.session import connect, open_world, rank_0_first
from tinygrad_gpt.distributed.sharding import ShardedAdamW, gradient_norm
from tinygrad_gpt.distributed.world import ALONE, World

__all__ = ["ALONE", "ShardedAdamW", "World", "connect", "gradient_norm", "open_world", "rank_0_first"]
