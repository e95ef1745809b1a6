"""Compiled loops on several cores: BLAS's own threads run parts of them.

Between matrix products BLAS's threads wait for the next one, and a few microseconds after a product they are still
awake. NumPy's OpenBLAS lets others use them: `gotoblas_pthread(n, job, jobs, stride)` runs job(jobs + i·stride) for
each i < n, the first one in the thread that asks. So there is one set of threads for all work, which never fights
over the cores, and handing them a part takes 5 microseconds. Threads of Python's (tensor/kernels/threads.py) take
150, as they wake up each time and wait for one another's lock; they do the work where NumPy's BLAS is another one.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic
from threadpoolctl import ThreadpoolController

from tensor.kernels import threads

WORTH = 1 << 14  # elementary steps (of about a nanosecond) below which a part is not worth handing over


# What is in the cache was made from these. Numba looks at the file of a loop alone, and would go on with loops into
# which an old version of a function in another file is built in.
SOURCES = [(file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(Path(__file__).parent.glob("*.py"))]


class _Cache(FunctionCache):
    """Numba's cache on disk; a file that nobody can read, left by a full disk say, is dropped and its loop compiled."""

    def __init__(self, function: Callable):
        super().__init__(function)
        self._cache_file._source_stamp = self._impl.locator.get_source_stamp(), SOURCES

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever unpickling makes of it
            self.flush()
            return None


def _njit(function: Callable, **options) -> Any:
    # Reordering sums and fusing multiply-adds lets the loops use vector instructions; NaN and inf stay what they are.
    options |= {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    options |= {"no_cfunc_wrapper": True}  # how C would call it; nobody does
    dispatcher = numba.njit(function, **options)
    dispatcher._cache = _Cache(function)  # as `cache=True` does, with a cache of Numba's own class
    return dispatcher


def compiled(function: Callable) -> Any:
    """Compile what only loops call: without the wrapper with which Python calls one, it takes half the time."""
    return _njit(function, no_cpython_wrapper=True)


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
        self.loop = _njit(_sharing(loop))

    def __call__(self, length: int, steps: int, *args) -> None:
        if lent():
            self.loop(RUN, self.parts(length, steps), *args, 0, length)
        else:
            threads.run(self.loop, [(0, 1, *args, *part) for part in threads.split(length, steps)])

    @staticmethod
    def parts(length: int, steps: int) -> int:
        """Into how many parts range(length) goes."""
        return threads.count_parts(length, steps, WORTH if lent() else threads.WORTH)

    def compile(self, *kinds) -> None:
        """Compile for arguments of these Numba types, and from here on for no others."""
        self.loop.disable_compile(False)
        self.loop.compile((*[types.intp] * 2, *kinds, *[types.intp] * 2))
        self.loop.disable_compile()


def _sharing(loop: Callable) -> Callable:
    """The loop with two more arguments, `run` and `parts`, and a beginning that hands it out in parts. Of add(x, y, …):

    def add(run, parts, x, y, start, stop):
        if parts > 1:
            return hand_out_this_function(run, parts, (x, y), start, stop)
        … what add did …

    So there is one function to compile and to keep, and Numba knows its name, its file and its line.
    """
    source = ast.parse(inspect.getsource(loop))
    ast.increment_lineno(source, loop.__code__.co_firstlineno - 1)
    function = source.body[0]
    assert isinstance(function, ast.FunctionDef)
    args = "".join(f"{arg.arg}, " for arg in function.args.args[:-2])
    hand_out = f"if parts > 1: return hand_out_this_function(run, parts, ({args}), start, stop)"
    function.decorator_list.clear()
    function.args.args[:0] = [ast.arg("run"), ast.arg("parts")]
    function.body[:0] = ast.parse(hand_out).body
    names = loop.__globals__ | {"hand_out_this_function": _hand_out_this_function}
    exec(compile(ast.fix_missing_locations(source), loop.__code__.co_filename, "exec"), names)
    return names[loop.__name__]


@intrinsic
def _hand_out_this_function(_, run, parts, args, start, stop):
    """run(parts, job, jobs, size of a job): each job calls the function that this stands in for a part of the turns.

    That is, this_function(run, 1, *args, start of the part, stop of the part).
    """

    def build(context, builder, signature, values):
        run, parts, arguments, start, stop = values
        word, pointer, number = context.get_value_type(types.intp), cgutils.voidptr_t, cgutils.int32_t
        record = ir.LiteralStructType([context.get_value_type(args).as_pointer(), word, word])  # args, start, stop
        function = _job(context, builder, args, record)

        where = cgutils.alloca_once_value(builder, arguments)
        jobs = builder.alloca(record, parts)
        length = builder.sub(stop, start)
        with cgutils.for_range(builder, parts) as turn:
            following = builder.add(turn.index, word(1))
            done = [builder.sdiv(builder.mul(length, i), parts) for i in (turn.index, following)]
            for field, value in enumerate((where, *[builder.add(start, turns) for turns in done])):
                builder.store(value, cgutils.gep_inbounds(builder, builder.gep(jobs, [turn.index]), 0, field))

        kind = ir.FunctionType(number, [number, pointer, pointer, number])
        size = number(context.get_abi_sizeof(record))
        job, first = builder.bitcast(function, pointer), builder.bitcast(jobs, pointer)
        builder.call(builder.inttoptr(run, kind.as_pointer()), [builder.trunc(parts, number), job, first, size])
        return context.get_dummy_value()

    return types.void(run, parts, args, start, stop), build


def _job(context, caller, args, record):
    """A function of C, job(record): calls the function that `caller` is building for the record's part of the turns."""
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t])
    function = ir.Function(caller.module, kind, caller.module.get_unique_name("job"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    place = builder.bitcast(function.args[0], record.as_pointer())
    where, start, stop = (builder.load(cgutils.gep_inbounds(builder, place, 0, field)) for field in range(3))
    kinds = (*[types.intp] * 2, *args.types, *[types.intp] * 2)
    run, parts = start.type(0), start.type(1)
    values = [run, parts, *cgutils.unpack_tuple(builder, builder.load(where)), start, stop]
    # Inlined, the loop would be compiled a second time.
    context.call_conv.call_function(builder, caller.function, types.none, kinds, values, attrs=("noinline",))
    builder.ret_void()
    return function
