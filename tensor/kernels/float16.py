"""The kernels for float16 arrays on the CPU, which computes no float16: they are computed in float32, then rounded.

Same functions, arguments and results as in numpy_kernels; what backward needs of each row (means, logarithms of sums)
stays float32, as in cuda_kernels. `product` is the same for matrix products, on any device.
"""

from __future__ import annotations

import functools

import numpy as np

from tensor import kernels
from tensor.kernels import numpy_kernels

__all__ = numpy_kernels.__all__

HALF, FULL = np.dtype("float16"), np.dtype("float32")
RESULTS = {"add_layer_norm": 2}  # of a forward kernel that has more than one


def product(a, b):
    """a @ b. NumPy has no fast product of float16, and would round each partial sum."""
    if a.dtype == HALF and isinstance(a, np.ndarray):
        return (_in(FULL, a) @ _in(FULL, b)).astype(HALF)
    return a @ b


def adam_step(parameters, *, lr, beta1, beta2, eps, decay, l2, step, factor=1.0) -> None:
    """One step of Adam or AdamW, in place, for a list of (p, g, m, v, v_max); see numpy_kernels."""
    exact = [tuple(_in(FULL, a) for a in arrays) for arrays in parameters]
    settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "decay": decay, "l2": l2, "step": step}
    _kernel("adam_step")(exact, **settings, factor=factor)
    for arrays, results in zip(parameters, exact, strict=True):
        for a, result in zip(arrays, results, strict=True):
            if a is not None:
                a[...] = result


def __getattr__(name: str):
    """All others: float32 in, float16 out."""
    if name in __all__:
        return functools.wraps(getattr(numpy_kernels, name))(functools.partial(_run, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _kernel(name: str):
    return getattr(kernels.kernels(np.empty(0, FULL)), name)


def _run(name: str, *args, **settings):
    results = _kernel(name)(*(_in(FULL, a) for a in args), **settings)
    if not isinstance(results, tuple):
        return _in(HALF, results)
    rounded = len(results) if name.endswith("_backward") else RESULTS.get(name, 1)  # the others are for backward
    return *(_in(HALF, r) for r in results[:rounded]), *results[rounded:]


def _in(dtype, value):
    """`value` in `dtype` if it is a floating-point array, else itself."""
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
