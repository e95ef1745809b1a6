"""Matrix products inside compiled loops, on a tile that fits the processor's registers.

BLAS is made for large matrices; attention multiplies small ones (64 × 32), and wants to use each result at once. A tile
of 6 × 16 sums stays in twelve vector registers while the products are added up, so that memory is read once and
written once; that is what the inside of a BLAS does as well. (A multiply-add takes four cycles and two may start in
each, so there must be eight of them to work on at least.) LLVM does not find this by itself from loops over
arrays, so these few operations are written as what it shall compile, with vectors of LANES numbers.
"""

from __future__ import annotations

import functools

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

TALL, WIDE = 6, 16  # of a tile
LANES = 8  # numbers in a vector: a 256-bit register of float32; the compiler splits what is larger than a register


@intrinsic
def tile_product(_, a, b, c, i, j, bj, start, stop, add):
    """c[i : i+6, j : j+16] = a[i : i+6, start : stop] @ b[start : stop, bj : bj+16], added to c if `add`.

    Rows of b and c lie without gaps in memory; a may be a transposed array. Nothing checks that the tile is inside.
    """

    def build(context, builder, signature, arguments):
        kinds = signature.args[:3]
        a, b, c = arrays = [
            context.make_array(kind)(context, builder, x) for kind, x in zip(kinds, arguments, strict=False)
        ]
        i, j, bj, start, stop, add = arguments[3:]
        number = context.get_data_type(kinds[0].dtype)
        vector = ir.VectorType(number, LANES)
        align = kinds[0].dtype.bitwidth // 8
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

        def plus(x, n):
            return builder.add(x, ir.Constant(x.type, n))

        def place(array, row, column, kind):
            which = arrays.index(array)
            element = cgutils.get_item_pointer(context, builder, kinds[which], array, [row, column])
            return builder.bitcast(element, kind.as_pointer())

        def load(array, row, column, kind):
            return builder.load(place(array, row, column, kind), align=align)

        def broadcast(x):
            first = builder.insert_element(ir.Constant(vector, ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, first, lanes)

        def multiply_add(x, y, z):
            return builder.fadd(builder.fmul(x, y, flags=("contract",)), z, flags=("contract",))

        tile = [(row, column) for row in range(TALL) for column in range(0, WIDE, LANES)]
        places = {rc: place(c, plus(i, rc[0]), plus(j, rc[1]), vector) for rc in tile}
        sums = {rc: cgutils.alloca_once(builder, vector) for rc in tile}  # LLVM keeps them in registers
        for rc in tile:
            before = builder.select(add, builder.load(places[rc], align=align), ir.Constant(vector, None))
            builder.store(before, sums[rc])
        with cgutils.for_range_slice(builder, start, stop, ir.Constant(start.type, 1), inc=True) as (k, _):
            in_row = {column: load(b, k, plus(bj, column), vector) for column in range(0, WIDE, LANES)}
            in_column = {row: broadcast(load(a, plus(i, row), k, number)) for row in range(TALL)}
            for row, column in tile:
                total = multiply_add(in_column[row], in_row[column], builder.load(sums[row, column]))
                builder.store(total, sums[row, column])
        for rc in tile:
            builder.store(builder.load(sums[rc]), places[rc], align=align)
        return context.get_dummy_value()

    return types.void(a, b, c, *[types.intp] * 5, types.boolean), build


@intrinsic
def row_max(_, p, i, stop):
    """max p[i, :stop] for a `stop` that is a multiple of WIDE; a NaN in it counts as nothing."""

    def build(context, builder, signature, arguments):
        kind = signature.args[0]
        p = context.make_array(kind)(context, builder, arguments[0])
        number = context.get_data_type(kind.dtype)
        vector = ir.VectorType(number, LANES)

        def larger(x, y):
            return builder.select(builder.fcmp_ordered(">", x, y), x, y)

        lowest = ir.Constant(number, float("-inf"))
        sides = range(0, WIDE, LANES)
        tops = [cgutils.alloca_once_value(builder, ir.Constant(vector, [lowest] * LANES)) for _ in sides]
        zero, step = ir.Constant(arguments[2].type, 0), ir.Constant(arguments[2].type, WIDE)
        with cgutils.for_range_slice(builder, zero, arguments[2], step, inc=True) as (s, _):
            for side, top in zip(sides, tops, strict=True):
                place = cgutils.get_item_pointer(
                    context, builder, kind, p, [arguments[1], builder.add(s, s.type(side))]
                )
                x = builder.load(builder.bitcast(place, vector.as_pointer()), align=kind.dtype.bitwidth // 8)
                builder.store(larger(x, builder.load(top)), top)
        best = functools.reduce(larger, map(builder.load, tops))
        return functools.reduce(larger, [builder.extract_element(best, ir.IntType(32)(n)) for n in range(LANES)])

    return p.dtype(p, types.intp, types.intp), build


@intrinsic
def borrow(_, x, index, shape):
    """Memory of x, from the element at `index` on, as an array of `shape` without gaps, to be used while x is there.

    A slice would count as one more reference to x, and two calls that count cost as much as the work on a short row.
    """

    def build(context, builder, signature, arguments):
        kind = signature.args[0]
        x = context.make_array(kind)(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, kind, x, cgutils.unpack_tuple(builder, arguments[1]))
        lengths = cgutils.unpack_tuple(builder, arguments[2])
        strides = [ir.Constant(lengths[0].type, kind.dtype.bitwidth // 8)]
        for length in lengths[:0:-1]:
            strides.insert(0, builder.mul(strides[0], length))
        part = context.make_array(signature.return_type)(context, builder)
        populate_array(part, place, shape=lengths, strides=strides, itemsize=strides[-1], meminfo=None)
        return part._getvalue()

    words = [types.UniTuple(types.intp, len(numbers)) for numbers in (index, shape)]
    return types.Array(x.dtype, len(shape), "C")(x, *words), build
