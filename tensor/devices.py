"""Where arrays live: NumPy on the CPU, CuPy on CUDA, and how to ask an array which of the two it is.

CuPy is optional. Without it, or without a GPU, everything here works on the CPU and
`cuda.is_available()` is False. Engine code never names `numpy` or `cupy` on data that it is handed:
it asks `namespace(x)`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import types
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tensor.late_checks import raise_if_any_failed


class Device:
    """A place for arrays: `device("cpu")`, `device("cuda")`, `device("cuda:1")`.

    Two devices are equal where type and index are, and a device equals its own spelling:
    `x.device == "cpu"`.
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, spec: str | Device, index: int | None = None):
        kind, _, number = str(spec).partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
            raise RuntimeError(f"there is no device {spec!r}: use 'cpu', 'cuda' or 'cuda:N'")
        self.type = kind
        self.index = int(number) if number else index
        if kind == "cuda" and self.index is None:
            self.index = 0

    def __eq__(self, other):
        if isinstance(other, str):
            other = Device(other)
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        if self.index is None:
            return f"device(type={self.type!r})"
        return f"device(type={self.type!r}, index={self.index})"


CPU = Device("cpu")
_default = [CPU]


def get_default_device() -> Device:
    """Where new Tensors go that name no device."""
    return _default[0]


def set_default_device(device: str | Device | None) -> None:
    """Let new Tensors that name no device go to this one from here on; None means the CPU again."""
    place = Device(device or CPU)
    _require_gpu(place)
    _default[0] = place


def place_of(device: str | Device | None) -> Device:
    """The Device that an argument `device=` means."""
    return _default[0] if device is None else Device(device)


@functools.cache
def cupy_or_reason() -> types.ModuleType | str:
    """The `cupy` module, or a sentence that says why it cannot be used here."""
    if importlib.util.find_spec("cupy") is None:
        return (
            "CUDA needs CuPy, which is not installed: run `pip install tinygrad-gpt[cuda12]` "
            "(or [cuda13], to match your driver)"
        )
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() == 0:
            return "CuPy is installed, but there is no CUDA device on this machine"
    except Exception as problem:  # CuPy raises many kinds here: no driver, a broken or mismatched toolkit
        return f"CuPy is installed, but it finds no usable CUDA device: {problem}"
    return cupy


def cupy_module() -> types.ModuleType:
    """The `cupy` module; RuntimeError with the way to get it where there is none."""
    found = cupy_or_reason()
    if isinstance(found, str):
        raise RuntimeError(found)
    return found


def is_array(value) -> bool:
    """Is `value` a raw NumPy or CuPy array (not a Tensor, not a NumPy scalar)?"""
    return is_array_type(type(value))


def _is_array_type(kind: type) -> bool:
    return issubclass(kind, np.ndarray) or kind.__module__.partition(".")[0] == "cupy"


is_array_type: Callable[[type], bool] = functools.cache(_is_array_type)  # an op asks it of all that it meets


def namespace(*values) -> types.ModuleType:
    """The module (`numpy` or `cupy`) of the first array among `values`; Python scalars are passed over."""
    for value in values:
        if isinstance(value, np.ndarray):
            return np
        if is_array(value):
            return cupy_module()
    return np


@contextlib.contextmanager
def arrays_on(device: str | Device | None) -> Iterator[types.ModuleType]:
    """`with arrays_on(device) as xp`: the module whose arrays lie on `device`, None for the default one."""
    place = place_of(device)
    if place.type == "cpu":
        yield np
    else:
        _require_gpu(place)
        cupy = cupy_module()
        with cupy.cuda.Device(place.index):
            yield cupy


def beside(arrays: Sequence, function: Callable) -> Callable:
    """`function`, such that what it makes lies on the GPU of the first array among `arrays`."""
    for x in arrays:
        if isinstance(x, np.ndarray):
            return function
        if is_array(x):
            return function if x.device.id == cupy_module().cuda.runtime.getDevice() else _on_gpu(x.device, function)
    return function


def _on_gpu(gpu, function: Callable) -> Callable:
    def run(*args, **kwargs):
        with gpu:
            return function(*args, **kwargs)

    return run


def _require_gpu(device: Device) -> None:
    if device.type == "cuda":
        count = cupy_module().cuda.runtime.getDeviceCount()
        if device.index >= count:
            raise RuntimeError(f"there is no {device}: this machine has {count} CUDA device(s), counted from 0")


def device_of(array) -> Device:
    """The Device that holds `array`."""
    return CPU if isinstance(array, np.ndarray) else Device("cuda", array.device.id)


def move(array, device: Device):
    """`array` on `device`: itself if it lies there already, else a copy."""
    if device_of(array) == device:
        return array
    if device.type == "cpu":
        copy = array.get()
        raise_if_any_failed()
        return copy
    with arrays_on(device) as cupy:
        return cupy.asarray(array)


def memory_owner(array):
    """The array that owns the memory `array` looks at; `array` itself if it is not a view."""
    while (base := array.base) is not None and (type(base) is np.ndarray or is_array(base)):
        array = base
    return array
