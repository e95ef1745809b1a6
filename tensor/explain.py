"""`loss.explain()`: the backward pass that `record()` has kept, one row an op, as text, HTML, a dict or a graph.

The rows come in the order in which backward visits the ops, newest first, or with `order="forward"` in that of the
forward pass. Ops that ran in a module stand under its name; modules deeper than `depth` are one row each.
"""

from __future__ import annotations

import html
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tensor.recording import Leaf, ModuleCall, Snapshot, Step
from tensor.tensor import Tensor

ORDERS = ("backward", "forward")
COLUMNS = ("op", "gradient", "called at", "in → out", "|value|", "|gradient|", "time")
SHOWN_INPUTS = 3  # of an op; a checkpointed segment has dozens
LONGEST_FORMULA = 48  # characters of one in the text table; HTML and the dict have all of it


def explain(input: Tensor, order: str = "backward", depth: int | None = None) -> Explanation:
    """What backward does to get from this Tensor to the leaves, as recorded by `with tensor.record():`.

    Args:
        order: "backward" or "forward".
        depth: how many modules deep to show ops one by one; deeper modules are one row each. None for all ops.
    """
    if order not in ORDERS:
        raise ValueError(f"explain: order must be 'backward' or 'forward', got {order!r}")
    if depth is not None and depth < 0:
        raise ValueError(f"explain: depth must not be negative, got {depth}")
    step = getattr(input.grad_fn, "step", None)
    if step is None:
        raise RuntimeError(
            "explain: nothing is known of how this Tensor was computed: compute it, and run backward, inside "
            "`with tensor.record():`, from leaves that require grad"
        )
    return Explanation(step, order, depth)


class Row(NamedTuple):
    """One line of the table: an op, a module that is folded, or (`steps` is empty) the heading of a module's ops."""

    level: int  # of modules around it
    title: str
    steps: list[Step]


