"""`train --profile`: where the time and the memory of the training loop go, by operation and by module."""

import contextlib
import re
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

import nn
from tensor import profiler

console = Console(highlight=False, soft_wrap=True)
SHOWN = 30  # rows of a table; the rest are summed up in one


@contextlib.contextmanager
def profiled(model: nn.Module, wanted: bool = True) -> Iterator[None]:
    """Profile the block and print the tables at its end, however it ends; nothing at all unless `wanted`."""
    if not wanted:
        yield
        return
    profile = profiler.profile()
    try:
        with module_scopes(model), profile:
            yield
    finally:
        report(profile)


@contextlib.contextmanager
def module_scopes(model: nn.Module) -> Iterator[None]:
    """While the block runs, what a module computes belongs to a profiler's scope of the module's name.

    The blocks of a model share their names (`transformer.h.*.attn`), so that their costs are summed.
    """
    open_scopes: list[profiler.record_function] = []
    handles = []

    def enter(scope: str):
        def pre_hook(module, args) -> None:
            open_scopes.append(profiler.record_function(scope).__enter__())

        return pre_hook

    def leave(module, args, result) -> None:
        open_scopes.pop().__exit__()

    for name, module in model.named_modules():
        scope = re.sub(r"\.\d+(?=\.|$)", ".*", name) or type(model).__name__
        handles += [module.register_forward_pre_hook(enter(scope)), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def report(profile: profiler.profile) -> None:
    """Print both tables. Each adds up to the time of the whole block."""
    console.print(_table("time and memory by op", profile.by_op(), profile.seconds))
    scopes = profile.by_scope()
    scopes["(no module)"] = scopes.pop("", profiler.Cost())
    console.print(_table("time and memory by module, without the modules in it", scopes, profile.seconds))


def _table(title: str, costs: dict[str, profiler.Cost], seconds: float) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(title.partition(",")[0].rpartition(" ")[2])
    for name in ("calls", "forward s", "backward s", "share", "forward MB", "backward MB"):
        table.add_column(name, justify="right")
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
        f"{cost.calls:,}",
        f"{cost.forward:.3f}",
        f"{cost.backward:.3f}",
        f"{cost.seconds / seconds:.1%}",
        f"{cost.forward_bytes / 2**20:,.1f}",
        f"{cost.backward_bytes / 2**20:,.1f}",
    ]
