"""Making Tensors: from data, filled, evenly spaced, as grids.

Keyword arguments are PyTorch's everywhere: `dtype` (None: the default floating-point dtype, or what the data says),
`device` ("cpu" or "cuda"), `requires_grad`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from tensor import dtypes
from tensor.checks import shape_args
from tensor.devices import arrays_on, get_default_device, set_default_device
from tensor.ops.cast import number
from tensor.ops.index import getitem
from tensor.ops.join import stack
from tensor.ops.shape import expand, reshape
from tensor.tensor import Tensor, as_array, wrap

__all__ = [
    "arange",
    "as_tensor",
    "asarray",
    "cartesian_prod",
    "combinations",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "get_default_device",
    "linspace",
    "logspace",
    "meshgrid",
    "ones",
    "ones_like",
    "scalar_tensor",
    "set_default_device",
    "tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "zeros_like",
]
METHODS = ["new_empty", "new_full", "new_ones", "new_tensor", "new_zeros"]


def leaf(array, requires_grad: bool = False) -> Tensor:
    """A Tensor around a raw array."""
    out = wrap(array)
    return out.requires_grad_() if requires_grad else out


# ---------------------------------------------------------------------- from data


def tensor(data, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of `data`: a number, nested lists, an array or a Tensor.

    Python floats take the default dtype, integers int64, arrays keep their own.
    """
    return Tensor(data, dtype, device, requires_grad)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """`data` as a Tensor; itself or sharing its memory where it already fits."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    return wrap(as_array(data, dtype, device))


def asarray(data, *, dtype=None, device=None, copy: bool = False, requires_grad: bool = False) -> Tensor:
    """`data` as a Tensor, without a copy where it fits; with `copy=True` always with one."""
    if copy:
        return tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)
    out = as_tensor(data, dtype, device)
    return out.requires_grad_() if requires_grad else out


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}; tensor(...) takes anything")
    dtypes.check_supported(array.dtype)
    return wrap(np.asarray(array))


def scalar_tensor(s, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """The number s as a 0-dim Tensor, in the default floating-point dtype."""
    return full((), s, dtype=dtype or dtypes.get_default_dtype(), device=device, requires_grad=requires_grad)


# ---------------------------------------------------------------------- filled


def full(size, fill_value, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A Tensor of shape `size` with `fill_value` everywhere; its dtype is the value's unless given."""
    if isinstance(fill_value, Tensor):
        dtype, fill_value = dtype or fill_value.dtype, fill_value.item()
    dtype = dtypes.check_supported(dtype or dtypes.scalar_dtype(fill_value))
    with arrays_on(device) as xp:
        return leaf(xp.full(shape_args((size,)), number(fill_value, dtype), dtype), requires_grad)


