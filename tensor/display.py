"""How a notebook shows a Tensor: the matrices of its last two dims side by side, each number on a colour.

Red is above zero and blue below; the deepest of both is the largest magnitude that is shown. Of many indices only the
first and the last are shown. In a terminal a Tensor is its `repr`.
"""

from __future__ import annotations

import html
import math

import numpy as np

from tensor.devices import CPU, move
from tensor.tensor import Tensor

EDGE = 4  # indices on either side of an ellipsis
ABOVE, BELOW = "214, 39, 40", "31, 119, 180"  # red and blue: told apart by the colour-blind too
DEEPEST = 0.6  # opacity: text stays readable on it, on a light page as on a dark one
FAINT = ' style="opacity:0.5;font-weight:normal;text-align:right"'


def to_html(x: Tensor) -> str | None:
    """`x` as HTML, or None where its `repr` says it all: for a single number, and without elements."""
    if x.ndim == 0 or x.numel() == 0:
        return None
    array = move(x.array, CPU)
    array = array[None, :] if array.ndim == 1 else array
    leading = array.shape[:-2]
    matrices = [n if n is None else _index(n, leading) for n in _ends(math.prod(leading))]
    largest = max(_largest(array[i]) for i in matrices if i is not None)
    pictures = ["…" if i is None else _matrix(array[i], i, largest, rows=x.ndim > 1) for i in matrices]
    blocks = "".join(f'<div style="margin:0.3em 1.5em 0.3em 0">{picture}</div>' for picture in pictures)
    return f'<div>{_caption(x)}<div style="display:flex;flex-wrap:wrap;align-items:center">{blocks}</div></div>'


def _caption(x: Tensor) -> str:
    """ "float32 (2, 3, 4), made by Mul"."""
    text = f"{type(x).__name__} {x.dtype} {tuple(x.shape)}"
    if x.is_cuda:
        text += f" on {x.device}"
    if x.grad_fn is not None:
        text += f", made by {x.grad_fn.name}"
    elif x.requires_grad:
        text += ", requires grad"
    return f'<div style="opacity:0.7">{html.escape(text)}</div>'


def _ends(size: int) -> list[int | None]:
    """The indices of a dim that are shown; None stands for those that are left out."""
    return [*range(size)] if size <= 2 * EDGE + 1 else [*range(EDGE), None, *range(size - EDGE, size)]


def _index(n: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of the n-th element of an array of that shape."""
    return tuple(int(i) for i in np.unravel_index(n, shape)) if shape else ()


def _largest(matrix: np.ndarray) -> float:
    """The largest finite magnitude that is shown of `matrix`; 1 if that is 0."""
    rows, columns = ([i for i in _ends(size) if i is not None] for size in matrix.shape)
    shown = matrix[np.ix_(rows, columns)].astype(np.float64)
    return float(np.abs(shown[np.isfinite(shown)]).max(initial=0.0)) or 1.0


def _matrix(matrix: np.ndarray, index: tuple[int, ...], largest: float, *, rows: bool) -> str:
    """A table with the numbers of its columns and, if `rows`, of its rows; `index` says which matrix it is."""
    down, across = map(_ends, matrix.shape)
    corner = f"<th{FAINT}>{list(index) if index else ''}</th>" if rows else ""
    lines = [corner + "".join(f"<th{FAINT}>{'…' if j is None else j}</th>" for j in across)]
    for i in down:
        line = f"<th{FAINT}>{'…' if i is None else i}</th>" if rows else ""
        lines.append(line + "".join(_cell(None if None in (i, j) else matrix[i, j], largest) for j in across))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(value, largest: float) -> str:
    if value is None:
        return '<td style="text-align:center">…</td>'
    number = float(value)
    text = f"{number:.4g}" if np.asarray(value).dtype.kind == "f" else str(value)
    style = "text-align:right;font-variant-numeric:tabular-nums"
    if np.isfinite(number) and number != 0:
        colour, opacity = (ABOVE if number > 0 else BELOW), DEEPEST * min(abs(number) / largest, 1.0)
        style += f";background:rgba({colour}, {opacity:.2f})"
    return f'<td style="{style}">{text}</td>'
