"""graph.png: the graph from left to right, by igraph's layered layout; arrows as gradients flow, back to the left."""

import math
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from tinygrad_gpt.explore.extra import require_extra

FOLDED_ABOVE = 40  # ops; then the modules one below the outermost stand for theirs
LETTER, BOX, GAP, ROW = 0.062, 0.34, 0.42, 0.54  # inches: a letter's width, a box's height, between columns, of a row
MARGIN, TITLE, SCALE = 0.25, 0.45, 0.55  # inches: around the graph, above it, below it for the colours


@dataclass
class Node:
    """An op, a leaf, or a module that stands for its ops."""

    lines: tuple[str, str]
    norm: float  # of the gradient that arrives
    is_leaf: bool = False
    sources: list["Node"] = field(default_factory=list)
    column: int = 0

    @property
    def width(self) -> float:
        return max(map(len, self.lines)) * LETTER + 0.12


def nodes_of(data: dict) -> list[Node]:
    """What the picture shows, in forward order; leaves only where no module is folded."""
    arrays, steps, calls = data["arrays"], data["steps"], data["calls"]
    folded = len(steps) > FOLDED_ABOVE
    found: dict[str, Node] = {}
    keys: list[str] = []  # of each step

    for n, step in enumerate(steps):
        arrives = arriving(data, step)
        path, call = [], step["call"]
        while call is not None:
            path.append(call)
            call = calls[call]["outer"]
        if folded and len(path) > 1:
            call = path[-2]
            keys.append(f"call {call}")
            node = found.setdefault(keys[n], Node((calls[call]["name"], calls[call]["kind"]), arrives))
            node.norm = arrives  # what comes to the last of its ops comes first
        else:
            keys.append(f"step {n}")
            node = found[keys[n]] = Node((step["name"], step["outputs"][0]["shape"]), arrives)
        for given in step["inputs"]:
            came_from = given["from"] or {}
            if "step" in came_from:
                source = found[keys[came_from["step"]]]
            elif "leaf" in came_from and not folded:
                leaf = data["leaves"][came_from["leaf"]]
                name = ".".join(leaf["name"].split(".")[-2:]) or "leaf"
                new = Node((name, leaf["shape"]), _norm(arrays, leaf["grad"]), is_leaf=True)
                source = found.setdefault(f"leaf {came_from['leaf']}", new)
            else:
                continue
            if source is not node and source not in node.sources:
                node.sources.append(source)
    return list(found.values())


def arriving(data: dict, step: dict) -> float:
    """The norm of the gradients that arrive at all outputs of a step."""
    return math.hypot(*(_norm(data["arrays"], y["grad"]) for y in step["outputs"]))


def _norm(arrays: list[dict], n: int | None) -> float:
    value = 0.0 if n is None else float(arrays[n]["norm"])
    return value if math.isfinite(value) else 0.0


def place(nodes: list[Node]) -> tuple[dict[int, tuple[float, float]], list[tuple[Node, Node, list]], float, float]:
    """Centres by id, edges (source, node, points from the node back to the source), width and height, in inches."""
    _set_columns(nodes)
    number = {id(node): n for n, node in enumerate(nodes)}
    edges = [(source, node) for node in nodes for source in node.sources]
    graph = require_extra("igraph").Graph(len(nodes), [(number[id(a)], number[id(b)]) for a, b in edges], directed=True)
    layout = graph.layout_sugiyama(layers=[node.column for node in nodes])
    bends = layout.edge_routing  # of each edge, (row, column) in every column that it passes
    widest = [max(n.width for n in nodes if n.column == c) for c in range(1 + max(n.column for n in nodes))]
    left = list(accumulate((w + GAP for w in widest), initial=MARGIN))
    middle = [x + w / 2 for x, w in zip(left, widest, strict=False)]
    rows = [y for y, _ in [*layout, *(point for points in bends for point in points)]]
    height = (max(rows) - min(rows)) * ROW + BOX

    def y(row: float) -> float:
        return SCALE + height - BOX / 2 - (row - min(rows)) * ROW

    centres = {id(n): (middle[n.column], y(row)) for n, (row, _) in zip(nodes, layout, strict=True)}
    lines = []
    for (source, node), points in zip(edges, bends, strict=True):
        line = [(centres[id(source)][0] + source.width / 2, centres[id(source)][1])]
        for row, column in sorted(points, key=lambda point: point[1]):  # straight past what stands in the column
            line += [(middle[round(column)] + sign * widest[round(column)] / 2, y(row)) for sign in (-1, 1)]
        line.append((centres[id(node)][0] - node.width / 2, centres[id(node)][1]))
        lines.append((source, node, line[::-1]))
    return centres, lines, left[-1] - GAP + MARGIN, SCALE + height + TITLE