class Explanation:
    """The steps behind a Tensor: `print` it, or let a notebook show it.

    Attributes:
        steps: in the chosen order.
        leaves: the leaves behind the Tensor, in the order in which they were first used.
        numbers: the place in `steps` by a step's id.
        seconds: the time of all steps, forward and backward.
        axes: the sizes of axes by their names, as given to `record()`.
    """

    def __init__(self, last: Step, order: str, depth: int | None):
        self.order, self.depth = order, depth
        self.axes: dict[str, int] = dict(last._recorder.axes)
        newest_first = _steps_behind(last)
        self.steps = newest_first if order == "backward" else newest_first[::-1]
        self.numbers = {id(step): n for n, step in enumerate(self.steps)}
        sources = [source for step in newest_first[::-1] for source, _ in filter(None, step.sources)]
        self.leaves = list({id(leaf): leaf for leaf in sources if isinstance(leaf, Leaf)}.values())
        self.seconds = sum(map(_seconds, self.steps))

    def axis(self, size: int) -> str:
        """The name of the axes of this size, or the size itself if none or several have it."""
        names = [name for name, n in self.axes.items() if n == size > 1]
        return names[0] if len(names) == 1 else str(size)

    def shape(self, shape: Sequence[int]) -> str:
        """`shape` with the names of its axes where they are known: "(B, T, 3C)"."""
        return f"({', '.join(map(self.axis, shape))}{',' * (len(shape) == 1)})"

    def source(self, step: Step, i: int) -> str:
        """Where input `i` of `step` comes from, in words."""
        came_from = step.sources[i]
        if came_from is None:
            value = step.inputs[i]
            return "constant" if value is None or value.shape else f"{value.values.item():g}"
        source = came_from[0]
        return source.name or "leaf" if isinstance(source, Leaf) else f"#{self.numbers[id(source)]} {source.name}"

    # ------------------------------------------------------------------ the table

    def rows(self) -> Iterator[Row]:
        """The lines of the table, folded to `depth`."""
        return self._rows(self.steps, 0)

    def _rows(self, steps: Sequence[Step], level: int) -> Iterator[Row]:
        for module, group in itertools.groupby(steps, lambda step: _module_at(step, level)):
            members = list(group)  # a module ran from one op to another, so its ops are neighbours
            if module is None:
                for step in members:
                    yield Row(level, step.name, [step])
            elif len(members) == 1:
                inner = members[0].module or module
                yield Row(level, f"{_relative_name(inner, level)}: {members[0].name}", members)
            elif self.depth is not None and level >= self.depth:
                yield Row(level, f"{_title(module, level)}, {len(members)} ops", members)
            else:
                yield Row(level, _title(module, level), [])
                yield from self._rows(members, level + 1)

    def _cells(self, row: Row) -> list[str]:
        """The cells of a row, as COLUMNS names them."""
        if not row.steps:
            return [row.title] + [""] * (len(COLUMNS) - 1)
        first, last = (row.steps[-1], row.steps[0]) if self.order == "backward" else (row.steps[0], row.steps[-1])
        alone = len(row.steps) == 1
        shapes = [self.shape(x.shape) for x in first.inputs if x is not None]
        shown = SHOWN_INPUTS if alone else 1
        ins = ", ".join(shapes[:shown]) + ", …" * (alone and len(shapes) > shown)
        outs = ", ".join(self.shape(y.shape) for y in last.outputs)
        return [
            row.title,
            first.op.vjp if alone else "",
            f"{os.path.basename(first.file)}:{first.line}" if alone else "",
            f"{ins} → {outs}",
            _number(_norm(last.outputs)),
            _number(_norm(last.output_grads)),
            f"{sum(map(_seconds, row.steps)) / self.seconds:.1%}" if self.seconds else "",
        ]

    def __str__(self) -> str:
        lines = [list(COLUMNS)]
        for row in self.rows():
            cells = self._cells(row)
            cells[0] = "  " * row.level + cells[0]
            cells[1] = _shortened(cells[1])
            lines.append(cells)
        widths = [max(len(cells[i]) for cells in lines if any(cells[1:])) for i in range(len(COLUMNS))]
        align = [str.ljust] * 4 + [str.rjust] * 3  # numbers to the right
        text = ["  ".join(put(c, w) for put, c, w in zip(align, line, widths, strict=True)) for line in lines]
        return "\n".join([self._heading(), *map(str.rstrip, text)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in COLUMNS)
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="text-align:left;padding-left:{row.level * 1.2 + 0.4 if i == 0 else 0.4}em">'
                f"{html.escape(cell)}</td>"
                for i, cell in enumerate(self._cells(row))
            )
            + "</tr>"
            for row in self.rows()
        )
        heading = html.escape(self._heading())
        return f"<p>{heading}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _heading(self) -> str:
        axes = ", ".join(f"{name} = {size}" for name, size in self.axes.items() if self.axis(size) == name)
        return f"{len(self.steps)} ops in {self.order} order, {self.seconds * 1e3:.1f} ms" + f"; {axes}" * bool(axes)

    # ------------------------------------------------------------------ for programs

    def to_dict(self) -> dict:
        """The same as plain lists, numbers and strings: {"order", "seconds", "axes", "steps", "leaves"}.

        The `source` of an input is {"step": its number in this list, "output": which one}, {"leaf": number in
        `leaves`}, or None for a constant. An array is given by its shape and norm, mean, low and high.
        """
        return {
            "order": self.order,
            "seconds": self.seconds,
            "axes": dict(self.axes),
            "steps": [self._step_dict(step) for step in self.steps],
            "leaves": [
                {"name": leaf.name, "value": _array_dict(leaf.value), "grad": _array_dict(leaf.grad)}
                for leaf in self.leaves
            ],
        }

    def _step_dict(self, step: Step) -> dict:
        grads, summed = _as_long_as(step.inputs, step.input_grads), _as_long_as(step.inputs, step.summed)
        return {
            "name": step.name,
            "vjp": step.op.vjp,
            "file": step.file,
            "line": step.line,
            "module": [module.name for module in step.module.path] if step.module else [],
            "settings": dict(step.settings),
            "inputs": [
                {
                    "source": self._source_dict(e),
                    "value": _array_dict(x),
                    "grad": _array_dict(g),
                    "summed": list(s or ()),
                }
                for e, x, g, s in zip(step.sources, step.inputs, grads, summed, strict=True)
            ],
            "outputs": [
                {"value": _array_dict(y), "grad": _array_dict(g)}
                for y, g in zip(step.outputs, _as_long_as(step.outputs, step.output_grads), strict=True)
            ],
            "forward_seconds": step.forward_seconds,
            "backward_seconds": step.backward_seconds,
        }

    def _source_dict(self, source) -> dict | None:
        if source is None:
            return None
        if isinstance(source[0], Leaf):
            return {"leaf": next(n for n, leaf in enumerate(self.leaves) if leaf is source[0])}
        return {"step": self.numbers[id(source[0])], "output": source[1]}

    def to_dot(self) -> str:
        """The graph in the DOT language, for Graphviz: ops in boxes of their modules, values from left to right."""
        lines = ["digraph backward {", "rankdir=LR; node [shape=box, style=rounded];"]
        lines += self._dot_modules(sorted(self.steps, key=lambda step: step.number), 0)
        for n, leaf in enumerate(self.leaves):
            label = f"{leaf.name or 'leaf'}\n{self.shape(leaf.value.shape)}"
            lines.append(f"leaf{n} [shape=plain, label={_quoted(label)}];")
        for step in self.steps:
            for source in filter(None, map(self._source_dict, step.sources)):
                start = f"leaf{source['leaf']}" if "leaf" in source else f"op{source['step']}"
                lines.append(f"{start} -> op{self.numbers[id(step)]};")
        return "\n".join([*lines, "}"])

    def _dot_modules(self, steps: Sequence[Step], level: int) -> Iterator[str]:
        for module, group in itertools.groupby(steps, lambda step: _module_at(step, level)):
            members = list(group)
            if module is None:
                for step in members:
                    label = f"{step.name}\n{self.shape(step.outputs[0].shape)}"
                    yield f"op{self.numbers[id(step)]} [label={_quoted(label)}, tooltip={_quoted(step.op.vjp)}];"
            else:
                yield f"subgraph cluster{self.numbers[id(members[0])]}_{level} {{ label={_quoted(module.name)};"
                yield from self._dot_modules(members, level + 1)
                yield "}"


