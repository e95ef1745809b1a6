"""What clipping does to all gradients at once: the sum of their squares, and one factor for all of them.

On a GPU each is one launch for up to 160 gradients instead of some for every one; elsewhere they come one by one.
A training step needs the sum alone: `adam_step` takes the factor along, so that no gradient is written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tensor.devices import namespace
from tensor.kernels.cuda_source import accum, kernel
from tensor.kernels.cuda_tables import table_macros, tables
from tensor.kernels.tiles import TILE, in_parts, tiles

THREADS = 256  # of a block
MACROS = table_macros(1)
QUICK = 16  # how often arrays must hold what is worth a thread: an element takes a tenth of a nanosecond or two


def sum_of_squares(arrays: Sequence):
    """Σ x² over all elements of all `arrays`, in float64: a number, or for arrays on a GPU an array () there."""
    xp = namespace(*arrays)
    if xp is np:
        return _sum_of_squares_on_the_cpu(arrays)
    total = xp.zeros((), np.float64)
    for dtype, group in _by_dtype(arrays):
        dense = [(xp.ascontiguousarray(a),) for a in group]
        for table, blocks in tables(dense):
            sums = xp.empty(blocks, accum(dtype))
            kernel("clip:sum_of_squares", dtype.char, **MACROS)((blocks,), (THREADS,), (table, sums))
            total += sums.sum(dtype=np.float64)
    return total


def _sum_of_squares_on_the_cpu(arrays: Sequence) -> float:
    """Tile by tile: BLAS sums float32 in float32, and of 100 million squares that loses the third digit."""
    parts: list = []
    for a in arrays:
        x = a.astype(np.float32) if a.dtype == np.float16 else a  # float16 ends at 65504
        if x.size <= TILE:
            parts.append(x)
        else:
            flat = x.reshape(-1)
            parts.extend(flat[tile] for tile in tiles(flat, 0, flat.size, TILE))
    sums = np.empty(len(parts))

    def part(start: int, stop: int) -> None:
        for i in range(start, stop):
            sums[i] = np.vdot(parts[i], parts[i])

    if parts:
        in_parts(parts[0], part, length=len(parts), elements=sum(a.size for a in parts) // QUICK)
    return float(sums.sum())


def scale_all(arrays: Sequence, factor) -> None:
    """x ← factor · x for all `arrays`, in place; `factor` is a number, or for arrays on a GPU an array () there too."""
    xp = namespace(*arrays)
    if xp is np:
        with np.errstate(invalid="ignore"):  # an inf by a factor of 0 is NaN, as on a GPU
            for a in arrays:
                a *= factor
        return
    for dtype, group in _by_dtype(arrays):
        exact = xp.asarray(factor, accum(dtype))
        dense = [(a,) for a in group if a.flags.c_contiguous]
        for table, blocks in tables(dense) if dense else ():
            kernel("clip:scale", dtype.char, **MACROS)((blocks,), (THREADS,), (table, exact))
        for a in group:
            if not a.flags.c_contiguous:
                a *= exact.astype(dtype)


def _by_dtype(arrays: Sequence) -> Iterator[tuple[np.dtype, list]]:
    for dtype in dict.fromkeys(a.dtype for a in arrays):
        yield dtype, [a for a in arrays if a.dtype == dtype]
