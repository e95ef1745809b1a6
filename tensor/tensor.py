"""Tensor: an N-dimensional array that remembers how it was computed.

Only what a Tensor *is* stands here. What can be done with one lives in `tensor/ops/`, and
`tensor/methods.py` lists which of those functions are also its methods and operators.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from tensor import dtypes
from tensor.devices import CPU, Device, arrays_on, device_of, is_array, move, place_of
from tensor.modes import enable_grad


class WriteCounter:
    """How often a piece of memory was written in place; shared by all Tensors that look at it."""

    writes = 0


class HookHandle:
    """What `register_hook` returns: `remove()` takes the hook away again."""

    def __init__(self, hooks: list, hook):
        self.hooks, self.hook = hooks, hook

    def remove(self) -> None:
        if self.hook in self.hooks:
            self.hooks.remove(self.hook)


class Tensor:
    """`Tensor(data)` copies numbers, nested sequences or an array, as `tensor.tensor(data)` does.

    Attributes:
        array: the NumPy (or CuPy) array with the values; whoever writes to it directly calls `mark_written()`.
        grad: the gradient as a Tensor of the same shape, or None.
        requires_grad: is the gradient with respect to this Tensor wanted, or needed on the way to one?
        grad_fn: the Op that computed it; None for a leaf.
    """

    # _op, _nr   the Op that computed this Tensor and which of its outputs it is; None for a leaf
    # _counter   counts in-place writes to the memory; _seen is its count when _op was last true
    # _view      (parent, Op class, inputs, params, output number) for a view: how to take it again;
    #            (parent, None) for a view that was taken under no_grad
    __slots__ = ("__weakref__", "_counter", "_hooks", "_nr", "_op", "_requires_grad", "_seen", "_view", "array", "grad")

    __array_priority__ = 1000  # lets `ndarray * Tensor` reach Tensor.__rmul__

    array: Any
    grad: Tensor | None
    _op: Any
    _view: tuple | None
    _hooks: list | None

    if TYPE_CHECKING:  # methods and operators are attached by tensor/methods.py

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index) -> Tensor: ...
        def __setitem__(self, index, value) -> None: ...
        def __neg__(self) -> Tensor: ...
        def __add__(self, other) -> Tensor: ...
        def __radd__(self, other) -> Tensor: ...
        def __sub__(self, other) -> Tensor: ...
        def __rsub__(self, other) -> Tensor: ...
        def __mul__(self, other) -> Tensor: ...
        def __rmul__(self, other) -> Tensor: ...
        def __truediv__(self, other) -> Tensor: ...
        def __rtruediv__(self, other) -> Tensor: ...
        def __pow__(self, other) -> Tensor: ...
        def __rpow__(self, other) -> Tensor: ...
        def __matmul__(self, other) -> Tensor: ...
        def __mod__(self, other) -> Tensor: ...
        def __floordiv__(self, other) -> Tensor: ...
        def __and__(self, other) -> Tensor: ...
        def __or__(self, other) -> Tensor: ...
        def __xor__(self, other) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __lt__(self, other) -> Tensor: ...
        def __le__(self, other) -> Tensor: ...
        def __gt__(self, other) -> Tensor: ...
        def __ge__(self, other) -> Tensor: ...
        def __eq__(self, other) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other) -> Tensor: ...  # type: ignore[override]

    def __init__(self, data, dtype=None, device=None, requires_grad: bool = False):
        self._init(as_array(data, dtype, device, copy=True))
        if requires_grad:
            self.requires_grad_()

    def _init(self, array) -> None:
        self.array = array
        self.grad = self._op = self._view = self._hooks = None
        self._nr = self._seen = 0
        self._requires_grad = False
        self._counter = WriteCounter()

    # ------------------------------------------------------------------ the graph

    @property
    def requires_grad(self) -> bool:
        if self._view is not None:
            self.refresh_view()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for (or stop asking for) the gradient of this leaf; returns self."""
        if self.grad_fn is not None:
            if requires_grad:
                return self
            raise RuntimeError("requires_grad can only be switched off on leaves: detach() a computed Tensor")
        if requires_grad and not dtypes.is_floating(self.dtype):
            raise RuntimeError(
                f"only floating-point Tensors can require grad, this one is {self.dtype}: call .float() first"
            )
        self._requires_grad = bool(requires_grad)
        if requires_grad:
            self._view = None  # from here on a leaf of its own
        return self

    @property
    def grad_fn(self):
        if self._view is not None:
            self.refresh_view()
        return self._op

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    def refresh_view(self) -> None:
        """Take this view again from its parent if the memory was written since, so that its graph is true."""
        if self._seen == self._counter.writes:
            return
        self._seen = self._counter.writes
        if self._view is None or self._view[1] is None:  # taken under no_grad: outside the graph
            return
        parent, cls, inputs, params, nr = self._view
        if not parent.requires_grad:
            self._op, self._nr, self._requires_grad = None, 0, False
            return
        with enable_grad():
            again = cls.apply(*inputs, **params)
        again = again[nr] if isinstance(again, tuple) else again
        self._op, self._nr, self._requires_grad = again._op, again._nr, True

    def detach(self) -> Tensor:
        """The same memory outside the graph. Writing to it still counts as writing to this Tensor."""
        out = wrap(self.array)
        out._counter = self._counter
        return out

    @property
    def data(self) -> Tensor:
        """`detach()`; assigning to it replaces the values and leaves the graph alone."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        self.array, self._counter, self._view = value.array, value._counter, None

    def mark_written(self) -> None:
        """Tell autograd that `.array` was written to directly: a backward that needs the old values then raises."""
        self._counter.writes += 1

    def retain_grad(self) -> None:
        """Keep `.grad` of this computed Tensor too, as if it were a leaf."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad() on a Tensor that does not require grad")
        if self._op is not None:
            self._op.retained = {**(self._op.retained or {}), self._nr: weakref.ref(self)}

    def register_hook(self, hook) -> HookHandle:
        """Call `hook(grad)` when the gradient of this Tensor is known; a Tensor that it returns replaces it."""
        if not self.requires_grad:
            raise RuntimeError("register_hook() on a Tensor that does not require grad: it would never be called")
        if self._op is None:
            hooks = self._hooks = self._hooks or []
        else:
            by_output = self._op.hooks = self._op.hooks or {}
            hooks = by_output.setdefault(self._nr, [])
        hooks.append(hook)
        return HookHandle(hooks, hook)

    # ------------------------------------------------------------------ what it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def device(self) -> Device:
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def size(self, dim: int | None = None):
        """The shape, or its length along `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    def element_size(self) -> int:
        """Bytes per element."""
        return self.array.itemsize

    def stride(self, dim: int | None = None):
        """Steps in memory along each dimension, counted in elements."""
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        return strides if dim is None else strides[dim]

    def is_contiguous(self) -> bool:
        """Do the elements lie in memory in row-major order without gaps?"""
        return self.array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Is the dtype float16, float32 or float64?"""
        return dtypes.is_floating(self.dtype)

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self.array.ctypes.data if self.device == CPU else self.array.data.ptr

    # ------------------------------------------------------------------ to Python and NumPy

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The NumPy array itself (shared memory); on CUDA or with a graph it says what to call first.

        With `force` the values in any case: of a CUDA Tensor a copy.
        """
        if self.requires_grad and not force:
            raise RuntimeError("numpy() on a Tensor that requires grad would leave the graph: use .detach().numpy()")
        if self.is_cuda and not force:
            raise TypeError("numpy() on a CUDA Tensor: copy it to the CPU first with .cpu()")
        return move(self.array, CPU)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy)

    def item(self) -> float | int | bool:
        """The only element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(f"item() needs a Tensor with one element, this one has shape {tuple(self.shape)}")
        return move(self.array, CPU).item()

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return move(self.array, CPU).tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if dtypes.is_floating(self.dtype):
            raise TypeError(f"only an integer Tensor can be used as an index, this one is {self.dtype}")
        return int(self.item())

    def __bool__(self):
        if self.array.size != 1:
            raise RuntimeError(
                f"the truth of a Tensor with shape {tuple(self.shape)} is ambiguous: use .any() or .all()"
            )
        return bool(self.item())

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len() of a 0-dim Tensor")
        return self.shape[0]

    def __format__(self, spec):
        return format(self.item(), spec) if self.ndim == 0 else format(str(self), spec)

    def __repr__(self):
        body = np.array2string(move(self.array, CPU), separator=", ", prefix="tensor(", precision=4)
        notes = f", size={tuple(self.shape)}" if self.array.size == 0 and self.ndim != 1 else ""
        if self.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_):
            notes += f", dtype={self.dtype}"
        if self.is_cuda:
            notes += f", device='{self.device}'"
        if self.grad_fn is not None:
            notes += f", grad_fn={self.grad_fn}"
        elif self.requires_grad:
            notes += ", requires_grad=True"
        return f"tensor({body}{notes})"

    __hash__ = object.__hash__  # by identity, although == compares elements

    def __deepcopy__(self, memo):
        if self.grad_fn is not None:
            raise RuntimeError("only leaves can be deep-copied; detach() this Tensor first")
        copy = object.__new__(type(self))
        copy._init(self.array.copy())
        copy._requires_grad = self._requires_grad
        copy.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
        memo[id(self)] = copy
        return copy


