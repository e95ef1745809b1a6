"""`--png`: the page's graph, gradient flow and attention as pictures, by Matplotlib."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinygrad_gpt.explore.collect import decode
from tinygrad_gpt.explore.extra import require_extra
from tinygrad_gpt.paths import writing

FOLDED_ABOVE = 40  # ops; then the graph shows the modules one below the outermost instead


def draw_pictures(data: dict, folder: Path) -> list[Path]:
    """Write graph.png, gradient_flow.png and, for a GPT, attention.png into `folder`; returns their paths."""
    figure_class = require_extra("matplotlib.figure").Figure
    pictures: dict[str, Callable] = {"graph": _graph, "gradient_flow": _gradient_flow}
    if "attention" in data:
        pictures["attention"] = _attention
    paths = []
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, draw in pictures.items():
        figure = figure_class(dpi=130, layout="constrained")
        draw(figure, data)
        path = folder / f"{name}.png"
        with writing(path):
            figure.savefig(path)
        paths.append(path)
    return paths


def _graph(figure, data: dict) -> None:
    """Ops from left to right by how many ops lie before them, arrows as gradients flow."""
    names, edges = _nodes(data)
    depth: dict[int, int] = {}
    for node in names:  # in forward order, so that sources come first
        depth[node] = 1 + max((depth[a] for a, b in edges if b == node), default=-1)
    columns: dict[int, list[int]] = {}
    for node in names:
        columns.setdefault(depth[node], []).append(node)
    place = {n: (d, i - (len(column) - 1) / 2) for d, column in columns.items() for i, n in enumerate(column)}
    figure.set_size_inches(1.35 * len(columns) + 0.5, 0.8 * max(map(len, columns.values())) + 1.2)
    axes = figure.add_subplot(title=f"{data['title']}: gradients flow back along the arrows")
    axes.axis("off")
    for a, b in edges:
        (x0, y0), (x1, y1) = place[a], place[b]
        bend = 0.0 if x1 - x0 == 1 else 0.25  # around what lies between
        style = {"arrowstyle": "-|>", "color": "tab:orange", "connectionstyle": f"arc3,rad={bend}", "shrinkB": 22}
        axes.annotate("", (x0, y0), (x1, y1), arrowprops=style | {"shrinkA": 22})
    for node, name in names.items():
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "0.4"}
        axes.text(*place[node], name, ha="center", va="center", fontsize=7, bbox=box)
    heights = [y for _, y in place.values()]
    axes.set(xlim=(-0.6, len(columns) - 0.4), ylim=(min(heights) - 0.8, max(heights) + 0.8))


def _nodes(data: dict) -> tuple[dict[int, str], list[tuple[int, int]]]:
    """Names by number, in forward order, and edges (from, to); modules instead of ops in a large graph."""
    steps, calls = data["steps"], data["calls"]
    folded = len(steps) > FOLDED_ABOVE

    def stands_for(n: int) -> tuple[int, str]:
        chain = []
        call = steps[n]["call"]
        while call is not None:
            chain.append(call)
            call = calls[call]["outer"]
        if folded and len(chain) > 1:
            module = chain[-2]
            return -1 - module, f"{calls[module]['name']}\n{calls[module]['kind']}"
        return n, f"{steps[n]['name']}\n{steps[n]['outputs'][0]['shape']}"

    names = dict(map(stands_for, range(len(steps))))
    edges = {
        (stands_for(source["step"])[0], stands_for(n)[0]): None
        for n, step in enumerate(steps)
        for source in (i["from"] for i in step["inputs"])
        if source and "step" in source
    }
    return names, [(a, b) for a, b in edges if a != b]


def _gradient_flow(figure, data: dict) -> None:
    """The norm of the gradient that arrives at each op, in the order of the backward pass."""
    steps = [step for step in reversed(data["steps"]) if step["outputs"][0]["grad"] is not None]
    norms = [data["arrays"][step["outputs"][0]["grad"]]["norm"] for step in steps]
    figure.set_size_inches(8, 0.17 * len(steps) + 1.2)
    axes = figure.add_subplot(title=f"{data['title']}: the gradient on its way back", xlabel="‖dy‖", xscale="log")
    axes.barh(range(len(steps)), [norm if isinstance(norm, float) else 0 for norm in norms], color="tab:orange")
    paths = ["" if step["call"] is None else data["calls"][step["call"]]["path"] + " " for step in steps]
    labels = [path + step["name"] for path, step in zip(paths, steps, strict=True)]
    axes.set_yticks(range(len(steps)), labels, fontsize=6)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)


def _attention(figure, data: dict) -> None:
    """p of every layer (down) and head (across): rows are queries, columns keys."""
    given = data["attention"]
    layers, heads, T = given["layers"], given["heads"], len(given["words"])
    p = decode(given["p"]).reshape(layers, heads, T, T)
    figure.set_size_inches(1.5 * heads + 0.6, 1.5 * layers + 0.8)
    figure.suptitle(f"{data['title']}: attention, a row a layer, a column a head", fontsize=9)
    grid = np.atleast_2d(figure.subplots(layers, heads, squeeze=False))
    for layer, row in enumerate(grid):
        for head, axes in enumerate(row):
            axes.imshow(p[layer, head], cmap="Purples", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"layer {layer}", fontsize=7)
