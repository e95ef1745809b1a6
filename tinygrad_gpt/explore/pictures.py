"""`--png`: the page's graph, gradient flow and attention as pictures, by Matplotlib."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinygrad_gpt.explore.attention import decode_maps
from tinygrad_gpt.explore.extra import require_extra
from tinygrad_gpt.explore.graph_picture import arriving, draw_graph, nodes_of
from tinygrad_gpt.paths import writing

MOST_ROWS = 150  # of the gradient flow; then a row a module


def draw_pictures(data: dict, folder: Path) -> list[Path]:
    """Write graph.png, gradient_flow.png and, for a GPT, attention.png into `folder`; returns their paths."""
    figure_class = require_extra("matplotlib.figure").Figure
    pictures: dict[str, Callable] = {"graph": draw_graph, "gradient_flow": _gradient_flow}
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


def _gradient_flow(figure, data: dict) -> None:
    """The norm of the gradient that arrives at each op in the order of backward; at each module in a large graph."""
    points = _arrivals(data)
    figure.set_size_inches(8, 0.17 * len(points) + 1.2)
    axes = figure.add_subplot(xlabel="‖dy‖ that arrives", xscale="log", ylim=(len(points) - 0.4, -0.6))
    axes.set_title(f"{data['title']}: the gradient on its way back, from top to bottom", fontsize=10)
    names, norms = zip(*points, strict=True)
    axes.plot([norm or math.nan for norm in norms], range(len(points)), "o-", color="tab:orange", ms=4, lw=0.8)
    axes.set_yticks(range(len(points)), names, fontsize=6)
    axes.grid(alpha=0.3)


def _arrivals(data: dict) -> list[tuple[str, float]]:
    """Name and norm of the gradient at each op, from the loss on."""
    steps, calls = data["steps"], data["calls"]
    if len(steps) > MOST_ROWS:
        return [(node.lines[0], node.norm) for node in reversed(nodes_of(data)) if not node.is_leaf]
    paths = ["" if step["call"] is None else calls[step["call"]]["path"] + " " for step in steps]
    points = [(path + step["name"], arriving(data, step)) for path, step in zip(paths, steps, strict=True)]
    return points[::-1]


def _attention(figure, data: dict) -> None:
    """p of every layer (down) and head (across): rows are queries, columns keys."""
    given = data["attention"]
    layers, heads, T = given["layers"], given["heads"], len(given["words"])
    p = np.full((layers, T + 1, heads, T + 1), np.nan, np.float32)  # with a gap after each map
    p[:, :T, :, :T] = decode_maps(given["p"], layers, heads, T).transpose(0, 2, 1, 3)
    norm = require_extra("matplotlib.colors").PowerNorm(0.4, vmin=0, vmax=1)  # attention to one of many is little
    figure.set_size_inches(1.4 * heads + 1.2, 1.4 * layers + 0.8)
    axes = figure.add_subplot(frame_on=False)
    image = axes.imshow(p.reshape(layers * (T + 1), -1)[:-1, :-1], cmap="Purples", norm=norm, interpolation="none")
    figure.suptitle(f"{data['title']}: attention p; rows are queries, columns keys", fontsize=9)
    axes.set_xticks([h * (T + 1) + T / 2 - 0.5 for h in range(heads)], [f"head {h}" for h in range(heads)], fontsize=7)
    axes.set_yticks(
        [i * (T + 1) + T / 2 - 0.5 for i in range(layers)], [f"layer {i}" for i in range(layers)], fontsize=7
    )
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    bar = figure.colorbar(
        image, ticks=[0, 0.01, 0.1, 0.5, 1], fraction=0.2 / heads, pad=0.01, shrink=min(1, 2 / layers)
    )
    bar.ax.tick_params(labelsize=6)
