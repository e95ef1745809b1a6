"""What the page shows, as plain data: a recorded backward pass with its graph, arrays, formulas and source lines.

The steps are numbered in the order of the forward pass. An array is stored once and referred to by its number.
"""

import base64
import inspect
import linecache
import math
import textwrap
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from tensor import Op
from tensor.explain import Explanation
from tensor.recording import Leaf, ModuleCall, Snapshot, Step
from tinygrad_gpt.explore.formula import mathml

ROOT = Path(__file__).parents[2]
AROUND = 3  # lines shown before and after the one that called an op


class Collector:
    """Turns an Explanation (in forward order) into dicts, lists, strings and numbers."""

    def __init__(self, explanation: Explanation):
        self.explanation = explanation
        self.arrays: list[dict] = []
        self.calls: list[dict] = []
        self.places: list[dict] = []  # lines of code; the steps of all layers share a few
        self._numbers: dict[Hashable, int] = {}  # by id, a place by file and line

    def data(self) -> dict:
        steps = [self._step(step) for step in self.explanation.steps]
        leaves = [
            {"name": leaf.name, "shape": self._shape(leaf.value), "value": self._array(leaf.value)}
            | {"grad": self._array(leaf.grad)}
            for leaf in self.explanation.leaves
        ]
        ops = {step.op for step in self.explanation.steps}
        axes = {n: size for n, size in self.explanation.axes.items() if self.explanation.axis(size) == n}
        return {
            "axes": axes,
            "calls": self.calls,
            "steps": steps,
            "places": self.places,
            "leaves": leaves,
            "ops": {op.__name__: _op(op) for op in sorted(ops, key=lambda op: op.__name__)},
            "arrays": self.arrays,
        }

    def _step(self, step: Step) -> dict:
        return {
            "name": step.name,
            "call": self._call(step.module),
            "where": self._place(step.file, step.line),
            "settings": ", ".join(f"{name}={_brief(value)}" for name, value in step.settings.items()),
            "milliseconds": [_rounded(step.forward_seconds * 1e3), _rounded(step.backward_seconds * 1e3)],
            "inputs": [self._input(step, i) for i in range(len(step.inputs)) if step.inputs[i] is not None],
            "outputs": [
                {"shape": self._shape(y), "value": self._array(y), "grad": self._array(_at(step.output_grads, nr))}
                for nr, y in enumerate(step.outputs)
            ],
        }

    def _input(self, step: Step, i: int) -> dict:
        value, source = step.inputs[i], step.sources[i]
        assert value is not None
        given: dict = {"name": _input_name(step, i), "shape": self._shape(value)}
        given |= {"grad": self._array(_at(step.input_grads, i)), "from": None}
        if source is None:
            given |= {"label": self.explanation.source(step, i), "value": self._array(value)}
        elif isinstance(source[0], Leaf):
            given["from"] = {"leaf": [id(leaf) for leaf in self.explanation.leaves].index(id(source[0]))}
        else:
            given["from"] = {"step": self.explanation.numbers[id(source[0])], "output": source[1]}
        summed = _at(step.summed, i) or ()
        if summed:  # the gradient arrived in the shape of the output
            shape = step.outputs[0].shape
            given["summed"] = [f"{self.explanation.axis(shape[axis])} (axis {axis})" for axis in summed]
        return given

    def _shape(self, array: Snapshot) -> str:
        return self.explanation.shape(array.shape)

    def _array(self, array: Snapshot | None) -> int | None:
        if array is None:
            return None
        if id(array) not in self._numbers:
            self._numbers[id(array)] = len(self.arrays)
            self.arrays.append(
                {
                    "shape": list(array.shape),
                    "axes": [self.explanation.axis(size) for size in array.shape],
                    "kept": list(array.values.shape),
                    "norm": _rounded(array.norm),
                    "mean": _rounded(array.mean),
                    "low": _rounded(array.low),
                    "high": _rounded(array.high),
                    "values": encode(array.values),
                }
            )
        return self._numbers[id(array)]

    def _place(self, file: str, line: int) -> int:
        if (file, line) not in self._numbers:
            self._numbers[file, line] = len(self.places)
            self.places.append(_place(file, line))
        return self._numbers[file, line]

    def _call(self, call: ModuleCall | None) -> int | None:
        if call is None:
            return None
        if id(call) not in self._numbers:
            outer = self._call(call.outer)
            name = call.name.removeprefix(f"{call.outer.name}.") if call.outer else call.name
            self._numbers[id(call)] = len(self.calls)
            self.calls.append({"name": name, "path": call.name, "kind": call.kind, "outer": outer})
        return self._numbers[id(call)]


def encode(array) -> str:
    """The numbers of an array in row-major order as float32, little-endian, in base64."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")


def decode(text: str) -> np.ndarray:
    """The numbers that `encode` wrote, flat."""
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def _rounded(value: float) -> float | str:
    """To six digits, of which the page shows four. JSON has no word for NaN and the infinities."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def _at(values: list, i: int):
    return values[i] if i < len(values) else None


def _brief(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _input_name(step: Step, i: int) -> str:
    """What `forward` calls its input number `i`: q, k and v in the formula are those in the code."""
    plain = [p for p in inspect.signature(step.op.forward).parameters.values() if p.kind is not p.KEYWORD_ONLY][1:]
    first = len(plain) - 1
    several = plain[-1].kind is plain[-1].VAR_POSITIONAL and len(step.inputs) > len(plain)
    return f"{plain[-1].name}[{i - first}]" if several and i >= first else plain[i].name


def _place(file: str, line: int) -> dict:
    """A line with those around it."""
    path = Path(file)
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    first = max(1, line - AROUND)
    lines = textwrap.dedent("".join(linecache.getline(file, n) for n in range(first, line + AROUND + 1))).splitlines()
    return {"file": name, "line": line, "first": first, "lines": lines}


def _op(op: type[Op]) -> dict:
    """The formula and the code of an op."""
    assert op.backward is not None
    parts = {"forward": inspect.getsource(op.forward), "backward": inspect.getsource(op.backward)}
    file = Path(inspect.getsourcefile(op) or "")
    name = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name
    code = {kind: inspect.cleandoc("\n" + text) for kind, text in parts.items()}
    return {"vjp": op.vjp, "formula": mathml(op.vjp), "file": name, "does": inspect.getdoc(op) or "", **code}
