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

TALL, WIDE = 6, 16  # of a tile
LANES = 8  # numbers in a vector: a 256-bit register of float32; the compiler splits what is larger than a register


@intrinsic
def tile_product(_, a, b, c, i, j, bj, start, stop, add):
    """c[i : i+6, j : j+16] = a[i : i+6, start : stop] @ b[start : stop, bj : bj+16], added to c if `add`.

    Rows of b and c lie without gaps in memory, and rows or columns of a. Nothing checks that the tile is inside.
    """

    def build(context, builder, signature, arguments):
        kinds = signature.args[:3]
        arrays = [context.make_array(kind)(context, builder, x) for kind, x in zip(kinds, arguments, strict=False)]
        i, j, bj, start, stop, add = arguments[3:]
        corners = [
            cgutils.get_item_pointer(context, builder, kind, array, corner)
            for kind, array, corner in zip(kinds, arrays, ((i, start), (start, bj), (i, j)), strict=True)
        ]
        steps = [
            cgutils.unpack_tuple(builder, array.strides)[kind.layout == "F"]
            for kind, array in zip(kinds, arrays, strict=True)
        ]
        multiply = _tile_function(builder.module, start.type, corners[0].type.pointee, kinds[0].layout == "F")
        builder.call(multiply, [*corners, *steps, builder.sub(stop, start), add])
        return context.get_dummy_value()

    return types.void(a, b, c, *[types.intp] * 5, types.boolean), build


def _tile_function(module, word, number, transposed: bool):
    """The function of tile_product: one in a module, for all its products, since each takes long to compile.

    void(a, b, c, a_step, b_step, c_step, K, add): the first numbers of the tiles; the bytes from one row to the next,
    or from one column of a to the next if a is `transposed`.
    """
    name = f"tile_product_{number}{'_transposed' * transposed}"
    if name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(ir.VoidType(), [number.as_pointer()] * 3 + [word] * 4 + [ir.IntType(1)])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    a, b, c, a_step, b_step, c_step, K, add = function.args
    vector = ir.VectorType(number, LANES)
    align = 4 if number == ir.FloatType() else 8
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

    def place(start, steps, step, further, kind):
        """Where `steps` times `step` bytes after `start`, and as many numbers `further`, one of this kind lies."""
        line = cgutils.pointer_add(builder, start, builder.mul(steps, step))
        return builder.bitcast(builder.gep(line, [further]), kind.as_pointer())

    def broadcast(x):
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, first, lanes)

    def multiply_add(x, y, z):
        return builder.fadd(builder.fmul(x, y, flags=("contract",)), z, flags=("contract",))

    tile = [(row, column) for row in range(TALL) for column in range(0, WIDE, LANES)]
    places = {(row, column): place(c, word(row), c_step, word(column), vector) for row, column in tile}
    sums = {rc: cgutils.alloca_once(builder, vector) for rc in tile}  # LLVM keeps them in registers
    for rc in tile:
        before = builder.select(add, builder.load(places[rc], align=align), ir.Constant(vector, None))
        builder.store(before, sums[rc])
    with cgutils.for_range(builder, K) as turn:
        k = turn.index
        in_row = {
            column: builder.load(place(b, k, b_step, word(column), vector), align=align)
            for column in range(0, WIDE, LANES)
        }
        in_column = {}
        for row in range(TALL):
            steps, further = (k, word(row)) if transposed else (word(row), k)
            in_column[row] = broadcast(builder.load(place(a, steps, a_step, further, number), align=align))
        for row, column in tile:
            total = multiply_add(in_column[row], in_row[column], builder.load(sums[row, column]))
            builder.store(total, sums[row, column])
    for rc in tile:
        builder.store(builder.load(sums[rc]), places[rc], align=align)
    builder.ret_void()
    return function


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