def wrap(array) -> Tensor:
    """A leaf Tensor around a raw array, without a copy."""
    out = Tensor.__new__(Tensor)
    out._init(array)
    return out


def as_array(data, dtype=None, device=None, *, copy: bool = False):
    """Anything number-like as a raw array. Python floats take the default dtype, arrays keep theirs."""
    tensor_given = isinstance(data, Tensor)
    if isinstance(data, Tensor):
        data = data.array
    elif isinstance(data, list | tuple):
        data = _plain(data)
    try:
        array = data if is_array(data) else np.asarray(data)
    except ValueError:  # NumPy's word for rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"cannot make a Tensor of {type(data).__name__} {str(data)[:60]}: "
            f"rows must have equal lengths and hold numbers"
        )
    if dtype is None:
        weak = not hasattr(data, "dtype") and array.dtype.kind == "f"  # Python floats bring no dtype
        dtype = dtypes.get_default_dtype() if weak else array.dtype
    dtype = dtypes.check_supported(dtype)
    stays = device is None and (tensor_given or not isinstance(array, np.ndarray))
    place = device_of(array) if stays else place_of(device)
    moved = move(array, place)
    with arrays_on(place) as xp:
        return xp.array(moved, dtype=dtype) if copy and moved is array else moved.astype(dtype, copy=False)


def _plain(data):
    """Nested lists with every Tensor inside replaced by its values, so that NumPy can read them."""
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    return data.array.tolist() if isinstance(data, Tensor) else data
