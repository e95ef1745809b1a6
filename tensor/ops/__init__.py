"""The operations, one file a family. In each: small `Op` classes (the mathematics), then the public functions."""

from tensor.ops import arithmetic, cast, index, maths, matmul, reduce, shape

FAMILIES = (
    arithmetic,
    cast,
    index,
    maths,
    matmul,
    reduce,
    shape,
)
