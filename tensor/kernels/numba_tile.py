"""Matrix products inside compiled loops, on a tile that fits the processor's registers.

BLAS is made for large matrices; attention multiplies small ones (64 × 32), and wants to use each result at once. A tile
of 4 × 16 sums stays in eight vector registers while the products are added up, so that memory is read once and
written once; that is what the inside of a BLAS does as well. LLVM does not find this by itself from loops over
arrays, so these few operations are written as what it shall compile, with vectors of LANES numbers.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

TALL, WIDE = 4, 16  # of a tile
LANES = 8  # numbers in a vector: a 256-bit register of float32; the compiler splits what is larger than a register


@intrinsic
def tile_product(_, a, b, c, i, j, bj, start, stop, add):
    """c[i : i+4, j : j+16] = a[i : i+4, start : stop] @ b[start : stop, bj : bj+16], added to c if `add`.

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
def dense(_, row):
    """The 1-d array `row`, with the compiler told that its elements lie without gaps, so that it uses vectors."""

    def build(context, builder, signature, arguments):
        return impl_ret_borrowed(context, builder, signature.return_type, arguments[0])

    return types.Array(row.dtype, 1, "C")(row), build
