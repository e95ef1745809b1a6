"""The kernels in CUDA C, for float16, float32 and float64 arrays of CuPy; the sources are in cuda/*.cu.

Same functions, arguments and results as in numpy_kernels; float16 arrays are computed in float32, and what backward
needs of each row (means, logarithms of sums) is float32 for them. What stands here is Python: it makes arrays
contiguous, chooses how many blocks of how many threads, and launches. Attention has a file of its own, cuda_attention.
Nothing here uses atomics: the same arguments give the same bits.

The tests run these kernels on a CPU (tests/cudasim) and compile them for sm_80 and sm_90; they have not been measured
on a GPU.
"""

from __future__ import annotations

import math

import numpy as np

from tensor.devices import cupy_module, is_array
from tensor.kernels import numpy_kernels
from tensor.kernels.cuda_attention import attention as attention
from tensor.kernels.cuda_attention import attention_backward as attention_backward
from tensor.kernels.cuda_source import accum, blocks_for, kernel
from tensor.kernels.cuda_tables import table_macros, tables
from tensor.kernels.random_bits import threshold, words

__all__ = numpy_kernels.__all__

NULL = np.uintp(0)  # a pointer to nothing
THREADS = 256  # of a block, where each works for itself
PACK_BYTES = 16  # that such a thread reads at once


def row_threads(C: int) -> int:
    """The threads of a block that goes through a row of C elements: whole warps, four elements a thread or more."""
    return 32 * min(8, max(1, blocks_for(C, 128)))


