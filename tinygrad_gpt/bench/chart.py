"""A benchmark's result as a bar chart."""

from pathlib import Path
from typing import Any

from tinygrad_gpt.bench.report import three_digits
from tinygrad_gpt.errors import InputError

SHOWN = 10  # ops that take most of a step

# mode -> what a bar is, its unit, and how many of these a millisecond is
UNITS = {
    "step": ("a training step", "ms", 1),
    "sample": ("a sampled token", "ms", 1),
    "scaling": ("a training step of other sizes", "ms", 1),
    "ops": ("an op on 4x4, forward and backward", "µs", 1000),
    "ranks": ("a training step of several processes", "ms", 1),
}


def draw(result: dict, path: Path) -> None:
    """Write the picture: the times, and of a training step what each op takes. Raises `InputError` for a bad path."""
    from matplotlib.figure import Figure  # the optional extra `plot`

    shares = result.get("shares")
    figure = Figure(figsize=(11 if shares else 8, 5), dpi=120, layout="constrained")
    axes = figure.subplots(1, 2 if shares else 1, squeeze=False)[0]
    _draw_times(axes[0], result)
    if shares:
        _draw_shares(axes[1], shares)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from None


def _draw_times(axes: Any, result: dict) -> None:
    """A bar for the median of each side, with a line from the lower to the upper quartile."""
    what, unit, scale = UNITS[result["mode"]]
    preset = "" if result["mode"] == "ops" else f"{result['preset']}: "
    axes.set(title=f"{preset}{what}", ylabel=f"{unit}: median and quartiles of the rounds")
    groups = _bars(result)
    engines = list(next(iter(groups.values())))
    width = 0.8 / len(engines)
    for k, engine in enumerate(engines):
        spreads = [sides[engine] for sides in groups.values()]
        low, middle, high = ([spread[key] * scale for spread in spreads] for key in ("low", "median", "high"))
        error = [[m - a for a, m in zip(low, middle, strict=True)], [b - m for b, m in zip(high, middle, strict=True)]]
        places = [i + k * width for i in range(len(groups))]
        bars = axes.bar(places, middle, width, yerr=error, capsize=2, label=engine)
        if len(groups) * len(engines) < 6:  # there is room for numbers
            axes.bar_label(bars, fmt=three_digits, label_type="center", color="white")
    turned = {"rotation": 30, "ha": "right"} if len(groups) > 4 else {}
    axes.set_xticks([i + 0.4 - width / 2 for i in range(len(groups))], list(groups), **turned)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    if len(engines) > 1:
        axes.legend()


def _bars(result: dict) -> dict[str, dict[str, dict]]:
    """group -> engine -> spread of milliseconds."""
    match result["mode"]:
        case "ranks":
            return {_processes(point["ranks"]): {"ours": point["ms"]} for point in result["points"]}
        case "ops":
            entries = result["ops"]
        case "scaling":
            entries = {f"{point['size']} {point['value']}": point for point in result["points"]}
        case _:  # one bar for each side, named below it
            return {_named(engine, side): {"": side["ms"]} for engine, side in result["sides"].items()}
    return {name: {engine: side["ms"] for engine, side in one["sides"].items()} for name, one in entries.items()}


def _processes(count: int) -> str:
    return f"{count} process{'es' if count > 1 else ''}"


def _named(engine: str, side: dict) -> str:
    settings = f"malloc and gc\n{side['facts']['malloc_and_gc']}"
    return "our matrix\nproducts alone" if engine == "floor" else f"{engine}\n{settings}"


def _draw_shares(axes: Any, shares: dict) -> None:
    """Lying bars: of our step, the milliseconds of each op, backward after forward."""
    axes.set(title="where our step's time goes", xlabel="ms a step, under the profiler")
    names = list(shares)[:SHOWN]
    forward = [shares[name]["forward_ms"] for name in names]
    axes.barh(names, forward, label="forward, or neither")
    axes.barh(names, [shares[name]["backward_ms"] for name in names], left=forward, label="backward")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right")
