"""How a job of many processes begins, and how all of it ends where one of them fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tinygrad_gpt.config import TrainConfig
from tinygrad_gpt.distributed.mpi import MpiWorld, load_mpi
from tinygrad_gpt.distributed.nccl import NcclWorld
from tinygrad_gpt.distributed.world import ALONE, World
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.launch import SIZE, launched

T = TypeVar("T")
FAIL_TOGETHER_SECONDS = 5.0  # a process that fails leaves the others this time to fail for the same reason


def connect(backend: str, patience: float) -> World:
    """The processes that mpiexec has started, connected by `backend`. Raises `InputError` where they cannot be."""
    if backend == "none":
        if (processes := launched(SIZE, 1)) > 1:
            raise InputError(f"{processes} processes were started to train one model each: pass --backend=mpi.")
        return ALONE
    mpi = load_mpi()
    if mpi.COMM_WORLD.Get_size() == 1:
        return ALONE
    return (MpiWorld if backend == "mpi" else NcclWorld)(mpi, patience)


@contextmanager
def open_world(config: TrainConfig) -> Iterator[World]:
    """The processes that `config.backend` connects, for as long as the block runs.

    An exception that all of them raise, such as for data that nobody finds, goes on its way, and only rank 0 will
    print it. One that others do not know of ends all of them, in so many words.
    """
    world = connect(config.backend, config.patience)
    if not isinstance(world, MpiWorld):
        yield world
        return
    try:
        yield world
        world.barrier(for_ever=True)  # rank 0 may print a sample for a long time; everything is saved
    except BaseException as error:
        if not world.all_fail(FAIL_TOGETHER_SECONDS):
            sentence = str(error) or type(error).__name__
            world.abort(f"process {world.rank} of {world.size}: {sentence}", getattr(error, "exit_code", 1))
        raise


def rank_0_first(world: World, make: Callable[[], T]) -> T:
    """make() in rank 0, and then in the others, which find in the cache what it has downloaded and prepared there.

    An `InputError` of rank 0 is one of all.
    """
    if not world.leads:
        if sentence := world.gather(None)[0]:
            raise InputError(sentence)
        return make()
    try:
        made = make()
    except InputError as error:
        world.gather(str(error))
        raise
    world.gather(None)
    return made
