"""Launches that work on many arrays at once: where these lie goes along as a table, the struct of cuda/table.cuh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tensor.kernels.cuda_source import blocks_for

TABLE_BYTES = 3840  # of the 4096 that a launch may carry, arguments included
BLOCK_ELEMENTS = 4096  # of an array that a block works on


def table_macros(arrays: int) -> dict[str, int]:
    """The macros of a kernel whose table has so many arrays in an entry."""
    return {"ARRAYS": arrays, "TABLE_SIZE": TABLE_BYTES // (8 * (arrays + 2)), "BLOCK_ELEMENTS": BLOCK_ELEMENTS}


def tables(entries: Sequence[tuple]) -> Iterator[tuple[Any, int]]:
    """For each launch that it takes, the struct `Table` and the number of blocks that it is for.

    An entry is a tuple of dense arrays of the same size, or None in the place of one.
    """
    macros = table_macros(len(entries[0]))
    length = macros["TABLE_SIZE"]
    fields = [("arrays", np.uint64, macros["ARRAYS"]), ("size", np.int64), ("first_block", np.int64)]
    filled = [entry for entry in entries if entry[0].size]
    for start in range(0, len(filled), length):
        part, blocks = filled[start : start + length], 0
        table = np.zeros((), np.dtype([("entries", fields, length), ("count", np.int64)]))
        table["count"] = len(part)
        for row, arrays in zip(table["entries"], part, strict=False):
            row["arrays"] = [0 if a is None else a.data.ptr for a in arrays]
            row["size"], row["first_block"] = arrays[0].size, blocks
            blocks += blocks_for(arrays[0].size, BLOCK_ELEMENTS)
        yield table[()], blocks