def zeros(*size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A Tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    dtype = dtypes.check_supported(dtype or dtypes.get_default_dtype())
    with arrays_on(device) as xp:
        return leaf(xp.zeros(shape_args(size), dtype), requires_grad)


def ones(*size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A Tensor of ones: `ones(2, 3)` or `ones((2, 3))`."""
    dtype = dtypes.check_supported(dtype or dtypes.get_default_dtype())
    with arrays_on(device) as xp:
        return leaf(xp.ones(shape_args(size), dtype), requires_grad)


def empty(*size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A Tensor whose elements are whatever the memory held."""
    dtype = dtypes.check_supported(dtype or dtypes.get_default_dtype())
    with arrays_on(device) as xp:
        return leaf(xp.empty(shape_args(size), dtype), requires_grad)


def eye(n: int, m: int | None = None, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """The (n, m) matrix (m = n unless given) with ones on the diagonal and zeros elsewhere."""
    dtype = dtypes.check_supported(dtype or dtypes.get_default_dtype())
    with arrays_on(device) as xp:
        return leaf(xp.eye(n, m, dtype=dtype), requires_grad)


def full_like(input: Tensor, fill_value, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`full` in the shape of input, and with its dtype and device unless given."""
    dtype, device = dtype or input.dtype, device or input.device
    return full(input.shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def zeros_like(input: Tensor, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`zeros` in the shape of input, and with its dtype and device unless given."""
    return new_zeros(input, input.shape, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`ones` in the shape of input, and with its dtype and device unless given."""
    return new_ones(input, input.shape, dtype=dtype, device=device, requires_grad=requires_grad)


def empty_like(input: Tensor, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`empty` in the shape of input, and with its dtype and device unless given."""
    return new_empty(input, input.shape, dtype=dtype, device=device, requires_grad=requires_grad)


# ---------------------------------------------------------------------- methods: x.new_zeros(2, 3)


def new_tensor(input: Tensor, data, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """A copy of `data` with input's dtype and device unless given."""
    return tensor(data, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def new_full(input: Tensor, size, fill_value, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`full` with input's dtype and device unless given."""
    dtype, device = dtype or input.dtype, device or input.device
    return full(size, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def new_zeros(input: Tensor, *size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`zeros` with input's dtype and device unless given."""
    return zeros(*size, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def new_ones(input: Tensor, *size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`ones` with input's dtype and device unless given."""
    return ones(*size, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def new_empty(input: Tensor, *size, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`empty` with input's dtype and device unless given."""
    return empty(*size, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


# ---------------------------------------------------------------------- evenly spaced


def _numbers(dtype, *values) -> list:
    """`values` (numbers or one-element Tensors) as Python numbers; for an integer dtype without their fractions."""
    numbers = [x.item() if isinstance(x, Tensor) else x for x in values]
    return numbers if dtype is None or dtypes.is_floating(np.dtype(dtype)) else [int(x) for x in numbers]


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """start, start + step, … up to but without `end`; `arange(n)` counts 0, …, n − 1.

    The dtype is int64 if all three are integers, else the default floating-point one.
    """
    start, end = (0, start) if end is None else (start, end)
    start, end, step = _numbers(dtype if dtype == dtypes.int64 else None, start, end, step)
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(f"arange: from {start} to {end} in steps of {step} never arrives: step needs the other sign")
    if dtype is None:
        integers = all(isinstance(x, int | np.integer) for x in (start, end, step))
        dtype = dtypes.int64 if integers else dtypes.get_default_dtype()
    with arrays_on(device) as xp:
        values = start + step * xp.arange(math.ceil((end - start) / step))
        return leaf(values.astype(dtypes.check_supported(dtype)), requires_grad)


def linspace(start, end, steps: int, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included."""
    dtype = dtypes.check_supported(dtype or dtypes.get_default_dtype())
    start, end = _numbers(dtype, start, end)
    with arrays_on(device) as xp:
        return leaf(_linspace(start, end, steps, xp).astype(dtype), requires_grad)


def logspace(start, end, steps: int, base=10.0, *, dtype=None, device=None, requires_grad: bool = False) -> Tensor:
    """base to the powers `linspace(start, end, steps)`."""
    dtype = dtypes.check_supported(dtype or dtypes.get_default_dtype())
    start, end = _numbers(dtype, start, end)
    with arrays_on(device) as xp:
        return leaf((base ** _linspace(start, end, steps, xp)).astype(dtype), requires_grad)


def _linspace(start, end, steps: int, xp):
    """Counted from both ends, as PyTorch does, so that start, end and a symmetric middle are exact; float64."""
    if steps < 0:
        raise RuntimeError(f"linspace: the number of steps must be at least 0, got {steps}")
    i = xp.arange(steps)
    step = (end - start) / max(steps - 1, 1)
    return xp.where(i < max(steps // 2, 1), start + step * i, end - step * (steps - 1 - i))


# ---------------------------------------------------------------------- grids and combinations


def meshgrid(*tensors, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of all points of a grid: n vectors (or scalars) give n Tensors with n dims each; views.

    With indexing="ij" the i-th vector runs along dim i; with "xy" the first two dims are swapped.
    """
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    if any(x.ndim > 1 for x in tensors):
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise RuntimeError(f"meshgrid: expected vectors, got shapes {shapes}")
    order = list(range(len(tensors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = 1, 0
    shape = [tensors[d].numel() for d in order]
    grids = []
    for x, dim in zip(tensors, order, strict=True):
        own = [1] * len(shape)
        own[dim] = x.numel()
        grids.append(expand(reshape(x, own), shape))
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All ways to take one element of each vector, one a row: (m), (n) -> (m · n, 2). Of one vector, itself."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, -1) for grid in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to take r elements of a vector, in order, one a row: (n) -> (n choose r, r)."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input.numel()), r)), dtype=np.int64).reshape(-1, r)
    return getitem(input, tensor(rows, device=input.device))


def tril_indices(row: int, col: int, offset: int = 0, *, dtype=dtypes.int64, device=None) -> Tensor:
    """Row and column numbers of the lower triangle of a (row, col) matrix: (2, count)."""
    return tensor(np.stack(np.tril_indices(row, offset, col)), dtype=dtype, device=device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype=dtypes.int64, device=None) -> Tensor:
    """Row and column numbers of the upper triangle of a (row, col) matrix: (2, count)."""
    return tensor(np.stack(np.triu_indices(row, offset, col)), dtype=dtype, device=device)