def _steps_behind(last: Step) -> list[Step]:
    """All steps behind `last` and itself, newest first; those that ran inside another one's backward follow it."""
    found: dict[int, Step] = {}
    stack = [last]
    while stack:
        step = stack.pop()
        if id(step) not in found:
            found[id(step)] = step
            stack += [source for source, _ in filter(None, step.sources) if isinstance(source, Step)]
    ordered = sorted(found.values(), key=lambda step: step.number, reverse=True)
    return [one for step in ordered for one in _with_inside(step)]


def _with_inside(step: Step) -> Iterator[Step]:
    yield step
    for inner in step.inside:
        yield from _with_inside(inner)


def _module_at(step: Step, level: int) -> ModuleCall | None:
    path = step.module.path if step.module else []
    return path[level] if len(path) > level else None


def _relative_name(module: ModuleCall, level: int) -> str:
    """The module's name without that of the module `level` stands in, which a heading names already."""
    outer = module.path[level - 1].name if level else ""
    return module.name.removeprefix(f"{outer}.")


def _title(module: ModuleCall, level: int) -> str:
    return module.name if module.name == module.kind else f"{_relative_name(module, level)} ({module.kind})"


def _seconds(step: Step) -> float:
    return step.forward_seconds + step.backward_seconds


def _norm(arrays: Sequence[Snapshot | None]) -> float:
    """The norm of all of them together; NaN of none."""
    there = [array for array in arrays if array is not None]
    return math.hypot(*(array.norm for array in there)) if there else math.nan


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _shortened(formula: str) -> str:
    return formula if len(formula) <= LONGEST_FORMULA else formula[: LONGEST_FORMULA - 1] + "…"


def _as_long_as(pattern: Sequence, values: Sequence) -> list:
    """`values`, or before backward a None for each element of `pattern`."""
    return list(values) if values else [None] * len(pattern)


def _array_dict(array: Snapshot | None) -> dict | None:
    if array is None:
        return None
    numbers = {"norm": array.norm, "mean": array.mean, "low": array.low, "high": array.high}
    return {"shape": list(array.shape), "dtype": str(array.dtype)} | numbers


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