def _set_columns(nodes: list[Node]) -> None:
    """One to the right of the last source; a leaf stands just before the first op that uses it."""
    users: dict[int, list[Node]] = {id(node): [] for node in nodes}
    for node in (n for n in nodes if not n.is_leaf):  # in forward order, so that sources come first
        node.column = 1 + max((source.column for source in node.sources if not source.is_leaf), default=0)
        for source in node.sources:
            users[id(source)].append(node)
    first = min(node.column for node in nodes if not node.is_leaf)
    if any(node.is_leaf for node in nodes):
        first -= 1
    for node in nodes:
        node.column = (min(user.column for user in users[id(node)]) - 1 if node.is_leaf else node.column) - first


def draw_graph(figure, data: dict) -> None:
    """The graph, each box in the colour of the norm of the gradient that arrives there."""
    patches, colors = require_extra("matplotlib.patches"), require_extra("matplotlib.colors")
    nodes = nodes_of(data)
    centres, edges, width, height = place(nodes)
    figure.set_layout_engine("none")
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))  # so a unit is an inch
    axes.axis("off")
    axes.text(MARGIN, height - TITLE / 2, f"{data['title']}: gradients flow back along the arrows", va="center")
    norms = [node.norm for node in nodes if node.norm > 0] or [1.0]
    scale = colors.LogNorm(min(norms), max(max(norms), min(norms) * 10))
    colour = require_extra("matplotlib.cm").ScalarMappable(scale, "Oranges")
    for source, node, line in edges:
        if node.norm > 0 and source.norm > 0:
            path = _curve(line)
            arrow = {"arrowstyle": "-|>", "mutation_scale": 8, "color": "tab:orange", "linewidth": 1}
            axes.add_patch(patches.FancyArrowPatch(path=path, **arrow))
    for node in nodes:
        x, y = centres[id(node)]
        style = f"round,pad=0,rounding_size={BOX / 2 if node.is_leaf else 0.05}"
        face = colour.to_rgba(node.norm) if node.norm > 0 else "white"
        corner = (x - node.width / 2, y - BOX / 2)
        dashes = "dashed" if node.is_leaf else "solid"
        box = {"boxstyle": style, "facecolor": face, "edgecolor": "0.3", "linewidth": 0.8, "linestyle": dashes}
        axes.add_patch(patches.FancyBboxPatch(corner, node.width, BOX, **box))
        ink = "white" if face != "white" and sum(face[:3]) < 1.3 else "black"
        axes.text(x, y, "\n".join(node.lines), ha="center", va="center", fontsize=7, color=ink)
    bar = figure.add_axes((MARGIN / width, 0.36 / height, min(2.5, width - 2 * MARGIN) / width, 0.09 / height))
    figure.colorbar(colour, cax=bar, orientation="horizontal").set_label("‖dy‖ that arrives", fontsize=6, labelpad=1)
    bar.tick_params(labelsize=6, which="both", length=2, pad=1)


def _curve(points: list[tuple[float, float]]):
    """A path through the points that leaves and reaches each of them level."""
    path = require_extra("matplotlib.path").Path
    vertices, codes = [points[0]], [path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [path.CURVE4] * 3
    return path(vertices, codes)
