"""Data types (NumPy's dtype objects under PyTorch's names) and PyTorch's rules for mixing them.

NumPy and PyTorch promote differently: `int64 + float32` is float64 in NumPy and float32 in PyTorch, and
PyTorch lets tensors with dimensions outrank 0-dim tensors, which outrank Python numbers. PyTorch's rules
hold here: https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "bool_",
    "can_cast",
    "double",
    "dtype",
    "finfo",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "half",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "promote_types",
    "result_type",
    "set_default_dtype",
    "short",
    "uint8",
]

dtype = np.dtype
float16 = half = np.dtype("float16")
float32 = np.dtype("float32")
float64 = double = np.dtype("float64")
uint8 = np.dtype("uint8")
int8 = np.dtype("int8")
int16 = short = np.dtype("int16")
int32 = np.dtype("int32")
int64 = long = np.dtype("int64")
bool_ = np.dtype("bool")

SUPPORTED = (float16, float32, float64, uint8, int8, int16, int32, int64, bool_)

_default = [float32]


def set_default_dtype(d) -> None:
    """Set the dtype of new floating-point tensors (float32 at the start)."""
    d = np.dtype(d)
    if not is_floating(d):
        raise TypeError(f"the default dtype must be a floating-point one, got {d}")
    _default[0] = d


def get_default_dtype() -> np.dtype:
    """The dtype of new floating-point tensors."""
    return _default[0]


def is_floating(d: np.dtype) -> bool:
    """Is `d` float16, float32 or float64?"""
    return d.kind == "f"


def check_supported(d) -> np.dtype:
    """`d` as a dtype object; TypeError where a Tensor cannot hold it."""
    d = np.dtype(d)
    if d not in SUPPORTED:
        names = ", ".join(str(s) for s in SUPPORTED)
        raise TypeError(f"a Tensor cannot hold {d}: use one of {names}")
    return d


def finfo(type=None) -> np.finfo:
    """The limits of a floating-point dtype (the default one if not given): bits, eps, max, min, tiny."""
    return np.finfo(type or get_default_dtype())


def iinfo(type) -> np.iinfo:
    """The limits of an integer dtype: bits, max, min."""
    return np.iinfo(type)


def promote_types(a: np.dtype, b: np.dtype) -> np.dtype:
    """The smallest dtype that PyTorch lets `a` and `b` meet in: a float beats every integer."""
    a, b = np.dtype(a), np.dtype(b)
    if is_floating(a) != is_floating(b):
        return a if is_floating(a) else b
    return np.promote_types(a, b)


def is_scalar(value) -> bool:
    """Is `value` a Python or NumPy number (not an array, not a Tensor)?"""
    return isinstance(value, bool | int | float | np.generic)


def scalar_dtype(value) -> np.dtype:
    """The dtype that a Python (or NumPy) number has when it becomes a Tensor of its own."""
    if isinstance(value, bool | np.bool_):
        return bool_
    if isinstance(value, int | np.integer):
        return int64
    if isinstance(value, float | np.floating):
        return _default[0]
    raise TypeError(f"expected a Tensor or a number, got {type(value).__name__}")


def _category(d: np.dtype) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2}[d.kind]


def result_type(*operands) -> np.dtype:
    """The dtype in which `operands` (Tensors and Python numbers) are computed together.

    Within a category (bool < integer < float) only the highest rank of operand counts: tensors with
    dimensions, then 0-dim tensors, then numbers. A lower rank counts only if its category is higher.
    """
    ranks: list[np.dtype | None] = [None, None, None]
    for x in operands:
        rank, d = (int(x.ndim == 0), x.dtype) if hasattr(x, "array") else (2, scalar_dtype(x))
        before = ranks[rank]
        ranks[rank] = d if before is None else promote_types(before, d)
    result: np.dtype | None = None
    for d in ranks:
        if d is not None and (result is None or _category(d) > _category(result)):
            result = d
    if result is None:
        raise TypeError("result_type: needs at least one operand")
    return result


def can_cast(source: np.dtype, target: np.dtype) -> bool:
    """May values of `source` be written into memory of `target`? Not from float to integer, nor from number to bool."""
    return _category(source) <= _category(target)
