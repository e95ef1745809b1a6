"""A benchmark's result for people: sentences and tables, and a bar chart."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from tinygrad_gpt.errors import InputError

console = Console(highlight=False, soft_wrap=True)
UNITS = {"step": "a training step", "sample": "a token"}
SMALL_SHARE = 0.005  # of a step; ops below are summed up in one row


def report(result: dict) -> None:
    """Print the result of `measure`."""
    {"step": _step, "sample": _step, "scaling": _scaling, "ops": _ops, "ranks": _ranks}[result["mode"]](result)


def _step(result: dict) -> None:
    model, mode = result["work"]["model"], result["mode"]
    batch = f", batch {result['work']['batch_size']}" if mode == "step" else ""
    console.print(
        f"{result['preset']}: {model['n_layer']} layers, {model['n_head']} heads, {model['n_embd']} channels, "
        f"block {model['block_size']}{batch}, {model['vocab_size']} tokens, {result['work']['dtype']}; "
        f"{result['rounds']} rounds of {result['iters']}, in turn"
    )
    for engine, side in result["sides"].items():
        notes = [", ".join(f"{name} {value}" for name, value in side["facts"].items())]
        if "last_loss" in side:
            notes.append(f"last loss {side['last_loss']:.4f}")
        if "peak_bytes" in side:
            notes.append(f"peak memory {_mb(side['peak_bytes'])}, {_mb(side['above_start_bytes'])} above the imports")
        if "gpu_peak_bytes" in side:
            notes.append(f"on the GPU {_mb(side['gpu_peak_bytes'])}")
        console.print(f"{engine:>12}: {_spread(side['ms'])} ms {UNITS[mode]} ({'; '.join(notes)})")
    if "same_tokens" in result and result["against"]:
        console.print(f"{'':>12}  the same tokens: {'yes' if result['same_tokens'] else 'no'}")
    if "ratio" in result:
        console.print(f"ours / {result['against']}: {_spread(result['ratio'])}")
    if "floor_share" in result:
        console.print(f"matrix products alone / ours: {_spread(result['floor_share'])}")
    if "shares" in result:
        console.print(_shares(result["shares"]))


def _shares(shares: dict) -> Table:
    table = Table(title="where our step's time goes", title_justify="left")
    table.add_column("op")
    for name in ("calls", "forward ms", "backward ms", "share"):
        table.add_column(name, justify="right")
    rest = [cost for cost in shares.values() if cost["share"] < SMALL_SHARE]
    for name, cost in shares.items():
        if cost["share"] >= SMALL_SHARE:
            table.add_row(name, *_cells(cost))
    if rest:
        table.add_row(f"{len(rest)} more", *_cells({key: sum(cost[key] for cost in rest) for key in rest[0]}))
    return table


def _cells(cost: dict) -> list[str]:
    milliseconds = [f"{cost[key]:.2f}" for key in ("forward_ms", "backward_ms")]
    return [f"{cost['calls']:g}", *milliseconds, f"{cost['share']:.1%}"]


def _ops(result: dict) -> None:
    table = Table(title="an op on 4x4, forward and backward", title_justify="left")
    engines = ["ours", *([result["against"]] if result["against"] else [])]
    table.add_column("op")
    for name in [*(f"{engine} µs" for engine in engines), *(["ratio", "quartiles"] if len(engines) > 1 else [])]:
        table.add_column(name, justify="right")
    for name, one in result["ops"].items():
        row = [f"{one['sides'][engine]['ms']['median'] * 1e3:.1f}" for engine in engines]
        if "ratio" in one:
            ratio = one["ratio"]
            row += [f"{ratio['median']:.2f}", f"{ratio['low']:.2f} to {ratio['high']:.2f}"]
        table.add_row(name, *row)
    console.print(table)
    if "ratio" in result:
        ratio = result["ratio"]
        console.print(f"ours / {result['against']}: median of the ops {ratio['median']:.2f}, most {ratio['most']:.2f}")


def _scaling(result: dict) -> None:
    table = Table(title=f"{result['preset']}: a training step of other sizes", title_justify="left")
    table.add_column("size")
    for name in ("ms", "µs a token", *(["ratio"] if result["against"] else [])):
        table.add_column(name, justify="right")
    previous = None
    for point in result["points"]:
        if previous not in (None, point["size"]):
            table.add_section()
        previous = point["size"]
        ms = point["sides"]["ours"]["ms"]["median"]
        row = [f"{point['size']} {point['value']}", f"{ms:.1f}", f"{ms * 1e3 / point['tokens']:.1f}"]
        table.add_row(*row, *([f"{point['ratio']['median']:.2f}"] if "ratio" in point else []))
    console.print(table)


def _ranks(result: dict) -> None:
    threads = result["threads"]
    table = Table(
        title=f"{result['preset']}: a training step, each process with a batch of its own and {threads} "
        f"thread{'s' if threads > 1 else ''}, on {result['cores']} cores",
        title_justify="left",
    )
    for name in ("processes", "ms a step", "quartiles", "tokens/s", "of ideal", "waiting", "messages"):
        table.add_column(name, justify="right")
    ideal = result["points"][0]["tokens_per_s"]  # of one process
    for point in result["points"]:
        count, speed = point["ranks"], point["tokens_per_s"]
        alone = f"{point['messages_ms']['median']:.2f} ms" if count > 1 else ""
        waiting = f"{point['waiting']['median']:.1%}" if count > 1 else ""
        ms = point["ms"]
        times = [f"{ms['median']:.4g}", f"{ms['low']:.4g} to {ms['high']:.4g}"]
        cells = [str(count), *times, f"{speed:,.0f}", f"{speed / ideal / count:.0%}", waiting, alone]
        table.add_row(*cells)
    console.print(table)
    size = _mb(result["points"][0]["bytes"])
    console.print(
        f"messages: the time of a step's alone, which sum {size} of gradients and spread {size} of parameters"
    )
    console.print("waiting: the share of a step in which rank 0 waits for messages and for who sends them")


def _spread(spread: dict) -> str:
    return f"{spread['median']:.3g} (quartiles {spread['low']:.3g} to {spread['high']:.3g})"


def _mb(count: int) -> str:
    return f"{count / 2**20:,.0f} MB"


# ---------------------------------------------------------------------- the picture


def draw(result: dict, path: Path) -> None:
    """Write the result as a bar chart. Raises `InputError` where matplotlib is not installed or cannot write it."""
    try:
        from matplotlib.figure import Figure  # the optional extra `plot`
    except ImportError:
        raise InputError("--png needs matplotlib: run `pip install 'tinygrad-gpt[plot]'`.") from None
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(ylabel=_unit(result["mode"]), title=f"{result['preset']}: {result['mode']}")
    groups = _bars(result)
    engines = list(dict.fromkeys(engine for bars in groups.values() for engine in bars))
    width = 0.8 / len(engines)
    for k, engine in enumerate(engines):
        places = [i + k * width for i, bars in enumerate(groups.values()) if engine in bars]
        spreads = [bars[engine] for bars in groups.values() if engine in bars]
        error = [[s["median"] - s["low"] for s in spreads], [s["high"] - s["median"] for s in spreads]]
        axes.bar(places, [s["median"] for s in spreads], width, yerr=error, capsize=2, label=engine)
    axes.set_xticks([i + 0.4 - width / 2 for i in range(len(groups))], list(groups), rotation=30, ha="right")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from None


def _unit(mode: str) -> str:
    return {
        "step": "ms a step",
        "sample": "ms a token",
        "scaling": "ms a step",
        "ops": "ms, forward and backward",
        "ranks": "ms a step",
    }[mode]


def _bars(result: dict) -> dict[str, dict[str, dict]]:
    """group -> engine -> spread of milliseconds."""
    if result["mode"] == "ranks":
        return {f"{point['ranks']} processes": {"ours": point["ms"]} for point in result["points"]}
    if result["mode"] == "ops":
        entries = result["ops"].items()
    elif result["mode"] == "scaling":
        entries = [(f"{point['size']} {point['value']}", point) for point in result["points"]]
    else:
        entries = [(result["preset"], result)]
    return {name: {engine: side["ms"] for engine, side in one["sides"].items()} for name, one in entries}