def __getattr__(name: str):
    """A kernel that has no CUDA form: the NumPy form runs on CuPy arrays as it is."""
    if name in __all__:
        return getattr(numpy_kernels, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# ---------------------------------------------------------------------- softmax


def _along(name: str, axis: int, *arrays):
    """Launch the softmax kernel `name` on rows that lie along `axis`; returns the result."""
    xp = cupy_module()
    moved = [xp.ascontiguousarray(xp.moveaxis(a, axis, -1)) for a in arrays]
    out = xp.empty(moved[0].shape, moved[0].dtype)
    C = out.shape[-1]
    if out.size:
        kernel(f"softmax:{name}", out.dtype.char)((out.size // C,), (row_threads(C),), (*moved, out, C))
    return xp.moveaxis(out, -1, axis)


def softmax(x, axis: int):
    """exp(x - max x) / Σ exp(x - max x) along `axis`."""
    return _along("softmax", axis, x)


def softmax_backward(dy, y, axis: int):
    """dx = y ⊙ (dy − Σ dy ⊙ y)."""
    return _along("softmax_backward", axis, dy, y)


def log_softmax(x, axis: int):
    """x − max x − ln Σ exp(x − max x) along `axis`."""
    return _along("log_softmax", axis, x)


def log_softmax_backward(dy, y, axis: int):
    """dx = dy − exp(y) Σ dy."""
    return _along("log_softmax_backward", axis, dy, y)


# ---------------------------------------------------------------------- norms


def layer_norm(x, weight, bias, eps: float):
    """y (N, C), mean (N,), rstd (N,) as in numpy_kernels."""
    return add_layer_norm(x, None, weight, bias, eps)[1:]


def add_layer_norm(x, branch, weight, bias, eps: float):
    """total = x + branch and y (N, C), mean (N,), rstd (N,) as in numpy_kernels."""
    xp, (N, C), f = cupy_module(), x.shape, accum(x.dtype)
    x = xp.ascontiguousarray(x)
    total = x if branch is None else xp.empty_like(x)
    y, mean, rstd = xp.empty_like(x), xp.empty(N, f), xp.empty(N, f)
    arguments = (x, _or_null(branch), total, _or_null(weight), _or_null(bias), f.type(eps), y, mean, rstd, C)
    _over_rows("norms:add_layer_norm", x, arguments)
    return total, y, mean, rstd


def layer_norm_backward(dy, x, weight, mean, rstd, affine: bool):
    """dx (N, C), dweight and dbias (C,) as in numpy_kernels."""
    return add_layer_norm_backward(None, dy, x, weight, mean, rstd, affine)


def add_layer_norm_backward(dtotal, dy, total, weight, mean, rstd, affine: bool):
    """dx (N, C), dweight and dbias (C,) as in numpy_kernels."""
    xp = cupy_module()
    dy, x = xp.ascontiguousarray(dy), xp.ascontiguousarray(total)
    dx = xp.empty_like(x)
    mean, rstd = _exact(mean, x), _exact(rstd, x)
    arguments = (_or_null(dtotal), dy, x, _or_null(weight), mean, rstd, dx, x.shape[1])
    _over_rows("norms:add_layer_norm_backward", x, arguments)
    return dx, *(_column_sums(dy, x, mean, rstd) if affine else (None, None))


def rms_norm(x, weight, eps: float):
    """y (N, C) and rrms (N,) as in numpy_kernels."""
    xp, (N, C), f = cupy_module(), x.shape, accum(x.dtype)
    x = xp.ascontiguousarray(x)
    y, rrms = xp.empty_like(x), xp.empty(N, f)
    _over_rows("norms:rms_norm", x, (x, _or_null(weight), f.type(eps), y, rrms, C))
    return y, rrms


def rms_norm_backward(dy, x, weight, rrms, affine: bool):
    """dx (N, C) and dweight (C,) as in numpy_kernels."""
    xp = cupy_module()
    dy, x = xp.ascontiguousarray(dy), xp.ascontiguousarray(x)
    dx, rrms = xp.empty_like(x), _exact(rrms, x)
    _over_rows("norms:rms_norm_backward", x, (dy, x, _or_null(weight), rrms, dx, x.shape[1]))
    return dx, _column_sums(dy, x, None, rrms)[0] if affine else None


def _exact(array, x):
    """`array`, one number for each row of x, in the dtype that x is computed in."""
    return cupy_module().ascontiguousarray(array, accum(x.dtype))


def _or_null(array):
    return NULL if array is None else cupy_module().ascontiguousarray(array)


def _over_rows(name: str, x, arguments: tuple) -> None:
    """Launch a kernel that gives each row of x (N, C) a block."""
    N, C = x.shape
    if x.size:
        kernel(name, x.dtype.char)((N,), (row_threads(C),), arguments)


def _column_sums(dy, x, mean, rstd):
    """dweight and dbias (C,): Σ_n dy ⊙ (x − mean) rstd and Σ_n dy, first of some rows each, then of these parts."""
    xp, (N, C), letter = cupy_module(), x.shape, x.dtype.char
    parts = min(64, max(1, N // 128))  # each of 128 rows or more: 16 for every warp
    sums = xp.empty((parts, 2, C), accum(x.dtype))
    dweight, dbias = xp.empty(C, x.dtype), xp.empty(C, x.dtype)
    sum_kernel, total_kernel = kernel("norms:norm_backward_sums", letter), kernel("norms:norm_backward_total", letter)
    sum_kernel((blocks_for(C, 32), parts), (32, 8), (dy, x, _or_null(mean), rstd, sums, N, C))
    total_kernel((blocks_for(C, THREADS),), (THREADS,), (sums, dweight, dbias, parts, C))
    return dweight, dbias


# ---------------------------------------------------------------------- element by element


def _over_elements(name: str, *arrays, settings: tuple = ()):
    """Launch kernel(*arrays, result, *settings, n); the result has the shape of arrays[0]."""
    xp = cupy_module()
    flat = [_packed(a) for a in arrays]
    out = xp.empty(arrays[0].shape, arrays[0].dtype)
    if out.size:
        blocks = blocks_for(out.nbytes, PACK_BYTES * THREADS)
        kernel(name, out.dtype.char)((blocks,), (THREADS,), (*flat, out, *settings, out.size))
    return out


def _packed(x):
    """x in row-major order, and from a multiple of 16 bytes on: a part of an array may begin anywhere."""
    x = cupy_module().ascontiguousarray(x)
    return x if x.data.ptr % PACK_BYTES == 0 else x.copy()


def gelu_tanh(x, backward: bool):
    """½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + 0.044715 x³)."""
    return _over_elements("gelu:gelu_tanh", x), x if backward else None


def gelu_tanh_backward(dy, kept):
    """dx = dy (s + x s (1 − s) 2u′), where s = σ(2u)."""
    return _over_elements("gelu:gelu_tanh_backward", dy, kept)


def gelu_erf(x, backward: bool):
    """x Φ(x), where Φ is the distribution function of the standard normal."""
    return _over_elements("gelu:gelu_erf", x), x if backward else None


def gelu_erf_backward(dy, kept):
    """dx = dy (Φ(x) + x φ(x)), where φ is the density of the standard normal."""
    return _over_elements("gelu:gelu_erf_backward", dy, kept)


def linear_gelu(x, weight, bias, backward: bool):
    """y = gelu_tanh(z) (N, O) for z = x Wᵀ + b, and what backward is to be given: x Wᵀ and b."""
    product = x @ weight.T
    y = _over_elements("gelu:bias_gelu_tanh", product, settings=(_or_null(bias), product.shape[1]))
    return y, (product, bias) if backward else None


def linear_gelu_backward(dy, kept, bias: bool):
    """dz (N, O) as in gelu_tanh_backward, and Σ_n dz (O,) if there is a `bias`."""
    product, b = kept
    dz = _over_elements("gelu:bias_gelu_tanh_backward", dy, product, settings=(_or_null(b), product.shape[1]))
    return dz, cupy_module().ones(len(dz), dz.dtype) @ dz if bias else None


def dropout(x, p: float, seed: int):
    """x / (1 − p) or 0 for each element, as in numpy_kernels."""
    scale = accum(x.dtype).type(1 / (1 - p))
    return _over_elements("dropout:dropout", x, settings=(scale, *map(np.uint32, (threshold(p), *words(seed)))))


# ---------------------------------------------------------------------- cross-entropy


def cross_entropy(logits, targets, row_weight):
    """The losses (N,) and ln Σ exp of each row (N,), as in numpy_kernels; a target that is no class gives NaN."""
    xp, (N, V) = cupy_module(), logits.shape
    logits, row_weight = xp.ascontiguousarray(logits), xp.ascontiguousarray(row_weight)
    losses, log_sum = xp.empty(N, logits.dtype), xp.empty(N, accum(logits.dtype))
    targets = xp.ascontiguousarray(targets, np.int64)
    _over_rows("cross_entropy:cross_entropy", logits, (logits, targets, row_weight, losses, log_sum, V))
    return losses, log_sum


def cross_entropy_backward(dlosses, logits, targets, row_weight, log_sum):
    """dlogits_n = dloss_n w_n (softmax(x_n) − onehot(target_n)), (N, V)."""
    xp, V = cupy_module(), logits.shape[1]
    dlosses, logits, row_weight = map(xp.ascontiguousarray, (dlosses, logits, row_weight))
    targets = xp.ascontiguousarray(targets, np.int64)
    dlogits = xp.empty_like(logits)
    arguments = (dlosses, logits, targets, row_weight, _exact(log_sum, logits), dlogits, V)
    _over_rows("cross_entropy:cross_entropy_backward", logits, arguments)
    return dlogits


# ---------------------------------------------------------------------- embedding


def embedding_backward(dy, idx, num_embeddings: int):
    """dweight (num_embeddings, C): row i is the sum of the rows n of dy (N, C) where idx[n] = i."""
    xp, (N, C) = cupy_module(), dy.shape
    dweight = xp.zeros((num_embeddings, C), dy.dtype)
    if dy.size:
        idx = xp.ascontiguousarray(idx, np.int64)
        order = xp.argsort(idx, kind="stable")
        threads = row_threads(C)
        blocks = N, blocks_for(C, threads)
        arguments = (xp.ascontiguousarray(dy), idx[order], order, dweight, N, C, np.int64(num_embeddings))
        kernel("embedding:embedding_backward", dy.dtype.char)(blocks, (threads,), arguments)
    return dweight


# ---------------------------------------------------------------------- Adam


ADAM_MACROS = table_macros(5)


def adam_step(parameters, *, lr, beta1, beta2, eps, decay, l2, step, factor=1.0) -> None:
    """One step of Adam or AdamW, in place, for a list of (p, g, m, v, v_max); see numpy_kernels.

    The kernel reads `factor` from the GPU's memory: nobody here has to wait until it is known.
    """
    dtype, xp = parameters[0][0].dtype, cupy_module()
    f = accum(dtype).type
    if is_array(factor):
        factor = xp.asarray(factor, f)
    else:
        factor = NULL if factor == 1 else xp.full((), factor, f)
    settings = [f(lr / (1 - beta1**step)), f(beta1), f(1 - beta1), f(beta2), f(1 - beta2), f(eps)]
    settings += [f(1 - lr * decay), f(l2), f(1 / math.sqrt(1 - beta2**step))]
    adam = kernel("adam:adam", dtype.char, **ADAM_MACROS)
    for table, blocks in tables(parameters):
        adam((blocks,), (THREADS,), (table, factor, *settings))
