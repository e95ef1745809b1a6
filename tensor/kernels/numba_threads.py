"""Compiled loops on several cores: BLAS's own threads run parts of them.

Between matrix products BLAS's threads wait for the next one, and a few microseconds after a product they are still
awake. NumPy's OpenBLAS lets others use them: `gotoblas_pthread(n, job, jobs, stride)` runs job(jobs + i·stride) for
each i < n, the first one in the thread that asks. So there is one set of threads for all work, which never fights
over the cores, and handing them a part takes 5 microseconds. Threads of Python's (tensor/kernels/threads.py) take
150, as they wake up each time and wait for one another's lock; they do the work where NumPy's BLAS is another one.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from threadpoolctl import ThreadpoolController

from tensor.kernels import threads

WORTH = 1 << 14  # elementary steps (of about a nanosecond) below which a part is not worth handing over

# Reordering sums and fusing multiply-adds lets the loops use vector instructions; NaN and inf stay what they are.
compiled: Callable[[Callable], Any] = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
)


def _blas_threads() -> tuple[int, int]:
    """How many threads NumPy's BLAS has, and the address of its gotoblas_pthread; (0, 0) for a BLAS without that."""
    for library in ThreadpoolController().lib_controllers:
        if library.internal_api == "openblas" and library.threading_layer == "pthreads" and "numpy" in library.filepath:
            run = getattr(library.dynlib, "gotoblas_pthread", None)
            if run is not None:
                return library.num_threads, ctypes.cast(run, ctypes.c_void_p).value or 0
    return 0, 0


BLAS_THREADS, RUN = _blas_threads()


def lent() -> bool:
    """Has BLAS as many threads as we use? Asked for more than it has, gotoblas_pthread would wait for ever."""
    return threads.THREADS <= BLAS_THREADS


class SharedLoop:
    """A compiled loop(…, start, stop) whose turns are independent; calling it runs them all, shared out.

    loop(length, steps, *args): the turns of range(length), in as many parts as `steps` elementary steps are worth.
    """

    def __init__(self, loop: Callable):
        self.loop = compiled(loop)
        self.share_out = compiled(_sharing(self.loop))

    def __call__(self, length: int, steps: int, *args) -> None:
        if lent():
            self.share_out(RUN, self.parts(length, steps), length, *args)
        else:
            threads.run(self.loop, [(*args, *part) for part in threads.split(length, steps)])

    @staticmethod
    def parts(length: int, steps: int) -> int:
        """Into how many parts range(length) goes."""
        return threads.count_parts(length, steps, WORTH if lent() else threads.WORTH)

    def compile(self, *kinds) -> None:
        """Compile for arguments of these Numba types, and from here on for no others."""
        for function, counts in (self.loop, (types.intp,) * 2), (self.share_out, (types.intp,) * 3):
            function.disable_compile(False)
            function.compile((*kinds, *counts) if function is self.loop else (*counts, *kinds))
            function.disable_compile()


def _sharing(loop) -> Callable:
    """`def share_out(run, parts, length, <args of the loop>)`, in Python for Numba to compile.

    It is made from text, under the name and file of the loop, since Numba's cache on disk goes by these.
    """
    function = loop.py_func
    args = ", ".join(list(inspect.signature(function).parameters)[:-2])
    name = f"share_out_{function.__name__}"
    text = f"def {name}(run, parts, length, {args}): hand_out(loop, run, parts, length, ({args},))"
    names = {"__name__": function.__module__, "hand_out": _hand_out, "loop": loop}
    exec(compile(text, function.__code__.co_filename, "exec"), names)
    return names[name]


@intrinsic
def _hand_out(typing, loop, run, parts, length, args):
    """run(parts, job, jobs, size of a job): each job calls loop(*args, start, stop) for its part of range(length)."""
    call = loop.get_call_type(typing, (*args.types, types.intp, types.intp), {})

    def build(context, builder, signature, values):
        _, run, parts, length, arguments = values
        word, pointer, number = context.get_value_type(types.intp), cgutils.voidptr_t, cgutils.int32_t
        record = ir.LiteralStructType([context.get_value_type(args).as_pointer(), word, word])  # args, start, stop
        function = _job(context, builder.module, loop.dispatcher.overloads[call.args], record)

        where = cgutils.alloca_once_value(builder, arguments)
        jobs = builder.alloca(record, parts)
        with cgutils.for_range(builder, parts) as turn:
            following = builder.add(turn.index, ir.Constant(word, 1))
            bounds = [builder.sdiv(builder.mul(length, i), parts) for i in (turn.index, following)]
            for field, value in enumerate((where, *bounds)):
                builder.store(value, cgutils.gep_inbounds(builder, builder.gep(jobs, [turn.index]), 0, field))

        kind = ir.FunctionType(number, [number, pointer, pointer, number])
        size = ir.Constant(number, context.get_abi_sizeof(record))
        job, first = builder.bitcast(function, pointer), builder.bitcast(jobs, pointer)
        builder.call(builder.inttoptr(run, kind.as_pointer()), [builder.trunc(parts, number), job, first, size])
        return context.get_dummy_value()

    return types.void(loop, run, parts, length, args), build


def _job(context, module, compiled_loop, record):
    """A function of C, job(record): calls the loop with the record's arguments, start and stop."""
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t])
    function = ir.Function(module, kind, module.get_unique_name("job"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    place = builder.bitcast(function.args[0], record.as_pointer())
    args, start, stop = (builder.load(cgutils.gep_inbounds(builder, place, 0, field)) for field in range(3))
    context.active_code_library.add_linking_library(compiled_loop.library)
    callee = context.declare_function(module, compiled_loop.fndesc)
    values = [*cgutils.unpack_tuple(builder, builder.load(args)), start, stop]
    context.call_conv.call_function(builder, callee, types.none, compiled_loop.signature.args, values)
    builder.ret_void()
    return function
