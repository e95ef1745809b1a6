"""Parts of arrays inside compiled loops, without counting references: who calls the loop keeps the arrays."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


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


@intrinsic
def borrow_by_id(_, number, first, last, like):
    """The elements first … last − 1 of the NumPy array whose id() is `number`: it has no gaps, and the type of `like`.

    CPython's id of an object is its address, and behind the header that all objects have, NumPy's arrays begin with the
    address of their elements (PyArrayObject_fields in numpy/ndarraytypes.h). To ask Python for that address,
    `array.ctypes.data`, takes a microsecond; an id takes a tenth of that.
    """

    def build(context, builder, signature, arguments):
        number, first, last, _ = arguments
        element = context.get_data_type(like)
        field = builder.add(number, ir.Constant(number.type, object.__basicsize__))
        memory = builder.load(builder.inttoptr(field, element.as_pointer().as_pointer()))
        part = context.make_array(signature.return_type)(context, builder)
        populate_array(
            part,
            builder.gep(memory, [first]),
            shape=[builder.sub(last, first)],
            strides=[ir.Constant(first.type, like.bitwidth // 8)],
            itemsize=ir.Constant(first.type, like.bitwidth // 8),
            meminfo=None,
        )
        return part._getvalue()

    return types.Array(like, 1, "C")(*[types.intp] * 3, like), build
