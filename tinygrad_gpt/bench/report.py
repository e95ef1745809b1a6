"""A benchmark's result for people: sentences and tables."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
RATIO = "{:.3f}".format
SMALL_SHARE = 0.005  # of a step; ops below are summed up in one row
UNITS = {"ours": "a training step", "torch": "a training step", "floor": "for the matrix products of a step alone"}


def report(result: dict) -> None:
    """Print the result of `measure`."""
    {"step": _step, "sample": _step, "scaling": _scaling, "ops": _ops, "ranks": _ranks}[result["mode"]](result)


def _step(result: dict) -> None:
    console.print(f"{_work(result)}; {result['rounds']} rounds of {result['iters']}, in turn")
    for engine, side in result["sides"].items():
        unit = UNITS[engine] if result["mode"] == "step" else "a token"
        notes = [f"{_spread(side['ms'], three_digits)} ms {unit}"]
        if "peak_bytes" in side:
            notes.append(f"peak memory {_mb(side['peak_bytes'])}, {_mb(side['above_start_bytes'])} above the imports")
        if "gpu_peak_bytes" in side:
            notes.append(f"on the GPU {_mb(side['gpu_peak_bytes'])}")
        if "last_loss" in side:
            notes.append(f"last loss {side['last_loss']:.4f}")
        console.print(f"{engine:>12}: {'; '.join(notes)}")
        console.print(f"{'':>12}  {_facts(side)}")
    if "same_tokens" in result and result["against"]:
        console.print(f"{'':>12}  the same tokens: {'yes' if result['same_tokens'] else 'no'}")
    if "ratio" in result:
        console.print(f"ours / {result['against']}: {_spread(result['ratio'], RATIO)}")
    if "floor_share" in result:
        console.print(f"matrix products alone / ours: {_spread(result['floor_share'], RATIO)}")
    if "shares" in result:
        console.print(_shares(result["shares"]))


def _work(result: dict) -> str:
    work, model = result["work"], result["work"]["model"]
    batch = "" if result["mode"] == "sample" else f", batch {work['batch_size']}"
    dropout = f", dropout {model['dropout']}" if model["dropout"] and result["mode"] != "sample" else ""
    return (
        f"{result['preset']}: {model['n_layer']} layers, {model['n_head']} heads, {model['n_embd']} channels, "
        f"block {model['block_size']}{batch}, {model['vocab_size']} tokens{dropout}, {work['dtype']}"
    )


def _facts(side: dict) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in side["facts"].items())


def _print_sides(one: dict) -> None:
    """Who was measured, in the modes whose times are in a table."""
    for engine, side in one["sides"].items():
        console.print(f"{engine:>12}: {_facts(side)}")


def _shares(shares: dict) -> Table:
    table = Table(title="where our step's time goes, in some more steps under the profiler", title_justify="left")
    table.add_column("op")
    for name in ("calls", "forward ms", "backward ms", "share"):
        table.add_column(name, justify="right")
    rest = [cost for cost in shares.values() if cost["share"] < SMALL_SHARE]
    for name, cost in shares.items():
        if cost["share"] >= SMALL_SHARE:
            table.add_row(name, *_cells(cost))
    if rest:
        table.add_row(f"{len(rest)} more", *_cells(_sum(rest)))
    table.add_section()
    table.add_row("a step", *_cells(_sum(list(shares.values()))))
    return table


def _sum(costs: list[dict]) -> dict:
    return {key: sum(cost[key] for cost in costs) for key in costs[0]}


def _cells(cost: dict) -> list[str]:
    milliseconds = [f"{cost[key]:.2f}" for key in ("forward_ms", "backward_ms")]
    return [f"{cost['calls']:g}" if cost["calls"] else "", *milliseconds, f"{cost['share']:.1%}"]


def _ops(result: dict) -> None:
    first = next(iter(result["ops"].values()))
    console.print(f"an op on 4x4, forward and backward, float32; {first['rounds']} rounds, in turn")
    _print_sides(first)
    table = Table()
    engines = ["ours", *([result["against"]] if result["against"] else [])]
    table.add_column("op")
    for name in [*(f"{engine} µs" for engine in engines), *(["ratio", "quartiles"] if len(engines) > 1 else [])]:
        table.add_column(name, justify="right")
    for name, one in result["ops"].items():
        row = [f"{one['sides'][engine]['ms']['median'] * 1e3:.1f}" for engine in engines]
        if "ratio" in one:
            row += _ratio_cells(one["ratio"])
        table.add_row(name, *row)
    console.print(table)
    if "ratio" in result:
        ratio = result["ratio"]
        console.print(f"ours / {result['against']}: median of the ops {ratio['median']:.2f}, most {ratio['most']:.2f}")


def _scaling(result: dict) -> None:
    first, against = result["points"][0], result["against"]
    console.print(f"{_work(result)}; one size is changed at a time; {first['rounds']} rounds, in turn")
    _print_sides(first)
    table = Table()
    table.add_column("size")
    for name in ("ours ms", "µs a token", *([f"{against} ms", "ratio", "quartiles"] if against else [])):
        table.add_column(name, justify="right")
    for point in result["points"]:
        if point["size"] != first["size"]:
            table.add_section()
            first = point
        ms = point["sides"]["ours"]["ms"]["median"]
        row = [f"{point['size']} {point['value']}", f"{ms:.1f}", f"{ms * 1e3 / point['tokens']:.1f}"]
        if against:
            row += [f"{point['sides'][against]['ms']['median']:.1f}", *_ratio_cells(point["ratio"])]
        table.add_row(*row)
    console.print(table)


def _ranks(result: dict) -> None:
    threads = result["threads"]
    console.print(
        f"{_work(result)}; {result['rounds']} rounds; each process with a batch of its own and {threads} "
        f"thread{'s' if threads > 1 else ''}, on {result['cores']} cores ({_facts(result['points'][0])})"
    )
    table = Table()
    for name in ("ranks", "ms a step", "quartiles", "tokens/s", "of ideal", "waiting", "messages"):
        table.add_column(name, justify="right")
    ideal = result["points"][0]["tokens_per_s"]  # of one process
    for point in result["points"]:
        count, speed = point["ranks"], point["tokens_per_s"]
        alone = f"{point['messages_ms']['median']:.2f} ms" if count > 1 else ""
        waiting = f"{point['waiting']['median']:.1%}" if count > 1 else ""
        ms = point["ms"]
        times = [three_digits(ms["median"]), f"{three_digits(ms['low'])} to {three_digits(ms['high'])}"]
        cells = [str(count), *times, f"{speed:,.0f}", f"{speed / ideal / count:.0%}", waiting, alone]
        table.add_row(*cells)
    console.print(table)
    size = _mb(result["points"][0]["bytes"])
    console.print(
        f"messages: the time of a step's alone, which sum {size} of gradients and spread {size} of parameters"
    )
    console.print("waiting: the share of a step in which rank 0 waits for messages and for who sends them")


def _ratio_cells(ratio: dict) -> list[str]:
    return [f"{ratio['median']:.2f}", f"{ratio['low']:.2f} to {ratio['high']:.2f}"]


def _spread(spread: dict, number: Callable[[float], str]) -> str:
    return f"{number(spread['median'])} (quartiles {number(spread['low'])} to {number(spread['high'])})"


def three_digits(number: float) -> str:
    """2.81, 81.2, 7,612: a time."""
    return f"{number:,.0f}" if number >= 99.95 else f"{number:#.3g}"


def _mb(count: int) -> str:
    return f"{count / 2**20:,.0f} MB"
