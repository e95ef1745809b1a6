"""`train --profile`: where the time and the memory of the training loop go, by operation and by module."""

import contextlib
from collections.abc import Iterator

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from tensor import profiler
from tensor.kernels import kernels

console = Console(highlight=False, soft_wrap=True)
SHOWN = 30  # rows of a table; the rest are summed up in one


@contextlib.contextmanager
def profiled(wanted: bool = True) -> Iterator[None]:
    """Profile the block and print the tables at its end, however it ends; nothing at all unless `wanted`."""
    if not wanted:
        yield
        return
    kernels(np.zeros(1, np.float32))  # loads Numba, which would count as the first op's time
    profile = profiler.profile()
    try:
        with profile:
            yield
    finally:
        report(profile)


def report(profile: profiler.profile) -> None:
    """Print both tables. Each adds up to the time of the whole block."""
    console.print(f"where the training loop's {profile.seconds:.1f} s went, its validation included")
    console.print(_table("time and memory by op", profile.by_op(), profile.seconds))
    scopes = profile.by_scope()
    scopes["(no module)"] = scopes.pop("", profiler.Cost())
    console.print(_table("time and memory by module, without the modules in it", scopes, profile.seconds))
    console.print("forward MB: arrays made and kept, results and what backward needs; backward MB: gradients")
    console.print(f"{profiler.OUTSIDE}: Python between the ops, and what is none, as the optimizer and reading data")


def _table(title: str, costs: dict[str, profiler.Cost], seconds: float) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column(title.partition(",")[0].rpartition(" ")[2], overflow="fold")  # a name is shown in full
    for name in ("calls", "forward\ns", "backward\ns", "share", "forward\nMB", "backward\nMB"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = sorted(costs.items(), key=lambda row: -row[1].seconds)
    rest = profiler.Cost()
    for _, cost in rows[SHOWN:]:
        rest.add(cost)
    more = [(f"{len(rows) - SHOWN} more", rest)] if len(rows) > SHOWN else []
    for name, cost in [*rows[:SHOWN], *more]:
        table.add_row(name, *_cells(cost, seconds))
    table.add_section()
    total = profiler.Cost()
    for cost in costs.values():
        total.add(cost)
    table.add_row("all", *_cells(total, seconds))
    return table


def _cells(cost: profiler.Cost, seconds: float) -> list[str]:
    return [
        f"{cost.calls:,}" if cost.calls else "",
        f"{cost.forward:.3f}",
        f"{cost.backward:.3f}",
        f"{cost.seconds / seconds:.1%}",
        f"{cost.forward_bytes / 2**20:,.1f}",
        f"{cost.backward_bytes / 2**20:,.1f}",
    ]
